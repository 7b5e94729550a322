"""Averaging of the iterates."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.verbs import average

__all__ = ["NoAveraging", "Polyak"]


class NoAveraging(NamedTuple):
    """The last weights are the answer."""


class Polyak(NamedTuple):
    """The mean of the weights after each update from `start` on (Polyak and Juditsky, 1992)."""

    start: int


@average.of(Polyak)
def _(averaging, update, weights, mean):
    count = update - averaging.start + 1
    if count >= 1:
        outputs, columns = mean.shape
        for k in range(outputs):
            for j in range(columns):
                mean[k, j] += (weights[k, j] - mean[k, j]) / count
