"""From the rows of a block to updates: on one process, or on many that divide every batch among them."""

from __future__ import annotations

from functools import partial

import torch

from fallline.engines.module import devices
from fallline.engines.module.blocks import TensorBlock
from fallline.engines.module.gradient import Gradient
from fallline.engines.module.memory import ModuleMemory
from fallline.engines.module.pieces import Ahead, Gatherer, copied, join, spans
from fallline.engines.module.tally import Tally
from fallline.engines.module.together import level_buffers, seed_of, spread
from fallline.engines.module.updating import Updates
from fallline.parallel.agreeing import together
from fallline.parallel.lanes import in_own_lanes

__all__ = ["Batches", "SharedBatches"]


class Batches:
    """The batches of one process, which has all their rows. `SharedBatches` has the same verbs.

    Attributes
    ----------
    timed : bool
        Whether a block may end where the clock says.
    """

    timed = True  # where blocks end changes nothing

    def __init__(self, gradient: Gradient, updates: Updates, batch_size: int, device: torch.device):
        self._gradient, self._updates = gradient, updates
        self._batch_size, self._device = batch_size, device
        self._gatherer = Gatherer(device)

    def agree(self, module: torch.nn.Module) -> None:
        """Before training: let all begin with the same weights."""

    def begin(self, memory: ModuleMemory, seed: int, updates: int) -> None:
        """Before a sweep that begins after so many updates."""

    def end(self, module: torch.nn.Module) -> None:
        """After a sweep."""

    def learn(self, block: TensorBlock, memory: ModuleMemory, tally: Tally, last: bool) -> int:
        """All micro-batches that the block completes; what is left of rows is carried over to the next. How many rows it had."""
        devices.require_on(self._device, block.inputs, "inputs")
        n, size = len(block.rows), self._batch_size
        micro = size if self._updates.whole_batches else int(memory.clock[2])
        carried, ahead = sum(piece.rows for piece in memory.carried), Ahead(self._gatherer, block)
        for start, stop, whole, complete in spans(n, int(memory.clock[0]), size, carried, micro, last):
            piece = ahead.take(start, stop)
            memory.clock[0] += piece.rows
            if not whole:
                memory.carried.append(copied(piece))
                continue
            if memory.carried:
                piece = join([*memory.carried, piece])
                memory.carried = []
            left = n - stop
            tally.last = left < size and not (last and left)
            self._updates.learn(memory, piece, tally, complete)
        return n


class SharedBatches(Batches):
    """The batches of many processes, each of which has the rows in its lanes."""

    timed = False  # all have to agree on where a block ends
    _met = False

    def agree(self, module: torch.nn.Module) -> None:
        """See `Batches.agree`: with those of the first process."""
        spread(self._gradient.processes, module)

    def begin(self, memory: ModuleMemory, seed: int, updates: int) -> None:
        """See `Batches.begin`: what is drawn at random is each process's own."""
        seed = seed_of(seed, self._gradient.processes.rank, updates)
        memory.random = devices.seeded(seed, self._device)

    def end(self, module: torch.nn.Module) -> None:
        """See `Batches.end`: what modules gather becomes the mean."""
        level_buffers(self._gradient.processes, module)

    def learn(self, block: TensorBlock, memory: ModuleMemory, tally: Tally, last: bool) -> int:
        """See `Batches.learn`: every batch, of which this process has a part; it ends on all at the same row."""
        processes, n, start = self._gradient.processes, len(block.rows), 0
        while start < n:
            pending = int(memory.clock[0])
            stop = start + min(n - start, self._batch_size - pending)
            mine = torch.from_numpy(in_own_lanes(processes, pending, stop - start)).to(block.rows.device)
            own = block._replace(rows=block.rows[start:stop][mine])
            piece = self._gatherer.take(own, 0, len(own.rows))
            memory.clock[0] = pending + stop - start
            complete = memory.clock[0] == self._batch_size or (last and stop == n)
            tally.last = n - stop < self._batch_size and not (last and stop < n)
            if self._updates.whole_batches:
                piece = join([*memory.carried, piece])
                memory.carried = [] if complete else [copied(piece)]
            elif not self._met:
                # What may be wrong with rows or a module shows at the first batch, perhaps on some processes only.
                together(processes, partial(devices.require_on, self._device, block.inputs, "inputs"))
                together(processes, partial(self._gradient.add, memory, piece))
                piece, self._met = piece.between(0, 0), True
            if complete or not self._updates.whole_batches:
                self._updates.learn(memory, piece, tally, complete)
            start = stop
        return n
