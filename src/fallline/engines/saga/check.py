"""A pass that moves nothing and tells how far the model is from the optimum: (9)."""

from __future__ import annotations

import math

from fallline.engines.saga.passes import Pass
from fallline.engines.saga.turns import after_check
from fallline.kernels.blocks import Block
from fallline.kernels.saga_sums import sum_slack
from fallline.kernels.sweep import Sums
from fallline.kernels.verbs import distance
from fallline.objective.losses import innermost_of_one

__all__ = ["CheckPass"]

# A change of slopes by this share of what the losses' curvature makes of a score's is a trifle.
_FIRM = 1e6


class CheckPass(Pass):
    """All rows, in order, at the centre."""

    def take(self, block: Block, last: bool) -> Sums:
        """See `Pass.take`."""
        memory, firm = self.memory, _FIRM / self.note["bend"]
        if self.state.position == 0:
            memory.sums[:] = 0.0
            self._settle_null()
        loss_sum = sum_slack(block, self.numbers(block), firm, self.engine.loss, memory, self.state.loss_sum)
        if not math.isfinite(loss_sum):
            return Sums(loss_sum, 0, math.nan, math.nan, finite=False)
        if last:
            self.note["step"] = 0.0
            self.note["null_objective"] = float(memory.sums[8] / self.n)
            slack = float(memory.sums[0]) / self.n
            memory.sums[:] = 0.0
            after_check(self, slack + self.note["outer"], loss_sum / self.n + self.note["penalty"])
        return Sums(loss_sum, len(block.rows), self.state.gradient_norm, 0.0, finite=True)

    def _settle_null(self):
        """Bring intercepts alone to where they are best, if that is known: of classes and a loss with kinks, to a kink."""
        loss, null = innermost_of_one(self.engine.loss), self.memory.null
        if not (self.corners and self.engine.fit_intercept and self.engine.loss.domain.classes):
            return
        for k, b in enumerate(null[0]):
            far, y = min((distance(loss, b, y), y) for y in (-1.0, 1.0))
            above, below = distance(loss, b + far, y), distance(loss, b - far, y)
            null[0, k] = b + far if above < below else b - far
