r"""Penalties: what keeps weights small. The intercept is not penalised, save by `Linear` in one-class models.

Each is the sum of a smooth part, a/2 w**2, whose gradient joins the loss's, and a non-smooth part b|w|, applied after
each step by its proximal operator, which makes exact zeros (Duchi and Singer, Efficient online and batch learning
using forward backward splitting, 2009).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fallline.kernels.compile import inlined
from fallline.kernels.verbs import decay, shrink, shrinks

__all__ = [
    "L1",
    "L2",
    "PENALTIES",
    "ElasticNet",
    "Linear",
    "NoPenalty",
    "absolute_strength",
    "for_kernels",
    "penalty_value",
]


class NoPenalty(NamedTuple):
    """Nothing."""


class L2(NamedTuple):
    r"""Ridge: :math:`\tfrac{\alpha}{2} \|w\|_2^2`."""

    alpha: float


class L1(NamedTuple):
    r"""Lasso: :math:`\alpha \|w\|_1`."""

    alpha: float


class ElasticNet(NamedTuple):
    r"""Both: :math:`\alpha (\rho \|w\|_1 + \tfrac{1-\rho}{2} \|w\|_2^2)` with :math:`\rho` the `l1_ratio`."""

    alpha: float
    l1_ratio: float


class Linear(NamedTuple):
    r"""A slope that leads down to minus infinity, :math:`\nu b`, against which the loss has to hold: for intercepts only."""

    nu: float


PENALTIES = {"none": NoPenalty, "l2": L2, "l1": L1, "elasticnet": ElasticNet}


def for_kernels(penalty):
    """The same penalty, an `ElasticNet` if it has a corner and an `L2` if not: kernels are compiled for two kinds only."""
    match penalty:
        case NoPenalty():
            return L2(0.0)
        case L1(alpha):
            return ElasticNet(alpha, 1.0)
    return penalty


@decay.of(L2)
def _(penalty):
    return penalty.alpha


@decay.of(ElasticNet)
def _(penalty):
    return penalty.alpha * (1.0 - penalty.l1_ratio)


@shrinks.of(L1, ElasticNet)
def _(penalty):
    return True


@shrink.of(L1)
def _(penalty, weight, rate):
    return _soft_threshold(weight, rate * penalty.alpha)


@shrink.of(ElasticNet)
def _(penalty, weight, rate):
    return _soft_threshold(weight, rate * penalty.alpha * penalty.l1_ratio)


@shrink.of(Linear)
def _(penalty, weight, rate):
    return weight - rate * penalty.nu


@inlined
def _soft_threshold(weight, width):
    return max(weight - width, 0.0) + min(weight + width, 0.0)


def penalty_value(penalty, coefficients):
    """The penalty of an array of coefficients (intercepts left out), as a float."""
    w = np.asarray(coefficients, dtype=np.float64).ravel()
    # Not w @ w, which BLAS adds up in another order on another number of threads.
    with np.errstate(over="ignore"):
        match penalty:
            case L2(alpha):
                return 0.5 * alpha * np.square(w).sum()
            case L1(alpha):
                return alpha * np.abs(w).sum()
            case ElasticNet(alpha, l1_ratio):
                return alpha * (l1_ratio * np.abs(w).sum() + 0.5 * (1 - l1_ratio) * np.square(w).sum())
            case Linear(nu):
                return nu * w.sum()
    return 0.0


def absolute_strength(penalty):
    """The coefficient b of the penalty's non-smooth part, b |w|."""
    match penalty:
        case L1(alpha):
            return alpha
        case ElasticNet(alpha, l1_ratio):
            return alpha * l1_ratio
    return 0.0
