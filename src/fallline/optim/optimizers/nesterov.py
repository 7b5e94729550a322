"""Nesterov's accelerated gradient."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.coasting import coast
from fallline.kernels.verbs import catch_up, decay, repeat, shrink, step

__all__ = ["Nesterov"]


class Nesterov(NamedTuple):
    r"""Momentum that looks ahead (Nesterov, 1983; in the form of Sutskever et al., 2013).

    .. math:: v \leftarrow \mu v + g, \quad w \leftarrow w - \eta (g + \mu v)
    """

    momentum: float = 0.9

    limits = {"momentum": {"at_least": 0, "below": 1}}
    slots = 1


@step.of(Nesterov)
def _(optimizer, prepared, k, j, weights, gradient, slots, penalty, rate):
    g = gradient + decay(penalty) * weights[k, j]
    slots[0, k, j] = optimizer.momentum * slots[0, k, j] + g
    weights[k, j] = shrink(penalty, weights[k, j] - rate * (g + optimizer.momentum * slots[0, k, j]), rate)


@catch_up.of(Nesterov)
def _(optimizer, first, rates, k, j, weights, slots, penalty):
    if decay(penalty) != 0.0:
        repeat(optimizer, first, rates, k, j, weights, slots, penalty)
        return
    coast(optimizer.momentum, optimizer.momentum, rates, k, j, weights, slots, penalty)
