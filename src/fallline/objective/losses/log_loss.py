"""Log loss: logistic regression."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.elementary import sigmoid, softplus
from fallline.kernels.verbs import curvature, derivative, value
from fallline.objective.domains import TWO_CLASSES
from fallline.objective.links import Logit

__all__ = ["LogLoss"]


class LogLoss(NamedTuple):
    r"""Negative log-likelihood of a logistic model, :math:`\log(1 + e^{-ys})` for :math:`y \in \{-1, 1\}`."""

    domain = TWO_CLASSES
    link = Logit()


@value.of(LogLoss)
def _(loss, score, target):
    return softplus(-target * score)


@derivative.of(LogLoss)
def _(loss, score, target):
    return -target * sigmoid(-target * score)


@curvature.of(LogLoss)
def _(loss, score, target):
    return sigmoid(score) * sigmoid(-score)
