"""The model of intercepts alone: where training begins, and what gains are counted from."""

from __future__ import annotations

import math

import numpy as np

from fallline.engines.newton.band import distances_of, set_band
from fallline.engines.newton.batch import Batch
from fallline.engines.summing import STEPS, examined, losses_along
from fallline.objective.losses.smoothed import bends

__all__ = ["intercepts_alone"]

# How often the band is halved while intercepts are looked for.
_HALVINGS = 8


def intercepts_alone(batch: Batch, count: int) -> np.ndarray:
    """The best model without columns, of the first rows: Newton's method on the intercepts, until half a row is left.

    A loss with kinks is smoothed over a band that holds all rows at first, and then half as wide in every step.
    """
    chunk, note = batch.chunk(slice(0, count)), batch.note
    v = np.zeros(batch.memory.weights.shape)
    set_band(batch, distances_of(batch, count, v), 1.0)
    kinked = bends(batch.engine.loss)
    for number in range(30):
        _, _, slopes, curvatures = examined(batch.loss, v, chunk)
        pull, bend = slopes.sum(axis=1, dtype=np.float64), curvatures.sum(axis=1, dtype=np.float64)
        if not np.isfinite(pull).all() or (np.abs(pull).max() <= 0.5 and (number >= _HALVINGS or not kinked)):
            break
        better = v.copy()
        better[:, -1] -= np.divide(pull, bend, out=np.zeros_like(pull), where=bend > 0)
        losses = losses_along(batch.loss, v, better, chunk)
        step = STEPS[np.argmin(losses)]
        if step == 0.0 and (number >= _HALVINGS or not kinked):
            break
        v += step * (better - v)
        if number < _HALVINGS:
            note["band"] /= 2.0
    note["widest"] = math.inf
    set_band(batch, distances_of(batch, count, v), 1.0)
    return v
