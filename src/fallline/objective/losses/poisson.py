"""Poisson regression, for counts."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.elementary import exp
from fallline.kernels.verbs import curvature, derivative, value
from fallline.objective.domains import NON_NEGATIVE
from fallline.objective.links import Log

__all__ = ["Poisson"]


class Poisson(NamedTuple):
    r"""Negative log-likelihood of counts with a log link, :math:`e^s - ys`, up to a constant."""

    domain = NON_NEGATIVE
    link = Log()


@value.of(Poisson)
def _(loss, score, target):
    return exp(score) - target * score


@derivative.of(Poisson)
def _(loss, score, target):
    return exp(score) - target


@curvature.of(Poisson)
def _(loss, score, target):
    return exp(score)
