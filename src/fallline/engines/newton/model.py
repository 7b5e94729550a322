"""The quadratic model's minimum: of (2) and of (5), with the penalty and damped."""

from __future__ import annotations

import numpy as np

from fallline.engines.newton.batch import Batch
from fallline.engines.quadratic import minimum

__all__ = ["minimum_of", "solved"]


def minimum_of(
    batch: Batch, slopes: np.ndarray, bent: np.ndarray, model: np.ndarray, damping: float
) -> np.ndarray:
    """The minimiser of (5), given mean gradient and curvature at a model."""
    decay = batch.coordinates.decay
    if not (bent.any() or slopes.any()):
        # All rows lie where their loss is flat: the penalty alone counts.
        return np.where(decay + batch.coordinates.absolute > 0.0, 0.0, model)
    if not batch.coordinates.absolute.any():
        pull = batch.grouped(-(slopes + decay * model))
        return model + solved(batch, bent.copy(), pull, np.zeros_like(pull), damping).reshape(model.shape)
    start = batch.grouped(model)
    linear = np.einsum("gij,gj->gi", bent, start) - batch.grouped(slopes)
    return solved(batch, bent.copy(), linear, start, damping).reshape(model.shape)


def solved(
    batch: Batch, curvature: np.ndarray, linear: np.ndarray, anchor: np.ndarray, damping: float
) -> np.ndarray:
    """The minimisers (..., Q) of quadratic models and the penalty, damped towards anchors; `curvature` (..., Q, Q) is used up."""
    diagonal = np.einsum("...ii->...i", curvature)
    constant = batch.constant(diagonal)
    # Where no row bends, the loss may still do so further on, about as much as a mean of standardised squares.
    least = 1e-8 * diagonal.max(axis=-1, keepdims=True)
    extra = damping * np.maximum(diagonal, np.where(least > 0.0, least, 1.0))
    if constant.any():
        curvature[constant], curvature.swapaxes(-1, -2)[constant] = 0.0, 0.0
    diagonal += batch.decay + extra
    return minimum(curvature, linear + extra * anchor, batch.absolute, anchor)
