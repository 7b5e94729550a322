"""A rate that rises at the start and falls along a cosine."""

from __future__ import annotations

import math
from typing import NamedTuple

from fallline.kernels.verbs import rate

__all__ = ["Cosine"]


class Cosine(NamedTuple):
    r"""Linear warm-up over w updates, then half a cosine that reaches 0 after update n (Loshchilov and Hutter, SGDR, 2017).

    .. math:: \eta_0 \, t/w \text{ for } t \le w, \quad
        \tfrac12 \eta_0 \bigl(1 + \cos \pi \tfrac{t - w - 1}{n - w}\bigr) \text{ for } w < t \le n, \quad 0 \text{ after}
    """

    eta0: float
    warmup: int
    length: int

    limits = {"eta0": {"above": 0}, "length": {"at_least": 1}}
    needs_end = True
    usual_warmup = 0.05


@rate.of(Cosine)
def _(schedule, update):
    if update <= schedule.warmup:
        return schedule.eta0 * update / schedule.warmup
    done = (update - schedule.warmup - 1) / max(schedule.length - schedule.warmup, 1)
    return 0.5 * schedule.eta0 * (1.0 + math.cos(math.pi * min(done, 1.0)))
