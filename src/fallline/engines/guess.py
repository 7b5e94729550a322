"""A first guess at intercepts: where the mean of the targets is predicted."""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.objective.links import Log
from fallline.objective.losses import innermost
from fallline.objective.losses.offset import Offset

__all__ = ["first_guess"]


def first_guess(loss: Any, targets: np.ndarray, weight: np.ndarray, outputs: int) -> np.ndarray:
    """Intercepts (outputs,) at the weighted mean of the targets, on the scale of scores; 0 where targets are classes.

    Descent from 0 would overshoot where scores are logarithms, and take long where targets are far from 0.

    Parameters
    ----------
    loss : NamedTuple
    targets : ndarray of shape (targets, rows)
        The last are offsets, if the loss has one.
    weight : ndarray of shape (rows,)
    outputs : int
    """
    if loss.domain.classes:
        return np.zeros(outputs)
    weight = weight.astype(np.float64)
    offset = targets[-1].astype(np.float64) if isinstance(loss, Offset) else np.zeros(len(weight))
    y = targets[:outputs].astype(np.float64)
    with np.errstate(all="ignore"):
        means, ratios = (y - offset) @ weight / weight.sum(), y @ weight / (np.exp(offset) @ weight)
        guess = np.log(ratios) if isinstance(innermost(loss).link, Log) else means
    return np.where(np.isfinite(guess), guess, 0.0)
