"""Plain gradient descent."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.coasting import total
from fallline.kernels.verbs import catch_up, decay, reach, repeat, shrink, step

__all__ = ["SGD"]


class SGD(NamedTuple):
    r"""Down the gradient: :math:`w \leftarrow (1 - \eta a) w - \eta g`.

    The factor that the penalty's smooth part leaves of a weight is kept from going below 0, as scikit-learn does: a
    rate too large for the penalty sets weights to zero instead of throwing them to the other side.
    """

    slots = 0


@step.of(SGD)
def _(optimizer, prepared, k, j, weights, gradient, slots, penalty, rate):
    kept = max(1.0 - rate * decay(penalty), 0.0)
    weights[k, j] = shrink(penalty, kept * weights[k, j] - rate * gradient, rate)


@catch_up.of(SGD)
def _(optimizer, first, rates, k, j, weights, slots, penalty):
    if decay(penalty) == 0.0:
        weights[k, j] = shrink(penalty, weights[k, j], total(rates, 0))
    else:
        repeat(optimizer, first, rates, k, j, weights, slots, penalty)


@reach.of(SGD)
def _(optimizer, penalty):
    return 4
