r"""Passive-aggressive steps (Crammer et al., Online passive-aggressive algorithms, 2006).

A row with a loss moves the weights by :math:`\tau x` to where its loss would be zero, or less far:

.. math:: \tau_1 = \min(C, \ell / \|x\|^2), \qquad \tau_2 = \ell / (\|x\|^2 + 1/(2C))

A step at rate C along a slope of 1 goes :math:`C x`. So what moves a row by :math:`\tau x` is its loss with the slope times
:math:`\tau / C`, taken at rate C; a mini-batch takes the mean of its rows' steps. The loss of a row that is linear but for one
bend is the distance from there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fallline.kernels.compile import generic
from fallline.kernels.verbs import differentiate, distances

__all__ = ["PASSIVE_AGGRESSIVE", "PassiveAggressive1", "PassiveAggressive2"]


class PassiveAggressive1(NamedTuple):
    """Steps of at most C.

    Parameters
    ----------
    loss : NamedTuple
        `Hinge` or `EpsilonInsensitive`, or one `Hinge` a class. The last target column, after its own, is the squared norm of
        the row.
    aggressiveness : float
        C.
    """

    loss: NamedTuple
    aggressiveness: float

    @property
    def domain(self):
        """That of the loss."""
        return self.loss.domain

    @property
    def link(self):
        """That of the loss."""
        return self.loss.link


class PassiveAggressive2(NamedTuple):
    """Steps held back by 1/(2C); see `PassiveAggressive1`."""

    loss: NamedTuple
    aggressiveness: float

    domain = PassiveAggressive1.domain
    link = PassiveAggressive1.link


PASSIVE_AGGRESSIVE = {"pa1": PassiveAggressive1, "pa2": PassiveAggressive2}


@generic
def _share(loss, distance, square):
    """How much of a step of C is taken: tau / C."""
    raise NotImplementedError


@_share.of(PassiveAggressive1)
def _(loss, distance, square):
    return min(1.0, distance / (loss.aggressiveness * square)) if square > 0.0 else 0.0


@_share.of(PassiveAggressive2)
def _(loss, distance, square):
    return distance / (loss.aggressiveness * square + 0.5)


@differentiate.of(PassiveAggressive1, PassiveAggressive2)
def _(loss, rows, scores, targets, values, slopes):
    last = targets.shape[0] - 1
    far = np.empty(scores.shape)
    distances(loss.loss, rows, scores, targets[:last], far)
    differentiate(loss.loss, rows, scores, targets[:last], values, slopes)
    for k in range(scores.shape[0]):
        for i in range(rows):
            slopes[k, i] *= _share(loss, far[k, i], np.float64(targets[last, i]))
