"""Rows that are divided among processes: each visits a part of its own.

Of few rows, each process has every so-manieth; of many, every so-manieth block of the cache, and reads no others. Either way its
part is as good a sample of all as any: rows were shuffled when they were written, within stretches of 16 blocks, and where a
file is sorted, every stretch of it is in all parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from fallline.data.budget import Budget
from fallline.data.cache import Cache
from fallline.data.order import Order
from fallline.data.part import Part
from fallline.data.prepared import Prepared
from fallline.data.rows import ArraySource, Rows, TrainingSource
from fallline.data.windows import WindowSource
from fallline.kernels.blocks import Block
from fallline.parallel.agreeing import together
from fallline.parallel.alone import Alone

__all__ = ["Shared", "Turn", "divided", "fits_whole", "shared"]

# With fewer blocks a process than this, some would have notably more rows than others.
_BLOCKS = 64
# A block has at most so many rows: their numbers stay in the processor's cache until the rows are visited.
_BLOCK_ROWS = 2**15


class Turn(NamedTuple):
    """What a process visits before it meets the others again.

    Parameters
    ----------
    blocks : iterator of blocks
        Of its own rows; none where it has run out of them.
    n_rows : int
        How many rows they have together.
    most : int
        The same of the process that has most.
    last : bool
        Whether its own rows end here.
    rows : ndarray of uint64
        Empty: what `Shared.require_finite` is asked about, it knows.
    """

    blocks: Iterator[Block]
    n_rows: int
    most: int
    last: bool
    rows: np.ndarray = np.empty(0, np.uint64)


class Shared:
    """Rows of which each process visits its own part: see `TrainingSource`. A block is a `Turn`, a position counts all rows.

    Parameters
    ----------
    own : TrainingSource
        The part of this process.
    counts : ndarray of int
        How many rows each process has.
    numbers_a_row : float
        Of all rows.
    processes : Alone or Processes

    Attributes
    ----------
    most_rows : int
        Rows of the process that has most.
    """

    def __init__(self, own: TrainingSource, counts: np.ndarray, numbers_a_row: float, processes: Alone):
        self.own = own
        self._counts = counts
        self._processes = processes
        self._reader: _Reader | None = None
        self.n_rows = int(counts.sum())
        self.most_rows = int(counts.max())
        self.n_columns, self.n_targets, self.dtype = own.n_columns, own.n_targets, own.dtype
        self.numbers_a_row = numbers_a_row

    def blocks(
        self, order: Order, epoch: int, position: int, size: Callable[[], int]
    ) -> Iterator[tuple[Turn, int]]:
        """The turns of an epoch from a position on. `size` says how many rows a process may visit in the next."""
        visited, mine = self._visited(position), self.own.n_rows
        self._reader = reader = _Reader(self.own, order, epoch, min(visited, mine))
        while visited < self.most_rows:
            stop = min(visited + size(), self.most_rows)
            begin, end = min(visited, mine), min(stop, mine)
            turn = Turn(reader.until(end), end - begin, stop - visited, last=begin < end == mine)
            visited = stop
            yield turn, int(np.minimum(self._counts, visited).sum())
        reader.finish()

    def targets(self) -> tuple[np.ndarray, np.ndarray]:
        """See `TrainingSource.targets`; of the process's own rows."""
        return self.own.targets()

    def require_finite(self, rows: np.ndarray) -> None:  # noqa: ARG002 (the latest are known)
        """See `TrainingSource.require_finite`; all processes raise what one finds."""
        reader = self._reader
        if reader is not None:
            together(self._processes, lambda: self.own.require_finite(reader.latest))

    def _visited(self, position):
        """How many rows those who have enough have visited, where all together have visited so many."""
        low, high = 0, self.most_rows
        while low < high:
            middle = (low + high) // 2
            if np.minimum(self._counts, middle).sum() < position:
                low = middle + 1
            else:
                high = middle
        return low


class _Reader:
    """Reads an epoch of a source up to one place after another."""

    def __init__(self, source, order, epoch, position):
        self._position = self._stop = position
        self._stream = source.blocks(order, epoch, position, self._size)
        self.latest = np.empty(0, np.uint64)

    def _size(self):
        return min(self._stop - self._position, _BLOCK_ROWS)

    def until(self, stop):
        """The blocks up to there."""
        self._stop = stop
        while self._position < stop:
            block, self._position = next(self._stream)
            self.latest = block.rows
            yield block

    def finish(self):
        """Let the source know that the epoch has ended."""
        next(self._stream, None)


def shared(prepared: Prepared, part: Part, budget: Budget, processes: Alone) -> Shared:
    """A part of encoded rows, divided among processes. The budget has to be the same for all."""
    rank, size, sizes = processes.rank, processes.size, prepared.block_rows
    cache = prepared.cache
    if cache is None or fits_whole(sizes, prepared.nbytes, budget, size):
        rows = cache.read() if cache is not None and prepared.rows is None else prepared.rows
        assert rows is not None  # noqa: S101 (they are in memory or in a file)
        counts = divided(int(part.counts(sizes).sum()), size)
        own = _in_memory(prepared, rows, part.numbers(sizes)[rank::size])
        return Shared(own, counts, rows.numbers_a_row, processes)
    counts = np.array([part.counts(sizes)[other::size].sum() for other in range(size)])
    blocks = _own_blocks(prepared, cache, np.arange(rank, len(sizes), size), part, budget)
    return Shared(blocks, counts, _numbers_a_row(cache), processes)


def fits_whole(block_rows: np.ndarray, nbytes: int, budget: Budget, size: int) -> bool:
    """Whether rows in so many blocks are so few that each of the processes takes all of them into memory."""
    return len(block_rows) < _BLOCKS * size and budget.holds(nbytes)


def divided(n: int, size: int) -> np.ndarray:
    """How many of n things each of so many has who takes every so-manieth."""
    return (n + size - 1 - np.arange(size)) // size


def _own_blocks(
    prepared: Prepared, cache: Cache, mine: np.ndarray, of: Part, budget: Budget
) -> TrainingSource:
    """The part of some blocks, in memory if they fit."""
    # Windows take these for a cache and a part, of which they need no more.
    blocks: Any = _Blocks(cache, mine)
    part: Any = _PartOfBlocks(of, mine, cache.rows)
    if budget.holds(int(blocks.memory_of(blocks.rows, blocks.entries).sum())):
        return _in_memory(prepared, cache.read(mine), part.numbers(blocks.rows))
    return WindowSource(blocks, budget.window_bytes, part)


def _in_memory(prepared: Prepared, rows: Rows, numbers: np.ndarray) -> ArraySource:
    """Some of the rows: a copy, since every epoch of a part that lies together costs less than of one that lies scattered."""
    own = rows if len(numbers) == rows.n_rows else rows.take(numbers)
    return ArraySource(own, columns=prepared.encoder.feature_names, shuffled=True)


def _numbers_a_row(cache):
    return float(cache.entries.sum() / cache.n_rows if cache.sparse else cache.n_columns)


class _Blocks:
    """Some blocks of a cache, as if there were no others: what windows know of a cache."""

    def __init__(self, cache: Cache, mine: np.ndarray):
        self._cache = cache
        self._mine = mine
        self.rows, self.entries = cache.rows[mine], cache.entries[mine]
        self.n_rows, self.n_columns, self.n_targets = int(self.rows.sum()), cache.n_columns, cache.n_targets
        self.sparse, self.memory_of = cache.sparse, cache.memory_of

    def read(self, blocks: np.ndarray, memory: np.ndarray | None = None) -> Rows:
        """See `Cache.read`."""
        return self._cache.read(self._mine[blocks], memory)


class _PartOfBlocks(NamedTuple):
    """A part of the rows of some blocks, the same that it is of them among all: see `Part`."""

    part: Part
    mine: np.ndarray
    sizes: np.ndarray

    @property
    def fraction(self) -> float:
        return self.part.fraction

    def runs(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG002 (of all blocks they are known)
        first, last = self.part.runs(self.sizes)
        return first[self.mine], last[self.mine]

    def counts(self, rows: np.ndarray) -> np.ndarray:  # noqa: ARG002 (the same)
        return self.part.counts(self.sizes)[self.mine]

    def numbers(self, rows: np.ndarray) -> np.ndarray:
        numbers = np.empty(self.counts(rows).sum(), np.uint64)
        self.between(rows, *self.runs(rows), numbers)
        return numbers

    def between(self, *arguments: Any) -> None:
        self.part.between(*arguments)
