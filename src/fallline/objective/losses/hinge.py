"""Hinge: the linear support vector machine."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.verbs import antiderivative, curvature, derivative, distance, value
from fallline.objective.domains import TWO_CLASSES
from fallline.objective.links import Margin

__all__ = ["Hinge"]


class Hinge(NamedTuple):
    r"""Hinge loss, :math:`\max(0, 1 - ys)` for :math:`y \in \{-1, 1\}` (Cortes and Vapnik, 1995)."""

    domain = TWO_CLASSES
    link = Margin()


@value.of(Hinge)
def _(loss, score, target):
    return max(1.0 - target * score, 0.0)


@derivative.of(Hinge)
def _(loss, score, target):
    return -target if target * score <= 1.0 else 0.0 * target


@antiderivative.of(Hinge)
def _(loss, score, target):
    short = max(1.0 - target * score, 0.0)
    return -0.5 * target * short * short


@distance.of(Hinge)
def _(loss, score, target):
    return abs(1.0 - target * score)


@curvature.of(Hinge)
def _(loss, score, target):
    """Its pieces are straight."""
    return 0.0
