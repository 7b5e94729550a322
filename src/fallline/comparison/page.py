"""The page: one HTML file, complete in itself."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import escape
from importlib.resources import files

import numpy as np

from fallline.comparison import words
from fallline.comparison.charts import figures
from fallline.comparison.method import first_notes, method_list, remarks, rows_words, task_words
from fallline.comparison.palette import styles
from fallline.comparison.results import Comparison
from fallline.comparison.tables import columns_table, numbers_table, table_note, trials_table
from fallline.comparison.verdict import AXES, axis_sentence, measured
from fallline.comparison.words import counted

__all__ = ["render"]

_MOST_FEATURES = 500


def render(comparison: Comparison) -> str:
    """The page's HTML. All that comes from the data is escaped; and the page allows no script but its own."""
    from plotly.offline import get_plotlyjs

    plotly, script = get_plotlyjs(), _resource("page.js")
    return _fill(_resource("page.html"), {
        **_data(comparison), **_learning(comparison), **_captions(comparison),
        "css": _resource("page.css"),
        "verdict": _verdict(comparison),
        "table": numbers_table(comparison),
        "table_note": table_note(comparison),
        "trials": trials_table(comparison),
        "method": method_list(comparison),
        "made": escape(comparison.made[:10]),
        "version": escape(comparison.machine["fallline"]),
        "script_hashes": f"'{_hash(plotly)}' '{_hash(script)}'",
        "figures": _json_for_html(figures(comparison)),
        "plotly": plotly,
        "script": script,
    })  # fmt: skip


def _resource(name):
    return files("fallline.comparison").joinpath(name).read_text(encoding="utf-8")


def _fill(template, values):
    """Put the values where the template names them, all at once: what a value holds is not looked at again."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], template)


def _hash(script):
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _json_for_html(value):
    """JSON that ends no script element and opens no comment, whatever it holds."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _data(comparison):
    data = comparison.data
    return {
        "title": f"Gradient descent on {escape(data.name)}: batch, stochastic, mini-batch",
        "heading": f"Batch, stochastic and mini-batch gradient descent on {escape(data.name)}",
        "lead": f"{rows_words(data)}, to predict <strong>{escape(data.target)}</strong>: {task_words(data)}.",
        "train_rows": f"{data.train_rows:,}",
        "notes": _notes(data.notes),
        "columns": columns_table(data),
        "features": _feature_list(data.features),
        "data_size": words.megabytes(4 * data.train_rows * (len(data.features) + 1)),
    }


def _notes(notes):
    """What to know about the rows and columns, if it is not too much for the head of a page."""
    shown = first_notes(notes, "the end of this page")
    return f'<p class="note">{escape(" ".join(shown))}</p>' if notes else ""


def _feature_list(features):
    shown = ", ".join(f"<code>{escape(feature)}</code>" for feature in features[:_MOST_FEATURES])
    more = len(features) - _MOST_FEATURES
    return f"{shown} and {more:,} more" if more > 0 else shown


def _verdict(comparison):
    first, *rest = comparison.verdict
    return f"<p>{escape(first)}</p><ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in rest)}</ul>"


def _learning(comparison):
    looks = styles(comparison.contenders)
    winners = {winner["key"] for winner in comparison.winners.values()}
    return {
        "changes": "Watch who is lowest: <strong>it changes with what you count</strong>."
        if len(winners) > 1
        else "Here one is ahead however you count.",
        "legend": "".join(_legend_button(result, looks[result.key]) for result in comparison.contenders),
        "gap_charts": "".join(_gap_figure(comparison, axis) for axis in AXES),
        "remarks": escape(" ".join(remarks(comparison))),
        "seeds": counted(len(comparison.settings.seeds), "run") + ", each with the rows in another order",
    }


_DASHES = {"solid": "none", "dash": "6 4", "dashdot": "7 3 2 3", "dot": "2 3"}


def _legend_button(result, style):
    stroke = f'stroke="{style.colour}" stroke-width="3" stroke-dasharray="{_DASHES[style.dash]}"'
    line = f'<line x1="0" y1="5" x2="26" y2="5" {stroke}/>'
    swatch = f'<svg width="26" height="10" aria-hidden="true">{line}</svg>'
    return f'<button type="button" data-key="{result.key}" aria-pressed="true">{swatch}{escape(result.label)}</button>'


_COUNTING = {
    "epochs": "Counted in passes over the training rows.",
    "updates": "Counted in steps, as if every step cost the same.",
    "rows": "Counted in rows looked at: epochs times rows, so the same picture as the epochs, on the scale that hardware sees.",
    "seconds": "Counted in seconds on this machine: what you wait for.",
}


def _gap_figure(comparison, axis):
    sentence = escape(axis_sentence(comparison, axis))
    return (
        f'<figure><h3>Against {AXES[axis]}</h3><div id="gap-{axis}" class="chart" role="img" '
        f'aria-label="Gap to the optimum against {AXES[axis]}"></div>'
        f"<figcaption>{_COUNTING[axis]} <strong>{sentence}</strong></figcaption></figure>"
    )


def _captions(comparison):
    unmeasured = [result.label for result in comparison.contenders if result.memory_bytes is None]
    return {
        "missing": escape(_missing(comparison)),
        "throughput": _throughput_caption(comparison.throughput) + _without_speed(comparison),
        "noise": _noise_caption(comparison.noise, comparison.data.train_rows),
        "unmeasured": f"Not measured here: {escape(words.joined(unmeasured))}." if unmeasured else "",
    }


def _missing(comparison):
    """Who did not come within 1%, after how many epochs of its own: some may have been cut short."""
    absent: dict[float, list[str]] = {}
    for result in comparison.contenders:
        if result.reached["1%"]["seconds"] is None:
            absent.setdefault(result.curves.epochs[-1], []).append(result.label)
    groups = [f"{words.joined(who)} after {measured('epochs', made)}" for made, who in absent.items()]
    return f"Not within 1%: {'; '.join(groups)}." if groups else ""


def _throughput_caption(found):
    speeds = np.array(found.rows_per_second)
    enough = found.batch_sizes[int(np.argmax(speeds >= 0.8 * speeds.max()))]
    return (
        f"A step has a cost of its own, which a larger batch shares among more rows: one row at a time, fallline goes through "
        f"{words.amount(speeds[0])} rows a second, and at best {words.multiple(speeds.max() / speeds[0])} times as many. "
        f"<strong>From a batch of {enough:,} on there is little more to gain.</strong>"
    )


def _without_speed(comparison):
    rivals = [result for result in comparison.contenders if result.family == "rival"]
    cut = [result.label for result in rivals if result.rows_per_second is None]
    return (
        f" Cut short within the first epoch, so no speed is given: {escape(words.joined(cut))}."
        if cut
        else ""
    )


def _noise_caption(noise, rows):
    return (
        "How far the direction from one batch strays from the direction of all rows (the variance of its gradient, over "
        "the square of the true one’s length), half-way to the optimum: twice the rows, half the noise. "
        f"<strong>{_balance(noise, rows)}</strong>"
    )


def _balance(noise, rows):
    if noise.one_row >= rows:
        return "Here the noise outweighs the signal in every batch short of all rows."
    return (
        f"Here noise and signal are equal at about {words.amount(max(round(noise.one_row), 1))} rows; much larger batches "
        "pay for an exactness that a step hardly needs."
    )
