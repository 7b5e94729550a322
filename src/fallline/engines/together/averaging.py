"""Updates on rows of its own in each process, and the mean of their weights every so many of them.

This is local SGD (Stich, Local SGD converges fast and communicates little, 2019): each process descends on its own part, and
every H updates weights, and what the optimizer remembers of them, become the mean over the processes, each counting by the
rows that it has visited since the last time. An epoch has as many updates as the part with most rows; the schedule is over them.
"""

from __future__ import annotations

import math

import numpy as np

from fallline.data.rows import TrainingSource
from fallline.data.shared import Turn
from fallline.engines.descent import DescentEngine
from fallline.engines.together.base import Together
from fallline.kernels.sweep import Memory, Sums
from fallline.parallel.alone import Alone
from fallline.state import State

__all__ = ["Averaging"]


class Averaging(Together):
    """See this page.

    Parameters
    ----------
    descent : DescentEngine
        What each process does by itself.
    processes : Alone or Processes
    every : int
        How many updates lie between two means.
    """

    def __init__(self, descent: DescentEngine, processes: Alone, every: int):
        super().__init__(descent, processes)
        self.every = every

    def block_rows(self, state: State, source: TrainingSource) -> int:  # noqa: ARG002 (a verb's arguments)
        """See `Engine.block_rows`: those of a process, up to the next mean."""
        return self.every * self.descent.batch_size

    def sweep(self, block: Turn, state: State, last: bool) -> Sums:  # noqa: ARG002 (each process has a last row of its own)
        """See `Engine.sweep`."""
        mine, left = State(state.memory, rate_factor=state.rate_factor), block.n_rows
        updates = state.updates - (-block.most // self.descent.batch_size)
        for part in block.blocks:
            left -= len(part.rows)
            sums = self.descent.sweep(part, mine, last=block.last and not left)
            mine.advance(sums, 0, 0.0)
            if not sums.finite:
                mine.loss_sum = math.nan
                break
        self.descent.settle(mine)
        memory = mine.memory._replace(**Memory._field_defaults)
        flat = self.processes.sum(self._flat(memory, mine, block.n_rows))
        state.memory = self._mean(memory, flat, updates)
        rows, loss, made, norms, rates = flat[-5:]
        rate, norm = (rates / made, norms / made) if made else (math.nan, math.nan)
        finite = math.isfinite(loss) and bool(np.isfinite(state.memory.weights).all())
        return Sums(state.loss_sum + float(loss), int(rows), float(norm), float(rate), finite)

    @staticmethod
    def _flat(memory, mine, rows):
        """What is added up over the processes, in one piece."""
        arrays = [array.ravel() * float(rows) for array in (memory.weights, memory.slots, memory.mean)]
        made = float(rows > 0 and not math.isnan(mine.loss_sum))
        return np.concatenate(
            [*arrays, [rows, mine.loss_sum, made, made * mine.gradient_norm, made * mine.rate]],
            dtype=np.float64,
        )

    @staticmethod
    def _mean(memory, flat, updates):
        """The memory that all processes go on with."""
        start, rows = 0, flat[-5]
        for array in (memory.weights, memory.slots, memory.mean):
            array[...] = (flat[start : start + array.size] / rows).reshape(array.shape)
            start += array.size
        memory.clock[:] = 0, updates, updates, 0, 0
        return memory
