"""The rate that scikit-learn calls optimal."""

from __future__ import annotations

import math
from typing import NamedTuple

from fallline.kernels.verbs import derivative, rate

__all__ = ["Optimal"]


class Optimal(NamedTuple):
    r""":math:`1 / (\alpha (t_0 + t - 1))`, for penalties that are :math:`\alpha`-strongly convex.

    The first rate is that of Bottou's heuristic (Stochastic gradient descent tricks, 2012): a weight as large as the
    penalty makes typical, :math:`\alpha^{-1/4}`, over the loss's slope there.
    """

    alpha: float
    t0: float

    @classmethod
    def for_loss(cls, loss, alpha):
        """With the offset t0 that suits a loss of one score."""
        typical = alpha**-0.25
        slope = derivative(loss, -typical, 1.0)
        first_rate = typical / max(1.0, slope)
        return cls(alpha, 1.0 / (first_rate * alpha)) if math.isfinite(first_rate) else cls(alpha, 1.0)


@rate.of(Optimal)
def _(schedule, update):
    return 1.0 / (schedule.alpha * (schedule.t0 + update - 1.0))
