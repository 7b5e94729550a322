"""Multinomial (softmax) regression."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fallline.kernels.elementary import exp, sigmoid
from fallline.kernels.verbs import curve, derivative, differentiate
from fallline.objective.domains import CLASSES
from fallline.objective.links import Softmax

__all__ = ["Multinomial"]


class Multinomial(NamedTuple):
    r"""Negative log-likelihood of one class among several, :math:`\log \sum_k e^{s_k} - s_y`.

    One score a class; the target is the number of the class.
    """

    domain = CLASSES
    link = Softmax()
    coupled = True


@derivative.of(Multinomial)
def _(loss, score, target):
    """By the score of one class against a single other: the log loss's."""
    return -target * sigmoid(-target * score)


@differentiate.of(Multinomial)
def _(loss, rows, scores, targets, values, slopes):
    outputs = scores.shape[0]
    for i in range(rows):
        highest = scores[0, i]
        for k in range(1, outputs):
            highest = max(highest, scores[k, i])
        values[0, i] = highest
    for k in range(outputs):
        for i in range(rows):
            slopes[k, i] = exp(np.float64(scores[k, i]) - values[0, i])
    for i in range(rows):
        total = 0.0
        for k in range(outputs):
            total += slopes[k, i]
        for k in range(outputs):
            slopes[k, i] /= total
        # -log of the probability of the label, from the sum that is at least 1.
        label = int(targets[0, i])
        values[0, i] += math.log(total) - scores[label, i]
        slopes[label, i] -= 1.0


@curve.of(Multinomial)
def _(loss, rows, scores, targets, curvatures):
    """The probabilities p, of which the matrix of second derivatives diag(p) - p p' is made."""
    outputs = scores.shape[0]
    for i in range(rows):
        highest = np.float64(scores[0, i])
        for k in range(1, outputs):
            highest = max(highest, scores[k, i])
        total = 0.0
        for k in range(outputs):
            curvatures[k, i] = exp(scores[k, i] - highest)
            total += curvatures[k, i]
        for k in range(outputs):
            curvatures[k, i] /= total
