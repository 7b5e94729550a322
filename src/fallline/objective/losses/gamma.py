"""Gamma regression, for positive amounts."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.elementary import exp
from fallline.kernels.verbs import curvature, derivative, value
from fallline.objective.domains import POSITIVE
from fallline.objective.links import Log

__all__ = ["Gamma"]


class Gamma(NamedTuple):
    r"""Negative log-likelihood of positive amounts with a log link, :math:`s + y e^{-s}`, up to a constant."""

    domain = POSITIVE
    link = Log()


@value.of(Gamma)
def _(loss, score, target):
    return score + target * exp(-score)


@derivative.of(Gamma)
def _(loss, score, target):
    return 1.0 - target * exp(-score)


@curvature.of(Gamma)
def _(loss, score, target):
    return target * exp(-score)
