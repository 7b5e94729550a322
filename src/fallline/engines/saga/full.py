"""Full passes: objective and gradient at the model tried, and at the end where to go."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from fallline.engines.saga.passes import Pass
from fallline.kernels.blocks import Block
from fallline.kernels.saga import SagaMemory
from fallline.kernels.saga_sums import sum_slopes
from fallline.kernels.sweep import Sums
from fallline.objective.penalties import penalty_value

__all__ = ["DIAGONAL", "DIRECTION", "EXACT", "GRADIENT", "FullPass"]

EXACT = "nothing more can be gained in numbers of this precision"
"""Why training ends where no step leads down."""

# Steps whose objectives are remembered.
_PATIENCE = 5
_ARMIJO, _NEARER, _NEAREST = 1e-4, (0.1, 0.5), 1e-12
# Of an objective, what may be rounding; and of a slope, what may be left where nothing else can be told (Hager and Zhang, 2005).
_ROUNDING, _FLATTER = 1e-14, 0.9
# Of the curvature that columns have on average, what they have at least.
_FLAT = 1e-3
# In `SagaMemory.kept`.
DIRECTION, GRADIENT, DIAGONAL = range(3)


class FullPass(Pass):
    """All rows, in order. Where to go from the model that stands, its kinds know.

    Attributes
    ----------
    curved : bool
        Whether every pass sums the diagonal of the curvature, too; otherwise the first does.
    """

    curved: ClassVar[bool]

    def take(self, block: Block, last: bool) -> Sums:
        """See `Pass.take`."""
        memory = self._ready()
        first = self.note["objective"] is None
        loss_sum = sum_slopes(block, self.engine.loss, memory, self.state.loss_sum, first or self.curved)
        if math.isnan(loss_sum) and first:
            return Sums(loss_sum, 0, math.nan, math.nan, finite=False)
        memory.clock[1] += last
        if last:
            loss_sum = self._end(loss_sum, first)
        norm = float(np.linalg.norm(self.memory.kept[GRADIENT]))
        if last:
            self._pass_on()
        return Sums(loss_sum, len(block.rows), norm, self.note["step"], finite=True)

    # -------------------------------------------------------------------------------------------------- what kinds know

    def _make_room(self) -> None:
        """Put what only passes of this kind keep among the state's arrays."""
        raise NotImplementedError

    def _aim(self) -> None:
        """Note a direction from the model that stands, and the slope along it."""
        raise NotImplementedError

    def _left(self) -> float:
        """What is left to gain."""
        raise NotImplementedError

    def _go(self, step: float) -> None:
        """Let the model tried be so far along the direction."""
        raise NotImplementedError

    def _promise(self) -> float:
        """By how much the objective falls to the model tried, as a negative number, if it is as steep as where it stands."""
        raise NotImplementedError

    def _forget(self) -> bool:
        """Forget what may have led astray; whether there was anything."""
        raise NotImplementedError

    def _pass_on(self) -> None:
        """Let others go on, if they are faster from here."""
        raise NotImplementedError

    # -------------------------------------------------------------------------------------------------- what they share

    def _ready(self) -> SagaMemory:
        """The state's arrays, with room for all that is summed."""
        memory, shape = self.memory, self.memory.point.shape
        if not memory.kept.size:
            self.put(
                gradient=np.zeros(shape),
                curved=np.zeros(shape),
                kept=np.zeros((3, *shape)),
                table=np.zeros((0, 0), memory.table.dtype),
            )
            self._make_room()
        return self.memory

    def _end(self, loss_sum, first):
        """Accept the model tried, or try nearer to the last; return the sum of losses at the model that stands."""
        memory, note = self.memory, self.note
        penalty = float(penalty_value(self.engine.penalty, memory.point[:-1]))
        objective, gradient = loss_sum / self.n + penalty, self._whole_gradient()
        if first or self.curved:
            memory.kept[DIAGONAL] = self._diagonal()
        memory.gradient[:], memory.curved[:] = 0.0, 0.0
        note["batch"] = self.n
        if first:
            note["step"] = 0.0
            self._accept(objective, gradient, penalty)
        elif self._is_better(objective, gradient):
            note["step"] = note["trial"]
            self._accept(objective, gradient, penalty)
        else:
            note["step"] = 0.0
            self._try_nearer(objective)
        return (note["objective"] - note["penalty"]) * self.n

    def _is_better(self, objective, gradient):
        """Whether the objective has fallen enough; where its digits do not suffice to tell, the slope has to have fallen."""
        memory, note = self.memory, self.note
        if objective <= note["objective"] + _ARMIJO * self._promise():
            return True
        even = objective <= note["objective"] + _ROUNDING * abs(note["objective"])
        slope = float(np.vdot(self._flattest(gradient, memory.point), memory.kept[DIRECTION]))
        return even and abs(slope) <= -_FLATTER * note["slope"]

    def _accept(self, objective, gradient, penalty):
        memory, note = self.memory, self.note
        note["objectives"] = [*note["objectives"], float(objective)][-_PATIENCE - 1 :]
        note["objective"] = float(objective)
        memory.kept[GRADIENT] = gradient
        memory.centre[:] = memory.point
        self.accept(memory.point, penalty)
        self._aim()
        if self.judge(self._left(), objective):
            self.end_training()
        self._try(1.0)

    def _slope(self):
        """Of the objective at the model that stands."""
        return self._flattest(self.memory.kept[GRADIENT], self.memory.centre)

    def _flattest(self, gradient, model):
        """The slope of the objective that is nearest to zero: (13)."""
        strength = self.absolute
        if not strength:
            return gradient
        slope, w, g = gradient.copy(), model[:-1], gradient[:-1]
        slope[:-1] = np.where(w != 0.0, g + strength * np.sign(w), g - np.clip(g, -strength, strength))
        return slope

    def _try_nearer(self, objective):
        note = self.note
        step, slope = note["trial"], note["slope"]
        least, most = (share * step for share in _NEARER)
        above = objective - note["objective"] - step * slope
        nearer = -0.5 * slope * step**2 / above if math.isfinite(above) and above > 0.0 else least
        self._try(min(max(nearer, least), most))
        if note["trial"] >= _NEAREST:
            return
        if -slope <= _ROUNDING * abs(note["objective"]) or not self._forget():
            self.end_training(EXACT)
        self._aim()
        self._try(1.0)

    def _try(self, step):
        self.note["trial"] = float(step)
        self._go(step)

    def _whole_gradient(self):
        memory = self.memory
        gradient = memory.gradient / self.n
        gradient[:-1] += self.decay * memory.point[:-1]
        if not self.engine.fit_intercept:
            gradient[-1] = 0.0
        return gradient

    def _diagonal(self):
        # Where slopes are all but settled, rows show no curvature, and steps would know no bounds.
        least = _FLAT * self.note["bend"] * self.memory.columns[1, :, np.newaxis]
        diagonal = np.maximum(self.memory.curved, least) / self.n
        diagonal[:-1] += self.decay
        return diagonal
