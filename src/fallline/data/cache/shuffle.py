"""Rows cut into blocks, and shuffled once on the way.

A block of the file as it came would hold neighbours only, and neighbours are alike where a file is sorted. So rows are
collected in a buffer, which is permuted and cut into blocks: each holds rows from all of the buffer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from fallline.data.order import Order
from fallline.data.rows import DenseRows, Rows, SparseRows

__all__ = ["BUFFER_BYTES", "Joined", "blocks_of", "buffers", "cut"]

# Neither depends on the memory allowed, so that the same data make the same file everywhere.
_BLOCK_BYTES = 2**20
BUFFER_BYTES = 16 * _BLOCK_BYTES

# Has nothing to do with the seed of training, whose permutations come on top.
_SEED = 0x66616C6C6C696E65

Taker = Callable[[Rows, np.ndarray], Rows]
"""What makes a block of the rows of these numbers."""


def cut(chunks: Iterable[Rows], shuffle: bool = True) -> Iterator[Rows]:
    """All rows in blocks of about 1 MiB: a pure function of the rows, however they are divided into chunks."""
    joined = Joined()
    for number, parts in enumerate(buffers(chunks)):
        yield from blocks_of(parts, number, shuffle, joined)


def buffers(chunks: Iterable[Rows]) -> Iterator[list[Rows]]:
    """The rows in stretches that fill a buffer, each as parts of the chunks, not copied."""
    parts: list[Rows] = []
    room = BUFFER_BYTES
    for chunk in chunks:
        start = 0
        sizes = _sizes(chunk)
        while start < chunk.n_rows:
            before = sizes[start - 1] if start else 0
            stop = min(int(np.searchsorted(sizes, before + room)) + 1, chunk.n_rows)
            parts.append(_stretch(chunk, start, stop))
            room -= int(sizes[stop - 1] - before)
            start = stop
            if room <= 0:
                yield parts
                parts, room = [], BUFFER_BYTES
    if parts:
        yield parts


class Joined:
    """The rows of a buffer in one piece, until the next is joined: new memory would cost more than what is done in it."""

    def __init__(self) -> None:
        self._memory: dict[str, np.ndarray] = {}

    def __call__(self, parts: list[Rows]) -> Rows:
        """All rows of the parts, one part after the other."""
        first = parts[0]
        if isinstance(first, DenseRows):
            return DenseRows(*(self._all(name, parts) for name in DenseRows._fields))
        lengths = [np.diff(part.indptr) for part in parts if isinstance(part, SparseRows)]
        indptr = np.concatenate([[0], *lengths]).cumsum(dtype=np.int64)
        indices, data, y, weight = (self._all(name, parts) for name in ("indices", "data", "y", "weight"))
        return SparseRows(indptr, indices, data, first.columns, y, weight)

    def _all(self, name, parts):
        arrays = [getattr(part, name) for part in parts]
        n = sum(map(len, arrays))
        if name not in self._memory or len(self._memory[name]) < n:
            self._memory[name] = np.empty((n + n // 8, *arrays[0].shape[1:]), arrays[0].dtype)
        return np.concatenate(arrays, out=self._memory[name][:n])


def blocks_of(
    parts: list[Rows], number: int, shuffle: bool, joined: Joined, take: Taker | None = None
) -> Iterator[Rows]:
    """The blocks that a buffer is cut into, of equal numbers of rows but for the last. `parts` is emptied."""
    rows = joined(parts)
    parts.clear()
    n = rows.n_rows
    blocks = max(1, round(int(_sizes(rows)[-1]) / _BLOCK_BYTES))
    size = -(-n // blocks)
    order = Order(_SEED, shuffle)
    for start in range(0, n, size):
        numbers = order.rows(n, number, start, min(start + size, n))
        yield rows.take(numbers) if take is None else take(rows, numbers)


def _sizes(rows):
    """Bytes of the rows up to the end of each."""
    count = np.arange(1, rows.n_rows + 1)
    if isinstance(rows, SparseRows):
        return 8 * (rows.indptr[1:] - rows.indptr[0]) + count * (12 + 4 * rows.y.shape[1])
    return count * 4 * (rows.n_columns + rows.y.shape[1] + 1)


def _stretch(rows, start, stop):
    """Consecutive rows, not copied."""
    if isinstance(rows, DenseRows):
        return DenseRows(*(array[start:stop] for array in rows))
    first, last = rows.indptr[start], rows.indptr[stop]
    return SparseRows(
        rows.indptr[start : stop + 1] - first,
        rows.indices[first:last],
        rows.data[first:last],
        rows.columns,
        rows.y[start:stop],
        rows.weight[start:stop],
    )
