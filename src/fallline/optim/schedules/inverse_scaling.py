"""A rate that falls as a power of the number of updates."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.verbs import rate

__all__ = ["InverseScaling"]


class InverseScaling(NamedTuple):
    r""":math:`\eta_0 / t^p` with p the `power_t` (Robbins and Monro, 1951, for powers above 1/2)."""

    eta0: float
    power_t: float

    limits = {"eta0": {"above": 0}}


@rate.of(InverseScaling)
def _(schedule, update):
    return schedule.eta0 / update**schedule.power_t
