"""One binary loss a class: that class against all others."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.verbs import derivative, differentiate, value
from fallline.objective.domains import CLASSES

__all__ = ["OneVersusRest"]


class OneVersusRest(NamedTuple):
    r"""The sum over classes k of a binary loss with targets 1 for class k and -1 for the rest.

    One score a class; the target is the number of the class. The classes share no weights, so this trains one binary
    model a class, all in one pass over the data.

    Parameters
    ----------
    binary : NamedTuple
        A loss on targets -1 and 1.
    positive_weight : ndarray of shape (classes,), float64
        Weight of class k's own rows in model k.
    """

    binary: NamedTuple
    positive_weight: object

    domain = CLASSES

    @property
    def link(self):
        """The binary loss's own, a class at a time."""
        return self.binary.link


@differentiate.of(OneVersusRest)
def _(loss, scores, targets, values, slopes):
    outputs, rows = scores.shape
    for i in range(rows):
        values[i] = 0.0
    for k in range(outputs):
        for i in range(rows):
            own = targets[0, i] == k
            sign = 1.0 if own else -1.0
            weight = loss.positive_weight[k] if own else 1.0
            values[i] += weight * value(loss.binary, scores[k, i], sign)
            slopes[k, i] = weight * derivative(loss.binary, scores[k, i], sign)
