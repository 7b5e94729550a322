"""One binary loss a class: that class against all others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fallline.kernels.implicit import settle, settled
from fallline.kernels.verbs import (
    curvature,
    curve,
    derivative,
    differentiate,
    distance,
    distances,
    value,
)
from fallline.objective.domains import CLASSES

__all__ = ["OneVersusRest"]


class OneVersusRest(NamedTuple):
    r"""The sum over classes k of a binary loss with targets 1 for class k and -1 for the rest.

    One score a class; the target is the number of the class. The classes share no weights, so this trains one binary
    model a class, all in one pass over the data.

    Parameters
    ----------
    binary : NamedTuple
        A loss on targets -1 and 1.
    positive_weight : ndarray of shape (classes,), float64
        Weight of class k's own rows in model k.
    """

    binary: NamedTuple
    positive_weight: object

    domain = CLASSES

    @property
    def link(self):
        """The binary loss's own, a class at a time."""
        return self.binary.link


@differentiate.of(OneVersusRest)
def _(loss, rows, scores, targets, values, slopes):
    for i in range(rows):
        values[0, i] = 0.0
    for k in range(scores.shape[0]):
        for i in range(rows):
            own = targets[0, i] == k
            score, sign = np.float64(scores[k, i]), 1.0 if own else -1.0
            weight = loss.positive_weight[k] if own else 1.0
            values[0, i] += weight * value(loss.binary, score, sign)
            slopes[k, i] = weight * derivative(loss.binary, score, sign)


@curve.of(OneVersusRest)
def _(loss, rows, scores, targets, curvatures):
    for k in range(scores.shape[0]):
        for i in range(rows):
            own = targets[0, i] == k
            weight = loss.positive_weight[k] if own else 1.0
            curvatures[k, i] = weight * curvature(loss.binary, np.float64(scores[k, i]), 1.0 if own else -1.0)


@distances.of(OneVersusRest)
def _(loss, rows, scores, targets, out):
    for k in range(scores.shape[0]):
        for i in range(rows):
            out[k, i] = distance(loss.binary, np.float64(scores[k, i]), 1.0 if targets[0, i] == k else -1.0)


@settle.of(OneVersusRest)
def _(loss, pull, weight, scores, targets, slopes):
    for k in range(scores.shape[0]):
        own = targets[0, 0] == k
        its = weight * loss.positive_weight[k] if own else weight
        score, sign = np.float64(scores[k, 0]), 1.0 if own else -1.0
        slopes[k, 0] = settled(loss.binary, pull, its, score, sign, slopes[k, 0])
