"""Adam."""

from __future__ import annotations

import math
from typing import NamedTuple

from fallline.kernels.coasting import fade
from fallline.kernels.verbs import catch_up, decay, prepare, repeat, shrink, step

__all__ = ["Adam"]


class Adam(NamedTuple):
    r"""Moments of the gradient, corrected for their start at zero (Kingma and Ba, 2015).

    .. math:: m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2

    .. math:: w \leftarrow w - \eta \hat m / (\sqrt{\hat v} + \epsilon), \quad
        \hat m = m / (1 - \beta_1^t), \quad \hat v = v / (1 - \beta_2^t)
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    limits = {
        "beta_1": {"at_least": 0, "below": 1},
        "beta_2": {"at_least": 0, "below": 1},
        "epsilon": {"at_least": 0},
    }
    slots = 2


@prepare.of(Adam)
def _(optimizer, update):
    return 1.0 - optimizer.beta_1**update, 1.0 - optimizer.beta_2**update


@step.of(Adam)
def _(optimizer, prepared, k, j, weights, gradient, slots, penalty, rate):
    g = gradient + decay(penalty) * weights[k, j]
    slots[0, k, j] = optimizer.beta_1 * slots[0, k, j] + (1.0 - optimizer.beta_1) * g
    slots[1, k, j] = optimizer.beta_2 * slots[1, k, j] + (1.0 - optimizer.beta_2) * g * g
    own_rate = rate / (math.sqrt(slots[1, k, j] / prepared[1]) + optimizer.epsilon)
    weights[k, j] = shrink(penalty, weights[k, j] - own_rate * slots[0, k, j] / prepared[0], own_rate)


@catch_up.of(Adam)
def _(optimizer, first, rates, k, j, weights, slots, penalty):
    if decay(penalty) != 0.0:
        repeat(optimizer, first, rates, k, j, weights, slots, penalty)
    else:
        fade(optimizer, 0.0, first, rates, k, j, weights, slots, penalty)
