"""Every update over all processes: the updates of a single one, each of whose gradients is added up from parts."""

from __future__ import annotations

import math

import numpy as np

from fallline.data.rows import TrainingSource
from fallline.engines.together.base import Together
from fallline.kernels.blocks import Block
from fallline.kernels.sweep import Sums, sweep
from fallline.kernels.together import update
from fallline.parallel.lanes import in_own_lanes, own_before
from fallline.state import State

__all__ = ["Synchronous"]

# A batch that does not end: the kernel only adds up.
_ENDLESS = 2**62


class Synchronous(Together):
    """Each process reads all rows, visits those of each batch that are in its lanes, and makes the same updates as all others.

    With one process they are the updates of descent, to the last bit but for the order in which a gradient is added up.
    """

    def block_rows(self, state: State, source: TrainingSource) -> int:
        """See `Engine.block_rows`."""
        return self.descent.block_rows(state, source)

    def sweep(self, block: Block, state: State, last: bool) -> Sums:
        """See `Engine.sweep`."""
        memory, descent, batch_size = state.memory, self.descent.typed(), self.descent.batch_size
        summing = descent._replace(batch_size=_ENDLESS)
        pending, start, loss, mine = state.pending, 0, state.loss_sum, 0.0
        norm, rate, nothing = math.nan, math.nan, np.empty(0)
        while start < len(block.rows):
            count = min(len(block.rows) - start, batch_size - pending)
            rows = block.rows[start : start + count][in_own_lanes(self.processes, pending, count)]
            if len(rows):
                memory.clock[0] = own_before(self.processes, pending)
                mine = sweep(block._replace(rows=rows), memory, summing, nothing, False, mine)[0]
            pending, start = pending + count, start + count
            if pending == batch_size or (last and start == len(block.rows)):
                loss += self._gradient_summed(memory, mine)
                if not math.isfinite(loss):
                    return Sums(loss, start, norm, rate, finite=False)
                rate = float(self.descent.rates(state, 0)[0])
                norm = update(memory, descent.rule, pending, rate)
                pending, mine = 0, 0.0
        if pending:
            loss += float(self.processes.sum(np.array([mine]))[0])
        memory.clock[0] = pending
        finite = math.isfinite(loss) and (not last or bool(np.isfinite(memory.weights).all()))
        return Sums(loss, start, norm, rate, finite)

    def _gradient_summed(self, memory, loss):
        """Bring the gradient over all processes into memory; the sum of their losses, not a number if one has met none."""
        flat = np.append(memory.gradient + memory.folded, loss)
        self.processes.sum(flat)
        memory.gradient[:] = flat[:-1].reshape(memory.gradient.shape)
        memory.folded[:] = 0.0
        return float(flat[-1])
