"""A rate that falls by the same share at every update."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.verbs import rate

__all__ = ["Exponential"]


class Exponential(NamedTuple):
    r""":math:`\eta_0 \gamma^{(t-1)/n}`: times gamma over every n updates, a little at each."""

    eta0: float
    gamma: float
    length: int

    limits = {"eta0": {"above": 0}, "length": {"at_least": 1}}


@rate.of(Exponential)
def _(schedule, update):
    return schedule.eta0 * schedule.gamma ** ((update - 1) / schedule.length)
