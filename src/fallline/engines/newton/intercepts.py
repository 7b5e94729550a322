"""The model of intercepts alone: where training begins, and what gains are counted from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fallline.data.rows import ArraySource
from fallline.engines.guess import first_guess
from fallline.engines.newton.band import distances_of, set_band
from fallline.engines.newton.batch import Batch
from fallline.engines.summing import STEPS, Chunk, examined
from fallline.objective.losses.smoothed import bends

__all__ = ["exact_intercepts", "intercepts_alone"]

# Of an interval for intercepts.
_DOUBLINGS, _HALVINGS = 60, 60
# From which intercepts are found, at most.
_ROWS = 2**16


def intercepts_alone(batch: Batch, count: int) -> np.ndarray:
    """The best model without columns: of all rows where it is known; otherwise of the first ones, to within half a row.

    Of a loss with kinks, also the first band.
    """
    chunk, known = batch.chunk(slice(0, count)), batch.engine.intercepts
    v = np.zeros(batch.memory.weights.shape)
    if not bends(batch.engine.loss):
        v[:, -1] = first_guess(batch.engine.loss, chunk.targets, chunk.weight, len(v))
        return _descended(batch, chunk, v)
    v[:, -1] = _bisected(batch.engine.loss, chunk, len(v)) if known is None else known
    batch.note["widest"] = math.inf
    set_band(batch, distances_of(batch, count, v), 1.0)
    return v


def _descended(batch, chunk, v):
    """Newton's method on the intercepts."""
    for _ in range(30):
        _, _, slopes, curvatures = examined(batch.engine.loss, chunk.scores(v), chunk)
        pull, bend = slopes.sum(axis=1, dtype=np.float64), curvatures.sum(axis=1, dtype=np.float64)
        if np.abs(pull).max() <= 0.5 or not np.isfinite(pull).all():
            break
        better = v.copy()
        better[:, -1] -= np.divide(pull, bend, out=np.zeros_like(pull), where=bend > 0)
        step = STEPS[np.argmin(batch.lowest_along(v, better, chunk))]
        if step == 0.0:
            break
        v += step * (better - v)
    return v


def exact_intercepts(loss: Any, outputs: int, source: ArraySource) -> np.ndarray:
    """The best model without columns of a loss with kinks; of very many rows, of the heaviest and of some of the others."""
    targets, weight = source.targets()
    weight = weight.astype(np.float64)
    if len(weight) > _ROWS:
        heaviest = np.argpartition(weight, -_ROWS // 2)[-_ROWS // 2 :]
        others = np.setdiff1d(np.arange(len(weight)), heaviest, assume_unique=True)
        every = -(-len(others) // (_ROWS // 2))
        rows = np.concatenate([heaviest, others[::every]])
        weight[others] *= every
        targets, weight = targets[rows], weight[rows]
    z = np.ones((len(weight), 1), source.dtype)
    chunk = Chunk(z, np.ascontiguousarray(targets.T), weight.astype(source.dtype))
    return _bisected(loss, chunk, outputs)


def _bisected(loss, chunk, outputs):
    """Where the slope of each output changes its sign: at a kink, which no parabola finds."""
    low, high = (np.full(outputs, side) for side in (-1.0, 1.0))
    v = np.zeros((outputs, chunk.z.shape[1]))

    def rising(place):
        v[:, -1] = place
        return examined(loss, chunk.scores(v), chunk)[2].sum(axis=1, dtype=np.float64) > 0

    for _ in range(_DOUBLINGS):
        above, below = rising(high), rising(low)
        if above.all() and not below.any():
            break
        high, low = np.where(above, high, 2.0 * high), np.where(below, 2.0 * low, low)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        above = rising(middle)
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return high
