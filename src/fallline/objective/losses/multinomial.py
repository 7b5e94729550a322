"""Multinomial (softmax) regression."""

from __future__ import annotations

import math
from typing import NamedTuple

from fallline.kernels.elementary import exp
from fallline.kernels.verbs import differentiate
from fallline.objective.domains import CLASSES
from fallline.objective.links import Softmax

__all__ = ["Multinomial"]


class Multinomial(NamedTuple):
    r"""Negative log-likelihood of one class among several, :math:`\log \sum_k e^{s_k} - s_y`.

    One score a class; the target is the number of the class.
    """

    domain = CLASSES
    link = Softmax()


@differentiate.of(Multinomial)
def _(loss, scores, targets, values, slopes):
    outputs, rows = scores.shape
    for i in range(rows):
        highest = scores[0, i]
        for k in range(1, outputs):
            highest = max(highest, scores[k, i])
        total = 0.0
        for k in range(outputs):
            share = exp(scores[k, i] - highest)
            slopes[k, i] = share
            total += share
        for k in range(outputs):
            slopes[k, i] /= total
        label = int(targets[0, i])
        # -log of the probability of the label, from the sum that is at least 1.
        values[i] = math.log(total) + highest - scores[label, i]
        slopes[label, i] -= 1.0
