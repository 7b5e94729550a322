"""Training on a cache file that does not fit in memory: windows of many blocks, shuffled.

An epoch is divided into windows that fit in memory, and a window's rows are shuffled there: CorgiPile (Xu, Karimov, Li, et al.,
In-database machine learning with CorgiPile, SIGMOD 2022), with two changes.

1. Blocks are not drawn at random from the whole file but evenly: with w windows, each run of w consecutive blocks gives one
   to every window, a random one. So where a file is sorted by anything, each window still holds all of it in proportion.
2. In a large window, rows move in groups of neighbours (`Order.grouped`), which were shuffled when the file was written.

The order of an epoch is a pure function of the seed, the epoch, the file, and the bytes that windows may take.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from fallline.data.ahead import mapped_ahead
from fallline.data.cache.layout import ALIGNMENT, padding
from fallline.data.cache.reader import Cache
from fallline.data.order import Order
from fallline.data.part import ALL, Part
from fallline.data.rows import ArraySource, Rows
from fallline.errors import NonFiniteError
from fallline.kernels.blocks import Block, row_weights
from fallline.kernels.order import select

__all__ = ["ALL", "Part", "WindowSource"]

# Without shuffling, nothing is gained by more.
_IN_ORDER_BYTES = 2**24
# A row's number.
_NUMBER_BYTES = 8


class WindowSource:
    """Rows of a cache file, of which a window is in memory and the next on its way: see `TrainingSource`.

    Parameters
    ----------
    cache : Cache
    window_bytes : int
        Bytes of memory for both windows. How rows are shuffled depends on it: the larger the better, and more than a few
        dozen MB makes no difference that could be noticed. Two blocks, about 2 MiB, are needed at the least.
    part : Part
        Which of the rows; by default all.
    """

    def __init__(self, cache: Cache, window_bytes: int, part: Part = ALL):
        self._windows = _Windows(cache, window_bytes, part)
        self._stream: tuple[Order, int, Iterator[_Window]] | None = None
        self._latest: Rows
        self.n_rows = int(self._windows.counts.sum())
        self.n_columns = cache.n_columns
        self.n_targets = cache.n_targets
        self.numbers_a_row = float(cache.entries.sum() / cache.n_rows if cache.sparse else cache.n_columns)
        self.dtype = np.dtype(np.float32)

    def blocks(
        self, order: Order, epoch: int, position: int, size: Callable[[], int]
    ) -> Iterator[tuple[Block, int]]:
        """See `TrainingSource.blocks`. A block's arrays are written over when the next is asked for."""
        stream = self._continued(order, epoch, position)
        while position < self.n_rows:
            window = next(stream)
            self._latest = window.rows
            while position < window.stop:
                stop = min(position + size(), window.stop)
                yield window.block(position, stop), stop
                position = stop
        self._stream = order, epoch + 1, stream

    def targets(self) -> tuple[np.ndarray, np.ndarray]:
        """See `TrainingSource.targets`. They have to fit in memory."""
        y, weight = [], []
        for block, _ in self.blocks(Order(0, shuffle=False), 0, 0, lambda: self.n_rows):
            y.append(block.y[block.rows])
            weight.append(row_weights(block)[block.rows])
        return np.concatenate(y), np.concatenate(weight)

    def require_finite(self, rows: np.ndarray) -> None:
        """See `TrainingSource.require_finite`; row numbers mean nothing here."""
        try:
            ArraySource(self._latest).require_finite(rows)
        except NonFiniteError:
            raise NonFiniteError(
                "The encoded rows hold NaN or infinity; every value has to be a finite number. A column may hold numbers beyond "
                "what float32 can: scale it, or leave it out."
            ) from None

    def close(self) -> None:
        """Give back the memory of the windows."""
        self._stream = None

    def _continued(self, order, epoch, position):
        """The windows from a position on: those already on their way, if they are the ones."""
        stream, self._stream = self._stream, None
        if stream is not None and position == 0:
            its_order, its_epoch, windows = stream
            if its_order == order and (its_epoch == epoch or not order.shuffle):
                return windows
            del windows
        del stream  # its memory is given back before new memory is taken
        return self._windows.ahead(order, epoch, position)


class _Windows:
    """The windows of a part of a file. It knows nothing of those who use them, so that they go when their user goes."""

    def __init__(self, cache, window_bytes, part):
        self._cache = cache
        self._part = part
        self._runs = part.runs(cache.rows)
        self.counts = part.counts(cache.rows)
        # The number of each row in the order; and where rows are left out, of each in the part.
        self._numbers = 2 if part.fraction else 1
        self.sizes = cache.memory_of(cache.rows, cache.entries) + _NUMBER_BYTES * self._numbers * cache.rows
        self._room = window_bytes // 2

    def ahead(self, order, epoch, position):
        """The windows from a position on, and on into the epochs after; each read while the one before is in use."""
        room = max(self._room if order.shuffle else min(self._room, _IN_ORDER_BYTES), int(self.sizes.max()))
        room = min(room, int(self.sizes.sum()))
        memories = np.empty((2, room + padding(room, ALIGNMENT)), np.uint8)

        def read(item):
            number, plan = item
            return self._read(order, plan, memories[number % 2])

        return mapped_ahead(read, enumerate(self._plan(order, epoch, position, room)), threads=1, in_flight=2)

    def _plan(self, order, epoch, position, room):
        """Epoch, start, stop and blocks of each window, for ever."""
        while True:
            start = 0
            for blocks in divided(self.sizes, room, order, epoch):
                stop = start + int(self.counts[blocks].sum())
                if stop > max(start, position):
                    yield epoch, start, stop, blocks
                start = stop
            epoch, position = epoch + 1, 0

    def _read(self, order, plan, memory):
        """A window's rows, and the order to visit them in."""
        epoch, start, stop, blocks = plan
        n = stop - start
        numbers = memory[: _NUMBER_BYTES * self._numbers * n].view(np.uint64).reshape(self._numbers, n)
        numbers[0] = Order(_derived(order.seed, "rows", epoch, start), order.shuffle).grouped(n, 0, 0, n)
        if self._part.fraction:
            first, last = self._runs
            self._part.between(self._cache.rows[blocks], first[blocks], last[blocks], numbers[1])
            select(numbers[1], numbers[0])
        return _Window(self._cache.read(blocks, memory[numbers.nbytes :]), numbers[0], start, stop)


class _Window(NamedTuple):
    """Rows in memory, and the order to visit them in, from one position of the epoch to another."""

    rows: Rows
    order: np.ndarray
    start: int
    stop: int

    def block(self, start, stop):
        return self.rows.block(self.order[start - self.start : stop - self.start])


def divided(sizes: np.ndarray, room: int, order: Order, epoch: int) -> Iterator[np.ndarray]:
    """The blocks of each window, given the bytes that every block takes.

    Shuffled, windows are of about the same size, and with w of them, each has one block out of every run of w consecutive ones.
    """
    if not order.shuffle:
        yield from _consecutive(sizes, room)
        return
    a_window = int(np.searchsorted(np.cumsum(np.sort(sizes)[::-1]), room, "right"))
    n_windows = -(-len(sizes) // a_window)
    runs = -(-len(sizes) // n_windows)
    chosen = [
        run * n_windows + _permutation(order.seed, "run", epoch, run, n=n_windows) for run in range(runs)
    ]
    for number, window in enumerate(np.stack(chosen, axis=1)):
        blocks = window[window < len(sizes)]
        yield blocks[_permutation(order.seed, "window", epoch, number, n=len(blocks))]


def _consecutive(sizes, room):
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        stop = int(np.searchsorted(ends, ends[start] - sizes[start] + room, "right"))
        yield np.arange(start, stop)
        start = stop


def _permutation(*key, n):
    return Order(_derived(*key)).rows(n, 0, 0, n).astype(np.int64)


def _derived(seed, *numbers):
    """A seed that depends on all of these."""
    text = " ".join(map(str, (seed, *numbers)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
