"""What the numbers say, in plain words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fallline.comparison.results import Comparison, Result
from fallline.comparison.words import amount, counted, joined, multiple, percent, sentence_case, share, time

__all__ = ["AXES", "axis_sentence", "constant_words", "find_winners", "judge", "measured", "score_words"]

AXES = {"epochs": "epochs", "updates": "updates", "rows": "rows seen", "seconds": "seconds"}

_LEVEL = 1.1  # who needs no more than so many times as much as the first is level with it
_NO_WAIT = 2e-3  # seconds; whether it is one or the other up to here, nobody notices, and a timer hardly


def find_winners(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    """For each axis: which of fallline's variants is first to the closest gap that any of them reaches, and where."""
    variants = [result for result in results if result.family == "fallline"]
    return {axis: _winner(variants, axis) for axis in AXES}


def _winner(variants, axis):
    for gap in ("1%", "10%"):
        arrived = [result for result in variants if result.reached[gap][axis] is not None]
        if arrived:
            first = min(arrived, key=lambda result: result.reached[gap][axis])
            value = first.reached[gap][axis]
            level = [r.label for r in arrived if r is not first and r.reached[gap][axis] <= _LEVEL * value]
            return {"key": first.key, "label": first.label, "gap": gap, "value": value, "level": level}
    closest = min(variants, key=_final_gap)
    return {"key": closest.key, "label": closest.label, "gap": None, "value": None, "level": []}


def _final_gap(result):
    return float(np.median([run[-1] for run in result.curves.gap]))


def axis_sentence(comparison: Comparison, axis: str) -> str:
    """Who wins by this axis."""
    winner = comparison.winners[axis]
    if winner["value"] is None:
        return f"No variant came within 10%; {winner['label']} came closest."
    level = f" ({joined(winner['level'])} level with it)" if winner["level"] else ""
    return f"First within {winner['gap']}: {winner['label']}, after {measured(axis, winner['value'])}{level}."


def measured(axis: str, value: float) -> str:
    """So much by this axis: 41 ms, 3,200 rows, 2.5 epochs, 1 update."""
    if axis == "seconds":
        return time(value)
    if axis == "rows":
        return f"{amount(value)} rows"
    number = f"{value:.2g}" if value < 10 else amount(value)
    return f"{number} {axis[:-1] if number == '1' else axis}"


def judge(comparison: Comparison) -> list[str]:
    """The verdict, most important sentence first."""
    sentences = [
        _useless(comparison),
        _fastest(comparison),
        _axes(comparison),
        _other_method(comparison),
        _libraries(comparison),
        _scores(comparison),
    ]
    return [sentence for sentence in sentences if sentence]


def _useless(comparison):
    """Whether all this is about models that are no better than none."""
    if any(result.beats_constant for result in comparison.contenders):
        return ""
    name, write = score_words(comparison)
    best = max(comparison.contenders, key=_score)
    return (
        f"No model here is clearly better on the {counted(comparison.data.test_rows, 'test row')} than one that always predicts "
        f"{constant_words(comparison)}: test {name} {write(_score(best))} at best, against "
        f"{write(comparison.constant_test_score)}. What follows says who trains fastest, not that it is worth it."
    )


def _fastest(comparison):
    winner = comparison.winners["seconds"]
    variants = [result for result in comparison.contenders if result.family == "fallline"]
    if winner["value"] is None:
        closest = _by_key(comparison, winner["key"])
        made = closest.curves.epochs[-1]
        return (
            f"None of the variants came within 10% of the best possible; {closest.label} came closest, with "
            f"{share(_final_gap(closest))} of the way still to go after {measured('epochs', made)}. "
            f"Give them more {'time' if made < comparison.settings.epochs else 'epochs'}."
        )
    gap = winner["gap"]
    ends = [r for r in variants if r.key in ("stochastic", "batch") and r.key != winner["key"]]
    beside = f" ({'; '.join(_arrival(result, gap) for result in ends)})" if ends else ""
    level = f" (level with {joined(winner['level'])})" if winner["level"] else ""
    return (
        f"On this data the fastest gradient descent is {winner['label']}{level}: within {gap} of the best possible in "
        f"{time(winner['value'])}{beside}."
    )


def _arrival(result, gap):
    seconds = result.reached[gap]["seconds"]
    if seconds is not None:
        return f"{result.label}: {time(seconds)}"
    return f"{result.label}: not within {measured('epochs', result.curves.epochs[-1])}"


def _axes(comparison):
    by = {axis: comparison.winners[axis] for axis in AXES}
    if any(winner["value"] is None for winner in by.values()):
        return ""
    labels = {winner["label"] for winner in by.values()}
    if len(labels) == 1:
        return f"{sentence_case(labels.pop())} wins however you count here: in updates, in rows seen and in seconds."
    return (
        f"Who wins depends on what you count: in updates {by['updates']['label']}, in rows seen (or epochs) "
        f"{by['rows']['label']}, in seconds {by['seconds']['label']}. Seconds are what you wait for."
    )


def _other_method(comparison):
    """Whether a method that is no gradient descent would serve better."""
    other = _by_key(comparison, "l-bfgs")
    arrived = [gap for gap in ("0.1%", "1%") if other.reached[gap]["seconds"] is not None]
    if not arrived:
        return ""
    gap, its = arrived[0], other.reached[arrived[0]]["seconds"]
    what = "L-BFGS, which uses all rows and the objective's curvature,"
    ours = [result.reached[gap]["seconds"] for result in comparison.contenders if result.family == "fallline"]
    ours = [seconds for seconds in ours if seconds is not None]
    if ours and max(its, min(ours)) <= max(_LEVEL * min(its, *ours), _NO_WAIT):
        return (
            f"{what} came within {gap} in {time(its)}, the fastest gradient descent in {time(min(ours))}: "
            "no difference to speak of. Either serves here."
        )
    if ours and min(ours) <= its:
        return (
            f"{what} needed {time(its)} to come within {gap}; the fastest gradient descent {time(min(ours))}. "
            f"If you want the exact optimum, L-BFGS reaches it in {time(_end(other))}."
        )
    beside = (
        f"the fastest gradient descent took {time(min(ours))}" if ours else "no gradient descent came so far"
    )
    return (
        f"Another method serves better here: {what} came within {gap} in {time(its)}; {beside}. "
        + _size_to_use_it_on(comparison.data)
    )


def _size_to_use_it_on(data):
    if data.rows < data.rows_found:
        return (
            f"For a linear model on {data.rows:,} rows, use L-BFGS; all {data.rows_found:,} it would have to hold in memory, "
            "where gradient descent holds a batch."
        )
    return "For a linear model on data of this size, use L-BFGS."


def _end(result):
    return float(np.median([run[-1] for run in result.curves.seconds]))


def _libraries(comparison):
    parts = []
    for rival in comparison.contenders:
        if rival.family != "rival":
            continue
        same = [
            r for r in comparison.contenders if r.family == "fallline" and r.batch_size == rival.batch_size
        ]
        if same and same[0].rows_per_second and rival.rows_per_second:
            ratio = same[0].rows_per_second / rival.rows_per_second
            parts.append(f"{_times_as_fast(ratio)} {rival.label}")
    return f"At the same batch size fallline went through the rows {joined(parts)}." if parts else ""


def _times_as_fast(ratio):
    if 1 / _LEVEL <= ratio <= _LEVEL:
        return "about as fast as"
    return f"{multiple(ratio)} times as fast as" if ratio > 1 else f"at {share(ratio)} of the speed of"


def _scores(comparison):
    """Whether the choice changes the model that comes out, or only the wait for it."""
    name, write = score_words(comparison)
    variants = [result for result in comparison.contenders if result.family == "fallline"]
    ranked = sorted(variants, key=_score)
    low, high, exact = ranked[0], ranked[-1], comparison.optimum_test_score
    if _score(high) - _score(low) <= _chance(comparison, exact):
        return (
            f"The models that come out predict about equally well: test {name} {_span(write(_score(low)), write(_score(high)))}, "
            f"at the exact optimum {write(exact)}. "
            "Here the batch size decides how long you wait, not what you get."
        )
    return (
        f"The models that come out differ: test {name} is {write(_score(high))} for {high.label} and {write(_score(low))} for "
        f"{low.label}; at the exact optimum it is {write(exact)}."
    )


def _span(low, high):
    return low if low == high else f"from {low} to {high}"


def score_words(comparison: Comparison) -> tuple[str, Callable[[float], str]]:
    """What the test score is called, and how to write one."""
    return ("R²", "{:z.3f}".format) if comparison.data.task == "regression" else ("accuracy", percent)


def constant_words(comparison: Comparison) -> str:
    """What a model predicts that looks at no feature."""
    return "the mean" if comparison.data.task == "regression" else "the most frequent class"


def _score(result):
    return float(np.median(result.test_score))


def _chance(comparison, score):
    """Differences up to this say nothing: two standard errors of a share of so many test rows."""
    return (
        0.01
        if comparison.data.task == "regression"
        else 2 * np.sqrt(max(score * (1 - score), 0.01) / comparison.data.test_rows)
    )


def _by_key(comparison, key):
    return next(result for result in comparison.contenders if result.key == key)
