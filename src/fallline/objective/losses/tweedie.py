"""Tweedie regression, for amounts that are often zero."""

from __future__ import annotations

from typing import NamedTuple

from fallline.errors import ParameterError
from fallline.kernels.elementary import exp
from fallline.kernels.verbs import curvature, derivative, value
from fallline.objective.domains import ANY_NUMBER, NON_NEGATIVE, POSITIVE
from fallline.objective.links import Log

__all__ = ["Tweedie"]


class Tweedie(NamedTuple):
    r"""Half the Tweedie deviance with a log link, up to a constant (Jorgensen, 1987).

    .. math:: \frac{e^{(2-p)s}}{2-p} - y \frac{e^{(1-p)s}}{1-p}

    The variance grows as the mean to the `power` p: 0 is normal, 1 Poisson, 2 gamma, 3 inverse Gaussian, and
    between 1 and 2 lie sums of a Poisson number of gamma amounts. At 1 and 2 the term that has no limit is replaced by
    its own, :math:`-ys` and :math:`s`. No distribution has a power between 0 and 1.
    """

    power: float = 1.5

    limits = {"power": {}}
    link = Log()

    @property
    def domain(self):
        """Counts and amounts may be zero below power 2; a normal target may be anything."""
        if 0 < self.power < 1:
            raise ParameterError(
                f"power={self.power!r}: no Tweedie distribution has a power between 0 and 1."
            )
        return ANY_NUMBER if self.power <= 0 else NON_NEGATIVE if self.power < 2 else POSITIVE


@value.of(Tweedie)
def _(loss, score, target):
    p = loss.power
    mean_term = score if p == 2.0 else exp((2.0 - p) * score) / (2.0 - p)
    target_term = score if p == 1.0 else exp((1.0 - p) * score) / (1.0 - p)
    return mean_term - target * target_term


@derivative.of(Tweedie)
def _(loss, score, target):
    return exp((2.0 - loss.power) * score) - target * exp((1.0 - loss.power) * score)


@curvature.of(Tweedie)
def _(loss, score, target):
    p = loss.power
    if 1.0 <= p <= 2.0:
        return (2.0 - p) * exp((2.0 - p) * score) + (p - 1.0) * target * exp((1.0 - p) * score)
    return exp((2.0 - p) * score)
