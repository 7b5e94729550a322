"""Squared error: least squares."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.verbs import curvature, derivative, value
from fallline.objective.domains import ANY_NUMBER
from fallline.objective.links import Identity

__all__ = ["SquaredError"]


class SquaredError(NamedTuple):
    r"""Half the squared error, :math:`\tfrac12 (s - y)^2`, so that its derivative is the error itself."""

    domain = ANY_NUMBER
    link = Identity()


@value.of(SquaredError)
def _(loss, score, target):
    error = score - target
    return 0.5 * error * error


@derivative.of(SquaredError)
def _(loss, score, target):
    return score - target


@curvature.of(SquaredError)
def _(loss, score, target):
    return 1.0
