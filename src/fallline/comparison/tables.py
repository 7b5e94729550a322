"""The tables of the page."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import numpy as np

from fallline.comparison import words
from fallline.comparison.palette import styles
from fallline.comparison.results import Comparison, Facts, Result
from fallline.comparison.verdict import constant_words, score_words

__all__ = ["columns_table", "numbers_table", "table_note", "trials_table"]


def numbers_table(comparison: Comparison) -> str:
    """One row a contender."""
    name, write = score_words(comparison)
    looks = styles(comparison.contenders)
    heads = (
        "Contender",
        "Rate",
        "Epochs",
        "Updates",
        "To 10%",
        "To 1%",
        "To 0.1%",
        "Gap at the end",
        "Rows a second",
        "Memory",
        f"Test {name}",
    )
    best = {gap: _fastest(comparison, gap) for gap in ("10%", "1%", "0.1%")}
    rows = [_row(result, looks[result.key].colour, best, write) for result in comparison.contenders]
    optimum = ["The exact optimum", *["–"] * 6, "0%", "–", "–", write(comparison.optimum_test_score)]
    constant = [
        f"Always {constant_words(comparison)}",
        *["–"] * 9,
        write(comparison.constant_test_score),
    ]
    beside = ["".join(f"<td>{cell}</td>" for cell in cells) for cells in (optimum, constant)]
    return _table(heads, [*rows, *beside])


def table_note(comparison: Comparison) -> str:
    """How to read it."""
    name, _ = score_words(comparison)
    meaning = (
        "the share of the test rows predicted right"
        if name == "accuracy"
        else "the share of the test target’s variance that is explained"
    )
    seeds = len(comparison.settings.seeds)
    return (
        f"Medians of {seeds} {'run' if seeds == 1 else 'runs'}; below a test score, its lowest and highest. “To 1%” is the "
        f"time until within 1% of the best possible model; a dash means not within the epochs made (under “Rows a "
        f"second”: not one epoch made); the fastest of all is in bold. Test {name} is {meaning}."
    )


def trials_table(comparison: Comparison) -> str:
    """The gap that each contender was left with by each rate."""
    settings = comparison.settings
    contenders = [result for result in comparison.contenders if result.trials]
    rows = []
    for result in contenders:
        found = {trial.rate: trial.objective for trial in result.trials}
        cells = [f"<td>{escape(result.label)}</td>"]
        cells += [_trial(comparison, found.get(rate), rate == result.rate) for rate in settings.rates]
        rows.append("".join(cells))
    return _table(("Contender", *(f"{rate:g}" for rate in settings.rates)), rows)


def columns_table(data: Facts) -> str:
    """What became of each column."""
    rows = [
        f"<td><code>{escape(one.column)}</code></td>"
        + "".join(f"<td>{escape(word)}</td>" for word in (one.type, one.kind, one.becomes))
        + f"<td>{one.features:,}</td><td>{'–' if one.missing is None else words.share(one.missing)}</td>"
        for one in data.encoding
    ]
    return _table(("Column", "Type", "Kind", "Becomes", "Features", "Missing"), rows, "columns")


def _trial(comparison, objective, chosen):
    if objective is None:
        return "<td>–</td>"
    gap = max(objective - comparison.optimum, 0) / (comparison.start - comparison.optimum)
    return f"<td{' class=best' if chosen else ''}>{escape(words.share(gap))}</td>"


def _table(heads, rows, kind=""):
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _fastest(comparison, gap):
    arrived = [result for result in comparison.contenders if result.reached[gap]["seconds"] is not None]
    return min(arrived, key=lambda result: result.reached[gap]["seconds"]).key if arrived else None


def _row(result: Result, colour: str, best: dict[str, str | None], write: Callable[[float], str]) -> str:
    curves = result.curves
    cells = [
        f'<td><span class="swatch" style="background:{colour}"></span>{escape(result.label)}</td>',
        f"<td>{'–' if result.rate is None else f'{result.rate:g}'}</td>",
        f"<td>{words.amount(curves.epochs[-1])}</td>",
        f"<td>{words.amount(curves.updates[-1])}</td>",
        *(_arrival(result, gap, best[gap] == result.key) for gap in best),
        f"<td>{escape(words.share(float(np.median([run[-1] for run in curves.gap]))))}</td>",
        f"<td>{'–' if result.rows_per_second is None else words.amount(float(f'{result.rows_per_second:.3g}'))}</td>",
        f"<td>{'–' if result.memory_bytes is None else words.megabytes(result.memory_bytes)}</td>",
        f"<td>{_score(result.test_score, write)}</td>",
    ]
    return "".join(cells)


def _arrival(result, gap, is_best):
    seconds = result.reached[gap]["seconds"]
    return f"<td{' class=best' if is_best else ''}>{'–' if seconds is None else words.time(seconds)}</td>"


def _score(scores, write):
    low, high = write(min(scores)), write(max(scores))
    spread = f"<small>{low} to {high}</small>" if low != high else ""
    return write(float(np.median(scores))) + spread
