"""RMSprop."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fallline.kernels.verbs import catch_up, decay, reach, repeat, shrink, shrinks, step

__all__ = ["RMSprop"]


class RMSprop(NamedTuple):
    r"""A rate a coordinate, from recent gradients (Tieleman and Hinton, 2012).

    .. math:: s \leftarrow \rho s + (1 - \rho) g^2, \quad w \leftarrow w - \eta g / (\sqrt{s} + \epsilon)
    """

    rho: float = 0.99
    epsilon: float = 1e-8

    limits = {"rho": {"at_least": 0, "below": 1}, "epsilon": {"at_least": 0}}
    slots = 1


@step.of(RMSprop)
def _(optimizer, prepared, k, j, weights, gradient, slots, penalty, rate):
    g = gradient + decay(penalty) * weights[k, j]
    slots[0, k, j] = optimizer.rho * slots[0, k, j] + (1.0 - optimizer.rho) * g * g
    own_rate = rate / (math.sqrt(slots[0, k, j]) + optimizer.epsilon)
    weights[k, j] = shrink(penalty, weights[k, j] - own_rate * g, own_rate)


@catch_up.of(RMSprop)
def _(optimizer, first, rates, k, j, weights, slots, penalty):
    if decay(penalty) != 0.0:
        repeat(optimizer, first, rates, k, j, weights, slots, penalty)
        return
    w, s, i = np.float64(weights[k, j]), np.float64(slots[0, k, j]), 0
    if shrinks(penalty):
        while i < rates.size and w != 0.0:
            s *= optimizer.rho
            w = shrink(penalty, w, rates[i] / (math.sqrt(s) + optimizer.epsilon))
            i += 1
    weights[k, j], slots[0, k, j] = w, s * optimizer.rho ** (rates.size - i)


@reach.of(RMSprop)
def _(optimizer, penalty):
    return 64 if shrinks(penalty) or decay(penalty) != 0.0 else 4
