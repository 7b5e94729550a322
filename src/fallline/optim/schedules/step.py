"""A rate that falls in steps."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.verbs import rate

__all__ = ["Step"]


class Step(NamedTuple):
    r""":math:`\eta_0 \gamma^{\lfloor (t-1)/n \rfloor}`: times gamma after every n updates."""

    eta0: float
    gamma: float
    length: int

    limits = {"eta0": {"above": 0}, "length": {"at_least": 1}}


@rate.of(Step)
def _(schedule, update):
    return schedule.eta0 * schedule.gamma ** ((update - 1) // schedule.length)
