"""The squared hinge."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.verbs import curvature, derivative, value
from fallline.objective.domains import TWO_CLASSES
from fallline.objective.links import Margin

__all__ = ["SquaredHinge"]


class SquaredHinge(NamedTuple):
    r"""Squared hinge loss, :math:`\max(0, 1 - ys)^2` for :math:`y \in \{-1, 1\}`."""

    domain = TWO_CLASSES
    link = Margin()


@value.of(SquaredHinge)
def _(loss, score, target):
    short = max(1.0 - target * score, 0.0)
    return short * short


@derivative.of(SquaredHinge)
def _(loss, score, target):
    return -2.0 * target * max(1.0 - target * score, 0.0)


@curvature.of(SquaredHinge)
def _(loss, score, target):
    return 2.0 if target * score < 1.0 else 0.0
