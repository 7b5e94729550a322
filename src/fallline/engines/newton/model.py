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
        nothing = np.zeros_like(model)
        return model + solved(batch, bent, batch.grouped(-(slopes + decay * model)), nothing, damping)
    linear = np.einsum("gij,gj->gi", bent, batch.grouped(model)) - batch.grouped(slopes)
    return solved(batch, bent, linear, model, damping)


def solved(
    batch: Batch, bent: np.ndarray, linear: np.ndarray, anchor: np.ndarray, damping: float
) -> np.ndarray:
    """The minimiser of the quadratic model and the penalty, damped towards an anchor."""
    outputs = len(anchor) // len(bent)
    decay, absolute = (
        np.tile(part, outputs) for part in (batch.coordinates.decay, batch.coordinates.absolute)
    )
    solutions = np.empty_like(linear)
    for g, (start, out) in enumerate(zip(batch.grouped(anchor), solutions, strict=True)):
        matrix, diagonal = bent[g].copy(), np.diagonal(bent[g])
        own = diagonal.reshape(-1, len(batch.noise))
        constant = (own <= batch.noise * own[:, -1:]).ravel()
        if constant.any():
            matrix[constant], matrix[:, constant] = 0.0, 0.0
        # Where no row bends, the loss may still do so further on, about as much as a mean of standardised squares.
        extra = damping * np.maximum(diagonal, 1e-8 * diagonal.max() or 1.0)
        matrix.flat[:: len(matrix) + 1] += decay + extra
        out[:] = minimum(matrix, linear[g] + extra * start, absolute, start)
    return solutions.reshape(anchor.shape)
