"""The experiment: each contender chooses its rate, then runs once a seed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from fallline.comparison.contenders import Contender, Snapshot
from fallline.comparison.optimum import Optimum
from fallline.comparison.problem import Problem, Test
from fallline.comparison.results import Curves, Result, Settings, Trial
from fallline.errors import DivergenceError

__all__ = ["GAPS", "RATES", "SEARCH_ROWS", "observe", "warm_up"]

RATES = [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]
SEARCH_ROWS = 10_000
GAPS = {"10%": 0.1, "1%": 0.01, "0.1%": 0.001}

_RECORDS = 40
_RECORDS_WHEN_LARGE = 24
_LARGE = 20_000_000  # products of rows, columns and outputs to look once
_SHORT = 8  # a last batch this many times smaller than the others is worth a remark
_GROWTH = 1.4  # from one look to the next, about so many times as much has been done

_LATE = "Ended before its last epoch: the time limit was reached."
_DIVERGED = "Ended before its last epoch: it diverged."


def warm_up(contender: Contender, problem: Problem) -> None:
    """Have everything compiled and loaded, so that nobody's clock counts it."""
    for _ in contender.trace(problem.part(64), 1e-6, 0, 1, 2):
        pass


def observe(
    contender: Contender,
    problem: Problem,
    test: Test,
    optimum: Optimum,
    settings: Settings,
    seconds: float,
    tell: Callable[[float, str], None],
) -> Result:
    """Choose the contender's rate, run it once a seed, and note what happened, all within so many seconds."""
    deadline = time.perf_counter() + seconds
    trials, notes = (
        _search(contender, problem, settings, time.perf_counter() + seconds / 2, tell)
        if contender.needs_rate
        else ([], [])
    )
    rate = _best(trials)
    runs: list[list[tuple[Snapshot, float]]] = []
    ended: list[str] = []
    took = 0.0
    for i, seed in enumerate(settings.seeds):
        tell(0.5 + 0.5 * i / len(settings.seeds), f"{contender.label}, seed {seed}")
        left = (deadline - time.perf_counter()) / (len(settings.seeds) - i)
        if runs and left < took and not contender.needs_rate:
            runs.append(runs[0])  # who has no rate knows no seed either: it would only do the same again
            continue
        began = time.perf_counter()
        run, why = _run(contender, problem, rate, seed, settings.epochs, left)
        runs.append(run)
        ended.append(why)
        took = time.perf_counter() - began
    notes += [*dict.fromkeys(filter(None, ended)), *_short_batch(contender, problem.n)]
    return _gather(contender, problem, test, optimum, runs, rate, trials, notes)


def _search(contender, problem, settings, deadline, tell):
    """Try every rate on the same rows, for the same number of row visits; stop when time is over."""
    part = problem.part(SEARCH_ROWS, settings.split_seed)
    trials: dict[float, float | None] = {}
    for rate in _middle_first(settings.rates):
        if len(trials) >= 3 and time.perf_counter() > deadline:
            break
        tell(0.5 * len(trials) / len(settings.rates), f"{contender.label}, rate {rate:g}")
        trials[rate] = _objective_at_end(contender, part, rate, settings)
    missed = len(settings.rates) - len(trials)
    notes = (
        [f"{missed} of {len(settings.rates)} rates were not tried: the time limit was near."]
        if missed
        else []
    )
    return [Trial(rate, trials[rate]) for rate in sorted(trials)], notes


def _middle_first(rates):
    middle = len(rates) // 2
    return sorted(rates, key=lambda rate: abs(rates.index(rate) - middle))


def _objective_at_end(contender, problem, rate, settings):
    """None where the rate makes it diverge: not finite, or worse than where it started."""
    try:
        [end] = _quiet(contender.trace(problem, rate, settings.split_seed, settings.epochs, 1))
    except DivergenceError:
        return None
    value = problem.objective.value(end.weights) if np.isfinite(end.weights).all() else np.inf
    return value if value < problem.objective.value(np.zeros_like(end.weights)) else None


def _quiet(snapshots):
    with np.errstate(all="ignore"):
        return list(snapshots)


def _best(trials):
    """The rate with the lowest objective; where all diverged, the smallest."""
    if not trials:
        return None
    tried = [trial for trial in trials if trial.objective is not None]
    return min(tried, key=lambda trial: trial.objective).rate if tried else trials[0].rate


def _run(contender, problem, rate, seed, epochs, seconds):
    """Snapshots of one run, each with its objective, and why it ended before its last epoch.

    It does where the next snapshot would come after so many seconds, and where weights grow beyond all numbers.
    """
    began, run, why = time.perf_counter(), [], ""
    records = _RECORDS if problem.X.size * problem.outputs < _LARGE else _RECORDS_WHEN_LARGE
    try:
        for snapshot in contender.trace(problem, rate, seed, epochs, records):
            value = problem.objective.value(snapshot.weights)
            if not np.isfinite(value):
                why = _DIVERGED
                break
            run.append((snapshot, value))
            late = contender.needs_rate and (time.perf_counter() - began) * _GROWTH > seconds
            if late and snapshot.updates < _updates_wanted(contender, problem, epochs):
                why = _LATE
                break
    except DivergenceError:
        why = _DIVERGED
    return run or [(_nothing(problem), problem.objective.value(np.zeros(problem.objective.shape)))], why


def _nothing(problem):
    return Snapshot(1, 1, 1e-9, np.zeros(problem.objective.shape))


def _short_batch(contender, n):
    left = n % (contender.batch_size or 1)
    if left == 0 or left > contender.batch_size / _SHORT:
        return []
    rows = "row" if left == 1 else "rows"
    note = f"The last batch of an epoch has only {left} {rows}: its step is rough, and curves may jump at an epoch's end."
    return [note]


def _updates_wanted(contender, problem, epochs):
    if contender.batch_size is None:
        return 0
    return epochs * -(-problem.n // contender.batch_size)


def _gather(contender, problem, test, optimum, runs, rate, trials, notes):
    length = min(map(len, runs))
    first = [snapshot for snapshot, _ in runs[0][:length]]
    ends = [run[length - 1][0].weights for run in runs]
    curves = Curves(
        updates=[int(snapshot.updates) for snapshot in first],
        epochs=[snapshot.rows / problem.n for snapshot in first],
        rows=[int(snapshot.rows) for snapshot in first],
        seconds=[[snapshot.seconds for snapshot, _ in run[:length]] for run in runs],
        gap=[[optimum.gap(value) for _, value in run[:length]] for run in runs],
    )
    result = Result(
        key=contender.key,
        label=contender.label,
        family=contender.family,
        batch_size=contender.batch_size,
        rate=rate,
        trials=trials,
        curves=curves,
        test_score=[test.score(weights) for weights in ends],
        beats_constant=all(test.clearly_better(weights, problem.constant) for weights in ends),
        notes=notes,
    )
    result.reached = {name: _reached(curves, gap) for name, gap in GAPS.items()}
    return result


def _reached(curves, gap):
    """Where the median run first comes within a gap, by each axis; None where it does not."""
    median = np.median(curves.gap, axis=0)
    seconds = np.median(curves.seconds, axis=0)
    axes = {"epochs": curves.epochs, "updates": curves.updates, "rows": curves.rows, "seconds": seconds}
    return {axis: _crossing(values, median, gap) for axis, values in axes.items()}


def _crossing(x: Sequence[float], gaps: np.ndarray, gap: float) -> float | None:
    """Where the gaps first fall to `gap`: between two looks, on a straight line in the logarithms of both."""
    below = np.flatnonzero(gaps <= gap)
    if not len(below):
        return None
    i = int(below[0])
    if i == 0:
        return float(x[0])
    low = max(gaps[i], 1e-16)
    part = np.log(gaps[i - 1] / gap) / np.log(gaps[i - 1] / low) if gaps[i - 1] > low else 1.0
    return float(np.exp(np.log(x[i - 1]) + part * np.log(x[i] / x[i - 1])))
