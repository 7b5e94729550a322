"""What becomes of a coordinate without gradients: the short ways of `catch_up` that several optimizers share.

A velocity, or a first moment, fades geometrically: after some hundred updates nothing is left of it that counts in float64,
and however many more were missed, only the penalty moves the weight.
"""

from __future__ import annotations

import math

import numpy as np

from fallline.kernels.compile import inlined
from fallline.kernels.verbs import shrink, shrinks

__all__ = ["coast", "fade", "total"]

# What is left of a velocity that no longer counts.
_FADED = 1e-18


@inlined
def total(rates, first):
    """The sum of the rates from the `first` on."""
    result = 0.0
    for i in range(first, rates.size):
        result += rates[i]
    return result


@inlined
def coast(momentum, share, rates, k, j, weights, slots, penalty):
    """Go on at a velocity `slots[0, k, j]` that fades; a `share` of it moves the weight. No smooth penalty."""
    w, v, i = np.float64(weights[k, j]), np.float64(slots[0, k, j]), 0
    faded = _FADED * abs(v)
    while i < rates.size and abs(v) > faded:
        v *= momentum
        w = shrink(penalty, w - rates[i] * share * v, rates[i])
        i += 1
    weights[k, j] = shrink(penalty, w, total(rates, i))
    slots[0, k, j] = v * momentum ** (rates.size - i)


@inlined
def fade(optimizer, decay, first, rates, k, j, weights, slots, penalty):
    """Go on with moments `slots[:, k, j]` that fade, the first sooner; the weight itself decays by rate times `decay`."""
    w, m, v, i = np.float64(weights[k, j]), np.float64(slots[0, k, j]), np.float64(slots[1, k, j]), 0
    power_1, power_2 = optimizer.beta_1 ** (first - 1), optimizer.beta_2 ** (first - 1)
    while i < rates.size and (m * m > _FADED**2 * v or (shrinks(penalty) and w != 0.0)):
        m *= optimizer.beta_1
        v *= optimizer.beta_2
        power_1 *= optimizer.beta_1
        power_2 *= optimizer.beta_2
        own_rate = rates[i] / (math.sqrt(v / (1.0 - power_2)) + optimizer.epsilon)
        w = shrink(penalty, (1.0 - rates[i] * decay) * w - own_rate * m / (1.0 - power_1), own_rate)
        i += 1
    if decay != 0.0:
        for rate in rates[i:]:
            w *= 1.0 - rate * decay
    weights[k, j] = w
    slots[0, k, j] = m * optimizer.beta_1 ** (rates.size - i)
    slots[1, k, j] = v * optimizer.beta_2 ** (rates.size - i)
