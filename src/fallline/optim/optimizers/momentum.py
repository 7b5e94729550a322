"""Gradient descent with momentum."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.verbs import decay, shrink, step

__all__ = ["Momentum"]


class Momentum(NamedTuple):
    r"""The heavy ball (Polyak, 1964).

    .. math:: v \leftarrow \mu v + g, \quad w \leftarrow w - \eta v
    """

    momentum: float = 0.9

    slots = 1


@step.of(Momentum)
def _(optimizer, prepared, j, weights, gradient, slots, penalty, rate):
    g = gradient[j] + decay(penalty) * weights[j]
    slots[0, j] = optimizer.momentum * slots[0, j] + g
    weights[j] = shrink(penalty, weights[j] - rate * slots[0, j], rate)
