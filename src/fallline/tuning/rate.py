r"""The learning rate, by a short and bounded probe.

A range test, in which one run raises its rate until it diverges (Smith, Cyclical learning rates, 2017), mixes up what a rate
does and what the updates before it did, and its curve ends where the run blew up, not where the rate is best. Here each rate
gets a run of its own: from the same state, on the same rows, through the whole schedule in short, warm-up and descent to zero
included. That matters: at a constant rate, the best of short runs is far too small for long ones (Wu et al., Understanding
short-horizon bias, 2018).

1. **Scale.** Runs of up to 64 updates. The rate goes down from the first guess until the objective no longer rises, then up for
   as long as it falls more, both in strides that grow; then times or divided by 4, until neither neighbour is clearly better.
   Rows that were not trained on judge.
2. **Length.** The same climb from there with what is left of the budget: runs about ten times as long. They bear no higher rate
   than the short ones; where they seem to, that is chance.
3. **Minimum.** A parabola through the best and its neighbours, in the logarithms of rate and objective, gives :math:`\eta_m`.
4. **Horizon.** Where curvature limits the rate, the best one does not depend on the number of updates; where noise does, it falls
   like its square root (Nemirovski et al., Robust stochastic approximation, 2009). With u updates tried and U to come,

   .. math:: \eta = \eta_m (u / U)^h,

   with h = 2/5 for linear models and 1/5 for networks, middle courses that were measured on the data sets of
   `benchmarks/rates.py` and `benchmarks/mlp_defaults.py`. If four times :math:`\eta_m` is worse than no
   update at all, curvature is what limits it, and :math:`\eta = \eta_m / 2`, to be safe on rows not yet seen.
5. The rate is rounded to a power of two: short to write down, and no more exact than the probe is.

The runs visit at most a twentieth as many rows as training will, or 65,536 where that is more. Large batches are tried with
smaller ones, which are noisier, so that what is found is safe.
"""

from __future__ import annotations

import math

from fallline.data.rows import TrainingSource
from fallline.state import State
from fallline.tuning.trials import EngineFor, Found, Trials

__all__ = ["climb", "probe_rate"]

# Where to begin: in the middle between what suits SGD and what suits Adam.
_FIRST = 2.0**-4
_STRIDE = 4.0
# Where none above this is better than to stay, none is: the schedule may have rates of its own.
_LEAST = 2.0**-128
_SHORT, _FEWEST = 64, 32
# Better by less than this share of what was gained is chance.
_CLEARLY = 0.005
# Worse by less than this share, the objective is as low as at the start: where that is the optimum, none is lower.
_SLACK = 0.01
# Trials that half of the budget should suffice for in (1), and the rest of it in (2).
_SHORT_TRIALS, _LONG_TRIALS = 8, 4


def probe_rate(
    engine_for: EngineFor,
    state: State,
    source: TrainingSource,
    seed: int,
    *,
    batch_size: int,
    updates: int,
) -> Found:
    """The highest rate for a schedule over so many updates.

    Parameters
    ----------
    engine_for : EngineFor
    state : State
        Where training will begin; it is left as it is.
    source : TrainingSource
    seed : int
        Chooses the rows of the trials.
    batch_size, updates : int
        Those of the run to come.

    Returns
    -------
    Found
        The same for the same data, state, seed and settings.

    Raises
    ------
    NonFiniteError
        If the data hold NaN or infinity.
    """
    trials = Trials(engine_for, state, source, seed, updates * batch_size, fewest=_LONG_TRIALS)
    budget = trials.budget
    rate, seen = climb(trials, _FIRST, batch_size, updates, budget // 2)  # (1)
    short, highest = trials.made[-1], _minimum(rate, seen)
    tried, size = short.updates, short.batch_size
    rows = (budget - trials.visits) // _LONG_TRIALS - trials.judged
    longer, length = _extent(rows, 2 * _FEWEST, batch_size, trials.least_rows)
    if min(length, updates) > 2 * tried:
        tried, size = min(length, updates), longer
        rate, seen = _climb(trials, rate, size, tried, budget)  # (2)
    best = _minimum(rate, seen)  # (3)
    if size == short.batch_size:
        best = min(best, highest)
    if seen.get(_STRIDE * rate, 0.0) >= trials.start:  # (4)
        value, why = rate / 2, "half of the largest that lowers it, for curvature limits it"
    else:
        value = best * min(1.0, tried / updates) ** trials.horizon
        why = f"the best of runs of {tried:,} updates, lowered for {updates:,} of them"
    value = 2.0 ** round(math.log2(value))  # (5)
    reason = f"{len(trials.made)} short runs on {trials.visits:,} visits to rows: {why}"
    return Found(value, reason, trials.start, trials.visits, trials.made)


def climb(
    trials: Trials, rate: float, batch_size: int, updates: int, budget: int
) -> tuple[float, dict[float, float]]:
    """(1): a rate that does better than a quarter and four times of it, and the objective by rate."""
    rows = budget // _SHORT_TRIALS - trials.judged
    size, length = _extent(rows, _FEWEST, batch_size, trials.least_rows)
    return _climb(trials, rate, size, min(length, _SHORT, updates), budget)


def _extent(rows, fewest, batch_size, least_rows):
    """Batch size and updates for so many rows: smaller batches rather than fewer updates."""
    size = min(batch_size, max(least_rows, rows // fewest))
    return size, max(1, rows // size)


def _climb(trials, rate, batch_size, updates, budget):
    """To a rate of which neither neighbour is clearly better; or as far as the budget goes."""
    seen: dict[float, float] = {}
    start, cost = trials.start, batch_size * updates + trials.judged

    def affordable():
        return trials.visits + cost <= budget

    def objective(rate):
        if rate not in seen:
            if seen and not affordable():
                return math.inf
            seen[rate] = trials.run(rate, batch_size, updates).objective
        return seen[rate]

    def better(other, rate):
        gained = max(start - objective(rate), 0.0)
        return objective(other) < objective(rate) - _CLEARLY * gained

    stride = _STRIDE
    while objective(rate) > start + _SLACK * abs(start) and affordable() and rate > _LEAST:
        rate, stride = rate / stride, stride * _STRIDE
    stride = _STRIDE
    while better(rate * stride, rate):
        rate, stride = rate * stride, stride * _STRIDE
    for factor in (1 / _STRIDE, _STRIDE):
        while better(rate * factor, rate):
            rate *= factor
    return rate, seen


def _minimum(rate, seen):
    """(3): where the parabola through three points is lowest; the middle one where there is none."""
    points = [seen.get(place, math.inf) for place in (rate / _STRIDE, rate, rate * _STRIDE)]
    if not all(0 < point < math.inf for point in points):
        return rate
    below, here, above = map(math.log, points)
    bend = below + above - 2 * here
    if bend <= 0:
        return rate
    # Where all three are about the same, it may lie anywhere; what was not tried is not trusted.
    return rate * _STRIDE ** min(1.0, max(-1.0, 0.5 * (below - above) / bend))
