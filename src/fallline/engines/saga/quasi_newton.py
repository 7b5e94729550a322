"""Quasi-Newton passes: the direction is that of L-BFGS; beside an L1 penalty, orthant by orthant: (13)."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from fallline.engines.quasi_newton import direction, remember
from fallline.engines.saga.full import DIAGONAL, DIRECTION, EXACT, GRADIENT, FullPass
from fallline.engines.saga.remainder import strict, within_span
from fallline.engines.saga.turns import after_full, room_for_pairs

__all__ = ["QuasiNewtonPass"]


class QuasiNewtonPass(FullPass):
    """Steps learn the curvature from changes of the gradient."""

    curved: ClassVar[bool] = False

    def _make_room(self) -> None:
        pairs = (room_for_pairs(self.memory), *self.memory.point.shape)
        self.put(steps=np.zeros(pairs), changes=np.zeros(pairs))

    def _accept(self, objective, gradient, penalty):
        memory, note = self.memory, self.note
        if note["objective"] is not None:
            step, change = memory.point - memory.centre, gradient - memory.kept[GRADIENT]
            note["pairs"] = remember(step, change, memory.steps, memory.changes, note["pairs"])
        super()._accept(objective, gradient, penalty)

    def _left(self) -> float:
        """(10) and (12) with the slope for a residual, and no less than steps promise and the last ones gained."""
        memory, note = self.memory, self.note
        slope, objectives = self._slope(), note["objectives"]
        fell = objectives[0] - objectives[-1] if len(objectives) > 1 else math.inf
        wide = within_span(self, memory.centre[:-1], slope[:-1])
        columns = min(strict(slope[:-1], self.decay), max(wide, -0.5 * note["slope"], fell))
        return columns + strict(slope[-1:], memory.kept[DIAGONAL][-1:])

    def _aim(self) -> None:
        note, slope = self.note, self._slope()
        d, along = self._downhill(slope)
        if not along < 0.0 and self._forget():
            d, along = self._downhill(slope)
        if not along < 0.0:
            self.end_training(EXACT)
        self.memory.kept[DIRECTION] = d
        note["slope"] = along

    def _downhill(self, slope):
        """A direction and the slope along it. Beside an L1 penalty, every coefficient goes downhill for itself or not at all."""
        memory = self.memory
        d = direction(slope, memory.kept[DIAGONAL], memory.steps, memory.changes, self.note["pairs"])
        if self.absolute:
            d[:-1][d[:-1] * slope[:-1] >= 0.0] = 0.0
        return d, float(np.vdot(slope, d))

    def _go(self, step: float) -> None:
        """Beside an L1 penalty, coefficients that cross zero stop there."""
        memory = self.memory
        memory.point[:] = memory.centre + step * memory.kept[DIRECTION]
        if self.absolute:
            side = np.where(memory.centre != 0.0, memory.centre, memory.kept[DIRECTION])[:-1]
            memory.point[:-1][memory.point[:-1] * side < 0.0] = 0.0

    def _promise(self) -> float:
        memory = self.memory
        return float(np.vdot(self._slope(), memory.point - memory.centre))

    def _forget(self) -> bool:
        """The curvature learnt; the diagonal is left."""
        learnt, self.note["pairs"] = self.note["pairs"], 0
        return learnt > 0

    def _pass_on(self) -> None:
        after_full(self)
