"""A few rows handled together: their scores, then their slopes. Their data stay in the first-level cache meanwhile."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fallline.kernels.compile import inlined
from fallline.kernels.verbs import differentiate

__all__ = ["CHUNK", "FOLD", "Room", "losses_and_slopes", "room_for"]

# Rows handled together.
CHUNK = 32
# Rows whose gradient is summed in the data's own precision before the sum is folded into float64.
FOLD = 256


class Room(NamedTuple):
    """Room for what is worked out of one chunk of rows."""

    scores: np.ndarray
    slopes: np.ndarray
    targets: np.ndarray
    weight: np.ndarray
    values: np.ndarray


@inlined
def room_for(outputs, targets, dtype):
    """Empty room."""
    return Room(
        np.zeros((outputs, CHUNK), dtype),
        np.zeros((outputs, CHUNK), dtype),
        np.zeros((targets, CHUNK), dtype),
        np.zeros((1, CHUNK), dtype),
        np.zeros((1, CHUNK), dtype),
    )


@inlined
def losses_and_slopes(loss, rows, room, loss_sum):
    """From scores, targets and weights: leave weight times derivative in `room.slopes`; return `loss_sum` plus weight times loss.

    It is not finite if any score or loss is not. Up to the next multiple of four, zeros follow the slopes of the rows.
    """
    scores, slopes, targets, weight, values = room
    differentiate(loss, rows, scores, targets, values, slopes)
    for i in range(rows):
        loss_sum += weight[0, i] * values[0, i]
    for k in range(scores.shape[0]):
        for i in range(rows):
            slopes[k, i] = slopes[k, i] * weight[0, i]
        for i in range(rows, (rows + 3) // 4 * 4):
            slopes[k, i] = 0.0
    return math.nan if _not_finite(scores, rows) else loss_sum


@inlined
def _not_finite(scores, rows):
    """How many scores are NaN or infinite: comparisons in a loss may have swallowed that."""
    count, infinity = 0, scores.dtype.type(math.inf)
    for k in range(scores.shape[0]):
        for i in range(rows):
            count += 0 if abs(scores[k, i]) < infinity else 1
    return count
