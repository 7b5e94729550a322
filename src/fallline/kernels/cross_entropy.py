"""The cross-entropy of a batch's scores and its derivative, in one go: of few scores, the calls take longer than the numbers."""

from __future__ import annotations

import math

from fallline.kernels.compile import kernel
from fallline.kernels.elementary import exp

__all__ = ["cross_entropy"]


@kernel
def cross_entropy(scores, classes, ignored, losses, derivative):
    """The loss of every row, log sum_j exp(s_j) - s_class, and its derivative by the scores, softmax(s) less one at the class.

    Parameters
    ----------
    scores : array of shape (n, classes)
    classes : int64 array of shape (n,)
    ignored : int
        The class of rows that count for nothing.
    losses : array of shape (n,)
        Is filled.
    derivative : array of shape (n, classes)
        Is filled.

    Returns
    -------
    int
        How many rows count; -1 where a class is none of the scores'.
    """
    n, width = scores.shape
    counted = 0
    for i in range(n):
        row, slopes, own = scores[i], derivative[i], classes[i]
        if own == ignored:
            losses[i] = 0.0
            slopes[:] = 0.0
            continue
        if own < 0 or own >= width:
            return -1
        largest = row[0]
        for j in range(1, width):
            largest = max(largest, row[j])
        total = 0.0
        for j in range(width):
            slopes[j] = exp(float(row[j]) - largest)
            total += slopes[j]
        losses[i] = math.log(total) - (row[own] - largest)
        for j in range(width):
            slopes[j] /= total
        slopes[own] -= 1.0
        counted += 1
    return counted
