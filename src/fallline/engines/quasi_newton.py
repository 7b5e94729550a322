"""Limited-memory BFGS with a diagonal first matrix.

Sources: Nocedal, Updating quasi-Newton matrices with limited storage (1980); Nocedal and Wright, Numerical Optimization (2006),
algorithm 7.4, whose first matrix is here the inverse of a diagonal D, times the latest scale.
"""

from __future__ import annotations

import numpy as np

__all__ = ["direction", "remember"]

_LEAST_CURVATURE = 1e-12


def direction(
    gradient: np.ndarray, diagonal: np.ndarray, steps: np.ndarray, changes: np.ndarray, pairs: int
) -> np.ndarray:
    r"""Minus the approximate inverse curvature times the gradient.

    Parameters
    ----------
    gradient, diagonal : ndarray, of one shape
        The gradient, and the diagonal D of the curvature. Where D is 0, nothing moves.
    steps, changes : ndarray of shape (room, ...)
        The latest steps s and the changes y of the gradient that came with them, oldest first, in the last `pairs` places.
    pairs : int

    Returns
    -------
    ndarray
    """
    d = -gradient
    weights = []
    latest = range(len(steps) - 1, len(steps) - 1 - pairs, -1)
    for i in latest:
        weight = np.vdot(steps[i], d) / np.vdot(steps[i], changes[i])
        d -= weight * changes[i]
        weights.append(weight)
    inverse = np.divide(1.0, diagonal, out=np.zeros_like(diagonal), where=diagonal > 0)
    if pairs:
        inverse *= np.vdot(steps[-1], changes[-1]) / np.vdot(changes[-1], inverse * changes[-1])
    d *= inverse
    for i, weight in zip(reversed(latest), reversed(weights), strict=True):
        d += (weight - np.vdot(changes[i], d) / np.vdot(steps[i], changes[i])) * steps[i]
    return d


def remember(step: np.ndarray, change: np.ndarray, steps: np.ndarray, changes: np.ndarray, pairs: int) -> int:
    """Put a step and its change of gradient last; how many pairs there are then. What shows no curvature is left out."""
    product = np.vdot(step, change)
    if not product > _LEAST_CURVATURE * np.linalg.norm(step) * np.linalg.norm(change):
        return pairs
    for kept, latest in ((steps, step), (changes, change)):
        kept[:-1] = kept[1:]
        kept[-1] = latest
    return min(pairs + 1, len(steps))
