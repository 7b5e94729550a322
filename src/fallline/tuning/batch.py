r"""The batch size: where time is best spent, between updates that cost too much and rows that say the same.

A row costs c(b) in batches of b: its own work, and its share of the update's. The noise in a gradient of b rows has, squared, the
norm :math:`\operatorname{tr} \Sigma / b`, and

.. math:: B = \operatorname{tr} \Sigma / |G|^2

is the noise scale, G being the gradient without noise: to come as far, batches of b rows need :math:`1 + b/B` times as many rows
as the smallest do (McCandlish et al., An empirical model of large-batch training, 2018, section 2). So the time to come as far
is proportional to

.. math:: T(b) = c(b) \, (1 + b/B)

and the size is the power of two with the least (or the next that does not leave a single row over at the end of an epoch, where
that matters). The first factor falls to a knee, the second rises from the noise scale on.

1. A rate is looked for as in `rate`, with batches of 32, and the run with the best one leads to where most of training takes
   place: at the start gradients are large, and B is smaller than it will ever be again.
2. Every size is tried, with a few updates on the same rows; one that diverges, or that memory does not hold, is out, and all
   larger ones with it.
3. At the end of (1), batches of b and of :math:`b' = 16 b` rows give :math:`|G|^2` and :math:`\operatorname{tr} \Sigma` by
   their squared norms, for :math:`E |g_b|^2 = |G|^2 + \operatorname{tr} \Sigma / b` (the same, appendix A).

c is not taken from a clock, for then two runs would not agree to the bit: it is the count of the numbers that a row and an
update go through, which the caller states. The trials' speeds are kept beside what was found, to be looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from fallline.data.rows import TrainingSource
from fallline.state import State
from fallline.tuning.rate import climb
from fallline.tuning.trials import EngineFor, Found, Trial, Trials

__all__ = ["choose_batch_size"]

_FIRST_RATE = 2.0**-4
_USUAL = 32
_SMALLEST, _LARGEST = 16, 4096
# An epoch should come somewhere, also where there are few rows; and so should training: the noise scale knows nothing of
# slopes so different that plain descent needs many updates, however exact they are.
_BATCHES_AN_EPOCH, _UPDATES = 32, 2**13
# Rows of the larger batches that the noise is estimated from, at most; how many times smaller the others are; how many there are.
_NOISY, _TIMES, _BATCHES = 512, 16, 8


def choose_batch_size(
    engine_for: EngineFor,
    state: State,
    source: TrainingSource,
    seed: int,
    *,
    cost: Callable[[int], float],
    visits: int,
) -> Found:
    """How many rows an update should see.

    Parameters
    ----------
    engine_for : EngineFor
    state : State
        Where training will begin; it is left as it is.
    source : TrainingSource
    seed : int
        Chooses the rows of the trials.
    cost : callable
        What a row costs in batches of so many rows, in any unit.
    visits : int
        Visits to rows that training will make.

    Returns
    -------
    Found
        The same for the same data, state, seed and settings.

    Raises
    ------
    NonFiniteError
        If the data hold NaN or infinity.
    """
    trials = Trials(engine_for, state, source, seed, visits)
    budget = trials.budget
    rate, _ = climb(trials, _FIRST_RATE, _USUAL, max(1, visits // _USUAL), budget // 2)  # (1)
    best = min(trials.made, key=lambda trial: trial.objective)
    sizes, limit = _tried(trials, rate, source.n_rows, visits, budget)  # (2)
    noise = _noise_scale(trials, best, min(sizes[-1], _NOISY))  # (3)
    times = {size: cost(size) * (1 + size / noise) for size in sizes}
    size = min(sizes, key=times.__getitem__)
    scale = (
        f"the gradient's noise scale is {noise:,.0f} rows"
        if noise < math.inf
        else "the gradient cannot be told from noise"
    )
    tried = f"the least work of {sizes[0]} to {sizes[-1]:,} rows ({limit})"
    reason = f"{tried}: updates take {_share(cost, size):.0%} of it, and {scale}"
    return Found(size, reason, trials.start, trials.visits, trials.made)


def _tried(trials: Trials, rate: float, n: int, visits: int, budget: int) -> tuple[list[int], str]:
    """(2): the sizes that work, and what sets an end to them."""
    limits = {
        f"an epoch has {_BATCHES_AN_EPOCH} updates at least": n // _BATCHES_AN_EPOCH,
        f"training has {_UPDATES:,} updates at least": max(visits // _UPDATES, _SMALLEST),
        "no more were tried": min(_LARGEST, budget // 64),
    }
    limit = min(limits, key=limits.__getitem__)
    least = min(trials.least_rows, n)
    most = max(least, limits[limit])
    if most > limits[limit]:
        limit = "there are no smaller ones"
    sizes: list[int] = []
    size = min(_SMALLEST, 2 ** (most.bit_length() - 1))
    while size <= most:
        whole = _without_rest(size, n, least)
        try:
            trial = trials.run(rate, whole, max(1, most // size))
        except MemoryError:
            limit = "more do not fit in memory"
            break
        if sizes and trial.state is None:
            limit = "more diverged"
            break
        sizes.append(whole)
        size *= 2
    return sizes, limit


def _noise_scale(trials: Trials, best: Trial, large: int) -> float:
    """(3), in rows; infinite where the gradient cannot be told from noise."""
    small, batches = (
        max(min(trials.least_rows, large), large // _TIMES),
        max(1, min(_BATCHES, trials.trained // large)),
    )
    if best.state is None or small == large:
        return math.inf
    few, many = (
        sum(trials.squared_gradient(best.state, size, place) for place in range(count)) / count
        for size, count in ((small, batches * large // small), (large, batches))
    )
    gradient = (large * many - small * few) / (large - small)
    noise = (few - many) / (1 / small - 1 / large)
    return max(noise / gradient, 1.0) if gradient > 0 and noise > 0 else math.inf


def _without_rest(size: int, n: int, least: int) -> int:
    """The size, or the next one that leaves no fewer rows than the least over at the end of an epoch."""
    while 0 < n % size < least and size < n:
        size += 1
    return size


def _share(cost: Callable[[int], float], size: int) -> float:
    """The share of the work that goes into updates."""
    alone = cost(2**40)  # what a row costs where updates cost nothing
    return 1 - alone / cost(size)
