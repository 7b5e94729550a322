"""The modified Huber loss: a smooth margin loss that outliers cannot pull far."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.verbs import curvature, derivative, value
from fallline.objective.domains import TWO_CLASSES
from fallline.objective.links import ClippedMargin

__all__ = ["ModifiedHuber"]


class ModifiedHuber(NamedTuple):
    r"""Squared hinge near the margin, linear far on the wrong side (Zhang, 2004); :math:`y \in \{-1, 1\}`.

    .. math:: \max(0, 1 - ys)^2 \text{ if } ys \ge -1, \quad -4ys \text{ otherwise}
    """

    domain = TWO_CLASSES
    link = ClippedMargin()


@value.of(ModifiedHuber)
def _(loss, score, target):
    margin = target * score
    short = max(1.0 - margin, 0.0)
    return short * short if margin >= -1.0 else -4.0 * margin


@derivative.of(ModifiedHuber)
def _(loss, score, target):
    return -2.0 * target * min(max(1.0 - target * score, 0.0), 2.0)


@curvature.of(ModifiedHuber)
def _(loss, score, target):
    return 2.0 if abs(target * score) < 1.0 else 0.0
