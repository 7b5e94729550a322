"""The epsilon-insensitive loss: support vector regression."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.verbs import antiderivative, curvature, derivative, distance, value
from fallline.objective.domains import ANY_NUMBER
from fallline.objective.links import Identity

__all__ = ["EpsilonInsensitive"]


class EpsilonInsensitive(NamedTuple):
    r"""The absolute error beyond a tolerance, :math:`\max(0, |s - y| - \epsilon)` (Vapnik, 1995)."""

    epsilon: float = 0.1

    limits = {"epsilon": {"at_least": 0}}
    domain = ANY_NUMBER
    link = Identity()


@value.of(EpsilonInsensitive)
def _(loss, score, target):
    return max(abs(score - target) - loss.epsilon, 0.0)


@derivative.of(EpsilonInsensitive)
def _(loss, score, target):
    error = score - target
    return (1.0 if error > loss.epsilon else 0.0) - (1.0 if error < -loss.epsilon else 0.0)


@antiderivative.of(EpsilonInsensitive)
def _(loss, score, target):
    above, below = max(score - target - loss.epsilon, 0.0), max(target - score - loss.epsilon, 0.0)
    return 0.5 * (above * above - below * below)


@distance.of(EpsilonInsensitive)
def _(loss, score, target):
    return abs(abs(score - target) - loss.epsilon)


@curvature.of(EpsilonInsensitive)
def _(loss, score, target):
    """Its pieces are straight."""
    return 0.0
