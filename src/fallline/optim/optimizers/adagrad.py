"""Adagrad."""

from __future__ import annotations

import math
from typing import NamedTuple

from fallline.kernels.coasting import total
from fallline.kernels.verbs import catch_up, decay, reach, repeat, shrink, step

__all__ = ["Adagrad"]


class Adagrad(NamedTuple):
    r"""A rate a coordinate, from all gradients so far (Duchi, Hazan and Singer, 2011).

    .. math:: s \leftarrow s + g^2, \quad w \leftarrow w - \eta g / (\sqrt{s} + \epsilon)
    """

    epsilon: float = 1e-10

    limits = {"epsilon": {"at_least": 0}}
    slots = 1


@step.of(Adagrad)
def _(optimizer, prepared, k, j, weights, gradient, slots, penalty, rate):
    g = gradient + decay(penalty) * weights[k, j]
    slots[0, k, j] += g * g
    own_rate = rate / (math.sqrt(slots[0, k, j]) + optimizer.epsilon)
    weights[k, j] = shrink(penalty, weights[k, j] - own_rate * g, own_rate)


@catch_up.of(Adagrad)
def _(optimizer, first, rates, k, j, weights, slots, penalty):
    if decay(penalty) == 0.0:
        weights[k, j] = shrink(
            penalty, weights[k, j], total(rates, 0) / (math.sqrt(slots[0, k, j]) + optimizer.epsilon)
        )
    else:
        repeat(optimizer, first, rates, k, j, weights, slots, penalty)


@reach.of(Adagrad)
def _(optimizer, penalty):
    return 4 if decay(penalty) == 0.0 else 64
