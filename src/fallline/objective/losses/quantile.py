"""The quantile (pinball) loss."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.verbs import antiderivative, curvature, derivative, distance, lean, value
from fallline.objective.domains import ANY_NUMBER
from fallline.objective.links import Identity

__all__ = ["Quantile"]


class Quantile(NamedTuple):
    r"""Absolute error, weighted so that the minimiser is a quantile (Koenker and Bassett, 1978).

    .. math:: q (y - s) \text{ if } y \ge s, \quad (1 - q)(s - y) \text{ otherwise}
    """

    quantile: float = 0.5

    limits = {"quantile": {"above": 0, "below": 1}}
    domain = ANY_NUMBER
    link = Identity()


@value.of(Quantile)
def _(loss, score, target):
    error = target - score
    return max(loss.quantile * error, (loss.quantile - 1.0) * error)


@derivative.of(Quantile)
def _(loss, score, target):
    return (1.0 - loss.quantile if score > target else 0.0) - (loss.quantile if score < target else 0.0)


@antiderivative.of(Quantile)
def _(loss, score, target):
    error = score - target
    return 0.5 * error * ((1.0 - loss.quantile) * max(error, 0.0) - loss.quantile * min(error, 0.0))


@distance.of(Quantile)
def _(loss, score, target):
    return abs(score - target)


@curvature.of(Quantile)
def _(loss, score, target):
    """Its pieces are straight."""
    return 0.0


@lean.of(Quantile)
def _(loss):
    return loss.quantile
