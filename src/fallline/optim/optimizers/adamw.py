"""AdamW: Adam with decoupled weight decay."""

from __future__ import annotations

import math
from typing import NamedTuple

from fallline.kernels.coasting import fade
from fallline.kernels.verbs import catch_up, decay, prepare, shrink, step
from fallline.optim.optimizers.adam import Adam

__all__ = ["AdamW"]


class AdamW(NamedTuple):
    r"""Adam on the loss alone; the penalty's smooth part shrinks the weights directly (Loshchilov and Hutter, 2019).

    .. math:: w \leftarrow (1 - \eta a) w - \eta \hat m / (\sqrt{\hat v} + \epsilon)

    with the moments of :class:`Adam`. Its limit is not the minimum of loss plus penalty.
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


# The moments start at zero and are corrected for it as Adam's are.
prepare.of(AdamW)(prepare.implementations[Adam])


@step.of(AdamW)
def _(optimizer, prepared, k, j, weights, gradient, slots, penalty, rate):
    g = gradient
    slots[0, k, j] = optimizer.beta_1 * slots[0, k, j] + (1.0 - optimizer.beta_1) * g
    slots[1, k, j] = optimizer.beta_2 * slots[1, k, j] + (1.0 - optimizer.beta_2) * g * g
    own_rate = rate / (math.sqrt(slots[1, k, j] / prepared[1]) + optimizer.epsilon)
    kept = (1.0 - rate * decay(penalty)) * weights[k, j]
    weights[k, j] = shrink(penalty, kept - own_rate * slots[0, k, j] / prepared[0], own_rate)


@catch_up.of(AdamW)
def _(optimizer, first, rates, k, j, weights, slots, penalty):
    fade(optimizer, decay(penalty), first, rates, k, j, weights, slots, penalty)
