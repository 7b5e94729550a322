"""A constant rate."""

from __future__ import annotations

from typing import NamedTuple

from fallline.kernels.verbs import rate

__all__ = ["Constant"]


class Constant(NamedTuple):
    r""":math:`\eta_0`, always."""

    eta0: float

    limits = {"eta0": {"above": 0}}


@rate.of(Constant)
def _(schedule, update):
    return schedule.eta0
