"""The perceptron's loss."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.verbs import antiderivative, curvature, derivative, distance, value
from fallline.objective.domains import TWO_CLASSES
from fallline.objective.links import Margin

__all__ = ["Perceptron"]


class Perceptron(NamedTuple):
    r"""What is wrong by, :math:`\max(0, -ys)` for :math:`y \in \{-1, 1\}` (Rosenblatt, 1958)."""

    domain = TWO_CLASSES
    link = Margin()


@value.of(Perceptron)
def _(loss, score, target):
    return max(-target * score, 0.0)


@derivative.of(Perceptron)
def _(loss, score, target):
    return -target if target * score <= 0.0 else 0.0 * target


@antiderivative.of(Perceptron)
def _(loss, score, target):
    short = max(-target * score, 0.0)
    return -0.5 * target * short * short


@distance.of(Perceptron)
def _(loss, score, target):
    return abs(score)


@curvature.of(Perceptron)
def _(loss, score, target):
    """Its pieces are straight."""
    return 0.0
