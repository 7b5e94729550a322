"""What is left to gain: (9) to (12)."""

from __future__ import annotations

import itertools
import math

import numpy as np

from fallline.engines.saga.passes import TINY, Pass

__all__ = ["held_back", "series", "strict", "within_span"]

# How far the optimum may be from the model, in multiples of the model.
_SPAN = 2.0
# What a pass leaves is not taken to be less, nor more, of what the one before did.
_LEAST_RATIO, _MOST_RATIO = 0.02, 0.98


def series(latest: float, ratio: float) -> float:
    """What is still to come of gains that fall as a geometric series."""
    ratio = min(max(ratio, _LEAST_RATIO), _MOST_RATIO)
    return latest * ratio / (1.0 - ratio)


def held_back(here: Pass, pull: np.ndarray, move: np.ndarray) -> float:
    """What the pull has kept from being gained, after a move of the centre: the least of (10) to (12).

    Parameters
    ----------
    here : Pass
    pull : ndarray of shape (P,)
        k of (2).
    move : ndarray of shape (P, K)
        To the model that the pass left, which is not the centre yet.
    """
    memory, n = here.memory, here.n
    residual = pull[:, np.newaxis] * move / n
    curvature = np.full(len(pull) - 1, here.decay)
    if not here.corners:
        curvature += _slowing(here, pull[:-1], residual[:-1]) * pull[:-1] / n
    columns = min(
        strict(residual[:-1], curvature[:, np.newaxis]),
        within_span(here, (memory.centre + move)[:-1], residual[:-1]),
    )
    return columns + strict(residual[-1:], here.note["bend"])


def strict(residual: np.ndarray, curvature: np.ndarray | float) -> float:
    """(10): the most that a function of no less than that curvature can fall from where it has that slope."""
    curvature = np.broadcast_to(curvature, residual.shape)
    moved = residual != 0.0
    if not (curvature[moved] > 0.0).all():
        return math.inf
    return 0.5 * float(np.sum(residual[moved] ** 2 / curvature[moved]))


def within_span(here: Pass, model: np.ndarray, residual: np.ndarray) -> float:
    """(12): the most that a convex function can fall from there within a distance, for columns without intercepts."""
    size = np.sqrt(here.memory.columns[1, :-1, np.newaxis] / here.n)
    steep = np.divide(residual, size, out=np.zeros_like(residual), where=size > TINY)
    return _SPAN * float(np.linalg.norm(size * model) * np.linalg.norm(steep))


def _slowing(here, pull, residual):
    """Theta of (11), from the residuals of some passes."""
    weight = 1.0 if here.decay else np.divide(1.0, pull, out=np.zeros_like(pull), where=pull > 0.0)
    size = math.sqrt(np.sum(weight * np.sum(residual**2, axis=1)))
    here.note["residuals"] = sizes = [*here.note["residuals"], size][-5:]
    ratios = [now / then if then > 0.0 else 1.0 for then, now in itertools.pairwise(sizes)]
    # Where the ratio grows, what falls slowly comes to light.
    ahead = [now + max(now - then, 0.0) for then, now in itertools.pairwise([*ratios[:1], *ratios])]
    return 1.0 / max(ahead) - 1.0 if 0.0 < max(ahead, default=1.0) < 1.0 else 0.0
