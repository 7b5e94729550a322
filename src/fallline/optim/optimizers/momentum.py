"""Gradient descent with momentum."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.coasting import coast
from fallline.kernels.verbs import catch_up, decay, repeat, shrink, step

__all__ = ["Momentum"]


class Momentum(NamedTuple):
    r"""The heavy ball (Polyak, 1964).

    .. math:: v \leftarrow \mu v + g, \quad w \leftarrow w - \eta v
    """

    momentum: float = 0.9

    limits = {"momentum": {"at_least": 0, "below": 1}}
    slots = 1


@step.of(Momentum)
def _(optimizer, prepared, k, j, weights, gradient, slots, penalty, rate):
    g = gradient + decay(penalty) * weights[k, j]
    slots[0, k, j] = optimizer.momentum * slots[0, k, j] + g
    weights[k, j] = shrink(penalty, weights[k, j] - rate * slots[0, k, j], rate)


@catch_up.of(Momentum)
def _(optimizer, first, rates, k, j, weights, slots, penalty):
    if decay(penalty) != 0.0:
        repeat(optimizer, first, rates, k, j, weights, slots, penalty)
        return
    coast(optimizer.momentum, 1.0, rates, k, j, weights, slots, penalty)
