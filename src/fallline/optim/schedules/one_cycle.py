"""The one-cycle policy."""

from __future__ import annotations

import math
from typing import NamedTuple

from fallline.kernels.verbs import rate

__all__ = ["OneCycle"]


class OneCycle(NamedTuple):
    r"""Up and down along half cosines (Smith and Topin, Super-convergence, 2018).

    The rate rises from :math:`\eta_0/25` to :math:`\eta_0` by update w, and falls to :math:`\eta_0/250000` at update n;
    the constants are PyTorch's.
    """

    eta0: float
    warmup: int
    length: int

    limits = {"eta0": {"above": 0}, "length": {"at_least": 1}}
    needs_end = True
    usual_warmup = 0.3


@rate.of(OneCycle)
def _(schedule, update):
    first, last = schedule.eta0 / 25.0, schedule.eta0 / 25.0e4
    if update <= schedule.warmup:
        begin, end, done = first, schedule.eta0, (update - 1) / max(schedule.warmup - 1, 1)
    else:
        begin, end = schedule.eta0, last
        done = (update - schedule.warmup) / max(schedule.length - schedule.warmup, 1)
    return end + 0.5 * (begin - end) * (1.0 + math.cos(math.pi * min(done, 1.0)))
