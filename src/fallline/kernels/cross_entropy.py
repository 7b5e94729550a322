"""The cross-entropy of a batch's scores and its derivative, in one go: of few scores, the calls take longer than the numbers."""

from __future__ import annotations

import math

from fallline.kernels.compile import kernel
from fallline.kernels.elementary import exp

__all__ = ["cross_entropy"]


@kernel
def cross_entropy(scores, classes, ignored, losses, derivative, mean):
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
    mean : bool
        Whether what is filled in is each row's share of the mean over the rows that count.

    Returns
    -------
    float
        The sum of the losses filled in.
    bool
        Whether every class is one of the scores', or ignored.
    """
    n, width = scores.shape
    counted = 0
    for i in range(n):
        if classes[i] == ignored:
            continue
        if classes[i] < 0 or classes[i] >= width:
            return math.nan, False
        counted += 1
    share = 1.0 / counted if mean else 1.0
    sum_of_losses = 0.0 * share  # NaN, if it is a mean of nothing
    for i in range(n):
        row, slopes, own = scores[i], derivative[i], classes[i]
        if own == ignored:
            losses[i] = 0.0
            slopes[:] = 0.0
            continue
        largest = row[0]
        for j in range(1, width):
            largest = max(largest, row[j])
        total = 0.0
        for j in range(width):
            slopes[j] = exp(float(row[j]) - largest)
            total += slopes[j]
        losses[i] = share * (math.log(total) - (row[own] - largest))
        sum_of_losses += losses[i]
        for j in range(width):
            slopes[j] *= share / total
        slopes[own] -= share
    return sum_of_losses, True
