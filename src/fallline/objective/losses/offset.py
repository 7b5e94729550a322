"""A known part of the score, given with each row."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.compile import inlined
from fallline.kernels.implicit import bend, settle
from fallline.kernels.verbs import curvature, curve, derivative, differentiate, distances, value

__all__ = ["Offset"]


class Offset(NamedTuple):
    r"""A loss of :math:`s + o` instead of the score s, where the offset o is given with each row.

    The last target column is the offset; it is added to every score of its row. Under a logarithmic link o is the
    logarithm of an exposure: counts over different lengths of time, say, are then a Poisson loss with an offset.

    Parameters
    ----------
    loss : NamedTuple
        The loss, whose own target columns come first.
    """

    loss: NamedTuple

    @property
    def domain(self):
        """That of the loss: an offset is any number."""
        return self.loss.domain

    @property
    def link(self):
        """That of the loss, from scores to which offsets have been added."""
        return self.loss.link


@value.of(Offset)
def _(loss, score, target):
    """At a score to which the offset has been added."""
    return value(loss.loss, score, target)


@derivative.of(Offset)
def _(loss, score, target):
    """The same by s as by s + o."""
    return derivative(loss.loss, score, target)


@curvature.of(Offset)
def _(loss, score, target):
    """At a score to which the offset has been added."""
    return curvature(loss.loss, score, target)


@differentiate.of(Offset)
def _(loss, rows, scores, targets, values, slopes):
    own = _add_offset(rows, scores, targets)
    differentiate(loss.loss, rows, scores, targets[:own], values, slopes)


@curve.of(Offset)
def _(loss, rows, scores, targets, curvatures):
    own = _add_offset(rows, scores, targets)
    curve(loss.loss, rows, scores, targets[:own], curvatures)


@distances.of(Offset)
def _(loss, rows, scores, targets, out):
    own = _add_offset(rows, scores, targets)
    distances(loss.loss, rows, scores, targets[:own], out)


@bend.of(Offset)
def _(loss, scores, targets, out):
    own = _add_offset(1, scores, targets)
    bend(loss.loss, scores, targets[:own], out)


@settle.of(Offset)
def _(loss, pull, weight, scores, targets, slopes):
    own = _add_offset(1, scores, targets)
    settle(loss.loss, pull, weight, scores, targets[:own], slopes)


@inlined
def _add_offset(rows, scores, targets):
    """Add the last target of each row to its scores; return how many targets come before."""
    own = targets.shape[0] - 1
    for k in range(scores.shape[0]):
        for i in range(rows):
            scores[k, i] += targets[own, i]
    return own
