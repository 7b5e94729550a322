"""Huber's loss: least squares that outliers cannot pull far."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.verbs import antiderivative, curvature, derivative, distance, value
from fallline.objective.domains import ANY_NUMBER
from fallline.objective.links import Identity

__all__ = ["Huber"]


class Huber(NamedTuple):
    r"""Quadratic for errors up to `epsilon`, linear beyond (Huber, 1964).

    .. math:: \tfrac12 e^2 \text{ if } |e| \le \epsilon, \quad \epsilon |e| - \tfrac12 \epsilon^2 \text{ otherwise}
    """

    epsilon: float = 0.1

    limits = {"epsilon": {"at_least": 0}}
    domain = ANY_NUMBER
    link = Identity()


@value.of(Huber)
def _(loss, score, target):
    error = abs(score - target)
    near = min(error, loss.epsilon)
    return near * (error - 0.5 * near)


@derivative.of(Huber)
def _(loss, score, target):
    return min(max(score - target, -loss.epsilon), loss.epsilon)


@antiderivative.of(Huber)
def _(loss, score, target):
    error = score - target
    near = min(abs(error), loss.epsilon)
    beyond = abs(error) - near
    integral = near**3 / 6.0 + 0.5 * loss.epsilon * beyond * (beyond + near)
    return integral if error > 0.0 else -integral


@distance.of(Huber)
def _(loss, score, target):
    return max(abs(score - target) - loss.epsilon, 0.0)


@curvature.of(Huber)
def _(loss, score, target):
    return 1.0 if abs(score - target) < loss.epsilon else 0.0
