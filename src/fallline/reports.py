"""What was done and what was found, in words and tables for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.names import bytes_in_words

__all__ = ["training_report"]


def training_report(summary: Mapping[str, Any]) -> str:
    """The summary of a training run as a short text."""
    data, training, stop = summary["data"], summary["training"], summary["stop"]
    layout = "sparse" if data["sparse"] else "dense"
    lines = [
        f"{data['name']}: {data['rows']:,} rows, {data['columns']:,} columns -> {data['features']:,} features ({layout}).",
        f"{data['target']!r} taken as {data['task']} ({data['why_task']}).",
        *_left_out(data),
        *_network(training),
        _method(training),
        *_found(training),
        _progress(training),
        *_validation(summary),
        *_kept(training),
        f"Time: {_times(summary['seconds'])}. {_cache(summary['cache'])}",
        f"Memory: at most {bytes_in_words(summary['memory']['peak'])} resident; {summary['memory']['shuffle']}.",
        f"Training stopped because {stop['message']}.",
        *(f"Note: {sentence}" for sentence in summary["notes"]),
    ]
    return "\n".join(lines)


def _network(training):
    """Of a network, what it is."""
    network = training.get("network")
    if network is None:
        return []
    given = network["arguments"]
    layers = [f"{given['features']:,} features"]
    if given.get("groups"):
        sizes = [size for _, _, size in given["groups"]]
        numbers = f"{min(sizes)} to {max(sizes)}" if min(sizes) < max(sizes) else f"{sizes[0]}"
        layers.append(f"{len(sizes)} embedding{'s' * (len(sizes) > 1)} of {numbers} numbers beside the rest")
    layers += [f"{units:,}" for units in given.get("hidden", [])]
    layers.append(f"{given['outputs']:,} score{'s' * (given['outputs'] > 1)}")
    where = f"trained on {training['device']} in {training['precision']}"
    return [
        f"Network {network['model']}: {' -> '.join(layers)}; {network['parameters']:,} parameters, {where}."
    ]


def _kept(training):
    """Which weights are kept, where not the last."""
    if training.get("kept") is None:
        return []
    return [
        f"The weights kept are those of epoch {training['kept']:,}, with the lowest loss on the rows held out."
    ]


def _method(training):
    penalised = training["penalty"] not in (None, "none")
    penalty = (
        f"penalty {training['penalty']} with alpha {training['alpha']:.3g}" if penalised else "no penalty"
    )
    begin = f"{training['loss']}, {penalty}; "
    if "optimizer" not in training:
        return begin + _solver(training)
    highest = training["learning_rate"]
    rate = f"{training['schedule']} rate" + ("" if highest is None else f" {highest:g}")
    batches = f"batch size {training['batch_size']:,}"
    return begin + f"{training['optimizer']}, {batches}, {rate}{_together(training)}."


def _together(training):
    """How many processes trained; models of before there could be many know of one."""
    many, every = training.get("processes", 1), training.get("sync_every")
    if many == 1:
        return ""
    when = "every update together" if every == 1 else f"weights averaged every {every:,} updates"
    return f"; {many} processes, {when}"


def _solver(training):
    """A solver that needs no rate: why it was chosen, its batches, and how near the optimum it came."""
    sizes, left = training["batch_sizes"], training["optimality"]
    batches = f", batches of {sizes[0]:,} to {sizes[-1]:,} rows" if len(sizes) > 1 else ""
    near = "" if left is None else f"; within {left:.1g} of the optimum, relative to what was gained"
    return f"solver {training['solver']} ({training['why_solver']}){batches}{near}."


def _found(training):
    """What was found out, and why. Models of before this was done know nothing of it."""
    found = training.get("found", {})
    return [
        f"Found: {name.replace('_', ' ')} {note['value']:g}, by {note['reason']}."
        for name, note in found.items()
    ]


def _progress(training):
    done = f"{training['epochs']:,} epochs, {training['updates']:,} updates"
    loss = training["loss_at_end"]
    ended = "" if loss is None else f": loss {loss:.6g}"
    return f"{done}{ended}, {training['rows_a_second']:,.0f} rows a second."


def _left_out(data):
    reasons = []
    if data["rows_without_target"]:
        reasons.append(f"{_rows(data['rows_without_target'])} without a target")
    if data["rows_skipped"]:
        reasons.append(f"{_rows(data['rows_skipped'])} that could not be read")
    return [f"Left out: {' and '.join(reasons)}."] if reasons else []


def _rows(count):
    return "1 row" if count == 1 else f"{count:,} rows"


def _validation(summary):
    if not summary.get("validation"):
        return []
    found = ", ".join(
        f"{name.replace('_', ' ')} {value:.5g}"
        for name, value in summary["validation"].items()
        if name != "rows"
    )
    return [f"On {summary['validation']['rows']:,.0f} rows held out: {found}."]


def _times(seconds):
    return ", ".join(
        f"{what} {took:.1f} s" for what, took in seconds.items() if took >= 0.05 or what == "total"
    )


def _cache(cache):
    if cache["path"] is None:
        where = "a temporary file" if cache["bytes"] else "memory only"
        return f"Encoded rows were kept in {where}."
    how = "found again in" if cache["found"] else "written to"
    return f"Encoded rows ({bytes_in_words(cache['bytes'])}) {how} {cache['path']}."
