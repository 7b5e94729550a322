"""Multinomial (softmax) regression."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fallline.kernels.compile import inlined
from fallline.kernels.elementary import exp, sigmoid
from fallline.kernels.implicit import bend, settle
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


@bend.of(Multinomial)
def _(loss, scores, targets, out):
    curve(loss, 1, scores, targets, out)
    for k in range(out.shape[0]):
        out[k, 0] *= 1.0 - out[k, 0]


@settle.of(Multinomial)
def _(loss, pull, weight, scores, targets, slopes):
    r"""All classes at once: the probabilities at the solution, given Q = q w and c = z + q a + Q e_y.

    .. math:: p_k = \omega(\ln Q + c_k - \lambda) / Q, \qquad \omega + \ln \omega = u

    The one :math:`\lambda` is sought that makes them sum to 1: a convex, falling function, on which Newton's method is safe.
    """
    outputs, label = scores.shape[0], int(targets[0, 0])
    if weight == 0.0:
        for k in range(outputs):
            slopes[k, 0] = 0.0
        return
    # An empty row has no pull, and Q cancels.
    reach = max(pull * weight, 1e-100)
    highest = -math.inf
    for k in range(outputs):
        scores[k, 0] += pull * slopes[k, 0] + (reach if k == label else 0.0) + math.log(reach)
        highest = max(highest, scores[k, 0])
    # Here one class alone has a probability of 1. From this side Newton's steps do not go too far.
    normaliser = highest - reach - math.log(reach)
    for _ in range(50):
        total, fall = 0.0, 0.0
        for k in range(outputs):
            root = _omega(np.float64(scores[k, 0]) - normaliser)
            slopes[k, 0] = root
            total += root
            fall += root / (1.0 + root)
        if abs(total - reach) <= 1e-10 * reach:
            break
        normaliser += (total - reach) / fall
    for k in range(outputs):
        slopes[k, 0] = weight * (slopes[k, 0] / total - (1.0 if k == label else 0.0))


@inlined
def _omega(u):
    """The w with w + log w = u (Wright's function): two steps of Fritsch, Shafer and Crowley (1973), to 1e-12."""
    if u < -30.0:
        return exp(max(u, -700.0))
    if u < 1.0:
        e = exp(u)
        w = e / (1.0 + e)
    else:
        w = u - math.log(u)
    for _ in range(2):
        r = u - w - math.log(w)
        t = 2.0 * (1.0 + w) * (1.0 + w + 2.0 / 3.0 * r)
        w *= 1.0 + r / (1.0 + w) * (t - r) / (t - 2.0 * r)
    return w
