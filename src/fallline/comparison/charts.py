"""The charts, as Plotly figures in plain dictionaries.

Plotly reads some HTML in the text that it draws. So nothing that comes from the data is ever put into a figure: only
numbers, and words of this project.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fallline.comparison import words
from fallline.comparison.palette import styles
from fallline.comparison.results import Comparison, Result
from fallline.comparison.verdict import AXES

__all__ = ["figures"]

_INK, _QUIET, _GRID = "#2b2b2b", "#6a6a6a", "#e9e6e0"
_LOWEST_GAP = 1e-6
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def figures(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """Every chart by the id of the element that it goes into."""
    charts = {f"gap-{axis}": _gap(comparison, axis) for axis in AXES}
    return charts | {
        "arrival": _arrival(comparison),
        "throughput": _throughput(comparison),
        "noise": _noise(comparison),
        "memory": _memory(comparison),
    }


def _gap(comparison: Comparison, axis: str) -> dict[str, Any]:
    looks = styles(comparison.contenders)
    traces = []
    for result in comparison.contenders:
        x = _axis(result, axis)
        gaps = np.maximum(np.array(result.curves.gap), 1e-14)
        colour, dash = looks[result.key]
        if len(gaps) > 1 and len(x) > 1 and result.family != "other":
            traces.append(_band(result, x, gaps, colour))
        traces.append({
            "x": x.tolist(), "y": np.median(gaps, axis=0).tolist(), "name": result.label, "legendgroup": result.key,
            "mode": "lines" if len(x) > 1 else "markers", "line": {"color": colour, "dash": dash, "width": 2},
            "hovertemplate": "%{y:.2p} to go<extra>" + result.label + "</extra>",
        })  # fmt: skip
    write = words.time if axis == "seconds" else words.amount
    everything = np.concatenate([_axis(result, axis) for result in comparison.contenders])
    return {
        "data": traces,
        "layout": _layout(_log_axis(AXES[axis], everything, write), _gap_axis(comparison)),
    }


def _axis(result: Result, axis: str) -> np.ndarray:
    if axis == "seconds":
        return np.median(result.curves.seconds, axis=0)
    return np.array(getattr(result.curves, axis), float)


def _band(result, x, gaps, colour):
    there_and_back = np.concatenate([x, x[::-1]])
    return {
        "x": there_and_back.tolist(), "y": np.concatenate([gaps.min(axis=0), gaps.max(axis=0)[::-1]]).tolist(),
        "fill": "toself", "fillcolor": colour + "22", "line": {"width": 0}, "mode": "lines", "hoverinfo": "skip",
        "legendgroup": result.key, "name": result.label,
    }  # fmt: skip


def _gap_axis(comparison):
    gaps = [
        gap
        for result in comparison.contenders
        if result.family != "other"
        for run in result.curves.gap
        for gap in run
    ]
    low = math.log10(max(min(gaps) / 2, _LOWEST_GAP))
    high = math.log10(min(max([1.3, *gaps]), 4.0))
    axis = _log_axis("gap to the optimum", np.array([10.0**low, 10.0**high]), words.share)
    return axis | {"range": [low, high]}


def _arrival(comparison):
    shown = list(reversed(comparison.contenders))
    looks = styles(comparison.contenders)
    names = [result.label for result in shown]
    colours = [looks[result.key].colour for result in shown]
    traces, arrivals = [], []
    for gap, symbol in (("10%", "circle-open"), ("1%", "circle"), ("0.1%", "diamond")):
        seconds = [result.reached[gap]["seconds"] for result in shown]
        arrivals += [second for second in seconds if second is not None]
        marker = {"symbol": symbol, "size": 11, "color": colours, "line": {"width": 2, "color": colours}}
        traces.append({
            "x": seconds, "y": names, "mode": "markers", "name": f"within {gap}", "marker": marker, "cliponaxis": False,
            "text": [None if second is None else words.time(second) for second in seconds],
            "hovertemplate": f"within {gap} after %{{text}}<extra>%{{y}}</extra>",
        })  # fmt: skip
    y = {
        "categoryorder": "array",
        "categoryarray": names,
        "automargin": True,
        "gridcolor": _GRID,
        "range": [-0.6, len(names) - 0.4],
    }
    return {
        "data": traces,
        "layout": _layout(
            _log_axis("seconds", np.array(arrivals or [1.0]), words.time), y, 60 + 34 * len(names)
        ),
    }


def _throughput(comparison):
    looks, found = styles(comparison.contenders), comparison.throughput
    traces = [
        _points("fallline", found.batch_sizes, found.rows_per_second, "#8e1f9a", "lines+markers", "circle")
    ]
    symbols = {"scikit-learn": "square", "pytorch": "diamond"}
    for result in comparison.contenders:
        if result.family == "rival" and result.rows_per_second:
            colour = looks[result.key].colour
            traces.append(
                _points(
                    result.label,
                    [result.batch_size],
                    [result.rows_per_second],
                    colour,
                    "markers",
                    symbols[result.key],
                )
            )
    speeds = np.array([speed for trace in traces for speed in trace["y"]])
    sizes = np.array(found.batch_sizes)
    return {
        "data": traces,
        "layout": _with_legend(
            _layout(_log_axis("batch size (rows)", sizes), _log_axis("rows a second", speeds))
        ),
    }


def _noise(comparison):
    noise = comparison.noise
    theory = _points(
        "theory: proportional to 1 / batch size", noise.batch_sizes, noise.theory, _QUIET, "lines", "circle"
    )
    measured = _points("measured", noise.batch_sizes, noise.measured, "#d3456b", "markers", "circle")
    values = np.array([*noise.measured, *noise.theory])
    layout = _layout(
        _log_axis("batch size (rows)", np.array(noise.batch_sizes)), _log_axis("noise / signal", values)
    )
    return {"data": [theory, measured], "layout": _with_legend(layout)}


def _points(name, x, y, colour, mode, symbol):
    return {
        "x": x, "y": y, "name": name, "mode": mode, "cliponaxis": False,
        "line": {"color": colour, "width": 2}, "marker": {"color": colour, "size": 9, "symbol": symbol},
        "hovertemplate": "batch size %{x}: %{y:.3s}<extra>" + name + "</extra>",
    }  # fmt: skip


def _memory(comparison):
    shown = [result for result in reversed(comparison.contenders) if result.memory_bytes is not None]
    looks = styles(comparison.contenders)
    names = [result.label for result in shown]
    trace = {
        "type": "bar", "orientation": "h", "y": names, "x": [result.memory_bytes / 1e6 for result in shown],
        "text": [words.megabytes(result.memory_bytes) for result in shown], "textposition": "outside", "cliponaxis": False,
        "marker": {"color": [looks[result.key].colour for result in shown]}, "hovertemplate": "%{text}<extra>%{y}</extra>",
    }  # fmt: skip
    most = max([result.memory_bytes / 1e6 for result in shown], default=1.0)
    x = {
        "title": {"text": "MB beyond the data"},
        "range": [0, max(1.2 * most, 0.1)],
        "gridcolor": _GRID,
        "zeroline": False,
        "automargin": True,
    }
    y = {"automargin": True, "categoryorder": "array", "categoryarray": names}
    return {"data": [trace], "layout": _layout(x, y, 80 + 30 * len(names)) | {"bargap": 0.45}}


def _log_axis(title: str, values: np.ndarray, write: Callable[[float], str] = words.amount) -> dict[str, Any]:
    """A logarithmic axis around the values, with a word at each power of ten."""
    low, high = math.log10(values.min()), math.log10(values.max())
    room = max(0.04 * (high - low), 0.1)
    low, high = low - room, high + room
    ticks = _ticks(low, high)
    return {
        "type": "log", "range": [low, high], "title": {"text": title}, "tickvals": ticks,
        "ticktext": [write(tick) for tick in ticks],
        "gridcolor": _GRID, "zeroline": False, "automargin": True,
    }  # fmt: skip


def _ticks(low, high):
    """Powers of ten, every other one where they are many; where few, numbers between them; where none, the middle of the axis."""
    steps = (1,) if high - low >= 2 else (1, 2, 5) if high - low >= 0.5 else range(1, 10)
    ticks = [step * 10.0**power for power in range(math.floor(low), math.ceil(high)) for step in steps]
    ticks = [tick for tick in [*ticks, 10.0 ** math.ceil(high)] if low <= math.log10(tick) <= high]
    return ticks[:: max(math.ceil(len(ticks) / 6), 1)] or [10.0 ** ((low + high) / 2)]


def _layout(x, y, height=330):
    return {
        "xaxis": x | {"fixedrange": True}, "yaxis": y | {"fixedrange": True}, "height": height, "showlegend": False,
        "margin": {"l": 8, "r": 14, "t": 10, "b": 8, "autoexpand": True}, "hovermode": "closest", "autosize": True,
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": _FONT, "size": 12.5, "color": _INK}, "hoverlabel": {"font": {"family": _FONT}},
    }  # fmt: skip


def _with_legend(layout):
    legend = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
    return layout | {"showlegend": True, "legend": legend, "margin": layout["margin"] | {"t": 34}}
