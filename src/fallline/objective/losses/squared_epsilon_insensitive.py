"""The squared epsilon-insensitive loss."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.verbs import curvature, derivative, value
from fallline.objective.domains import ANY_NUMBER
from fallline.objective.links import Identity

__all__ = ["SquaredEpsilonInsensitive"]


class SquaredEpsilonInsensitive(NamedTuple):
    r"""The square of what exceeds a tolerance, :math:`\max(0, |s - y| - \epsilon)^2`."""

    epsilon: float = 0.1

    limits = {"epsilon": {"at_least": 0}}
    domain = ANY_NUMBER
    link = Identity()


@value.of(SquaredEpsilonInsensitive)
def _(loss, score, target):
    excess = max(abs(score - target) - loss.epsilon, 0.0)
    return excess * excess


@derivative.of(SquaredEpsilonInsensitive)
def _(loss, score, target):
    error = score - target
    return 2.0 * (max(error - loss.epsilon, 0.0) + min(error + loss.epsilon, 0.0))


@curvature.of(SquaredEpsilonInsensitive)
def _(loss, score, target):
    return 2.0 if abs(score - target) > loss.epsilon else 0.0
