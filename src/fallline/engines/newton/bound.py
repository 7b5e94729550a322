"""How far below a model the optimum may lie, of losses with kinks: what (6) says."""

from __future__ import annotations

import numpy as np

from fallline.engines.newton.band import few_bend
from fallline.engines.newton.batch import ACCEPTED, Batch
from fallline.kernels.verbs import lean
from fallline.objective.losses import innermost
from fallline.objective.losses.huber import Huber

__all__ = ["bounded", "opened", "smoothing"]


def bounded(batch: Batch, left: float, added: float, plain: float, *, settled: bool) -> tuple[float, float]:
    """What is left to gain of the smoothed objective, and what the optimum does not lie below: (6).

    Where few rows bend, the bracket stands for the estimate of (5) that is given. Where many do, the bound is one in a band
    that is settled, but of a loss that bends by itself (Huber's). Otherwise, and where no penalty answers the pull on a column,
    it is minus infinity.
    """
    note = batch.note
    if not (note["band"] and (batch.coordinates.decay + batch.coordinates.absolute)[:-1].all()):
        return left, -np.inf
    if few_bend(batch):
        left = max(left, _unanswered(batch, plain))
        return left, plain - left - added
    if settled and not isinstance(innermost(batch.engine.loss), Huber):
        return left, plain - _unanswered(batch, plain) - note["slack"] / batch.n
    return left, -np.inf


def _unanswered(batch, objective):
    """The bracket of (6), at the model accepted and its objective: w . u <= P(w) + P*(u) for the pull u.

    Where P*(u) is infinite, all slopes are made smaller until it is not. That costs no more than a share of the losses.
    """
    memory, model = batch.memory, batch.memory.points[ACCEPTED]
    decay, absolute = batch.coordinates.decay[:-1], batch.coordinates.absolute[:-1]
    v, pull = model[:, :-1], -memory.slopes[1][:, :-1]
    squared = decay > 0.0
    share = 1.0 / np.max(np.abs(pull) / absolute, where=~squared, initial=1.0)
    over = np.maximum(np.abs(share * pull) - absolute, 0.0)
    conjugate = np.divide(over**2, 2.0 * decay, where=squared, out=np.zeros_like(over)).sum()
    penalty = batch.coordinates.penalty(model)
    lost = (1.0 - share) * max(objective - penalty, 0.0)
    # Intercepts have no penalty: they may go as far as rows are from kinks in the mean.
    reach = memory.distances[: batch.note["sampled"]].mean()
    free = np.abs(memory.slopes[1][:, -1]).sum() * reach
    return float(penalty + conjugate - share * (v * pull).sum() + lost + free)


def opened(batch: Batch) -> float:
    """The sum of (6), or what smoothing adds to the objective, if that is more; 0 where nothing is smoothed."""
    note = batch.note
    if not note["band"]:
        return 0.0
    middle = lean(innermost(batch.engine.loss)) == 0.5
    # Where the band is not in the middle, the sum of what is added says little: at most that.
    adds = smoothing(batch) if middle else note["band"] ** 2 / 8.0 * note["bend"] / batch.n
    return float(max(adds, note["slack"] / batch.n))


def smoothing(batch: Batch) -> float:
    """By how much the mean of smoothed losses is above that of the losses themselves, at the model looked at."""
    smoothed, itself = batch.memory.losses[-2:]
    return float(smoothed - itself) / batch.n
