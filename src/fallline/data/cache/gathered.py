"""Rows in memory, put where they stay while they are shuffled and written: they need not be read back."""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.data.cache import layout
from fallline.data.rows import DenseRows, Rows, SparseRows
from fallline.kernels.blocks import copy_csr_rows

__all__ = ["Gathered", "arrays_in", "memory_for"]


class Gathered:
    """Blocks of rows one after the other, as `Cache.load` would have them.

    Parameters
    ----------
    most_rows : int
        Rows that there are at most.
    most_bytes : int
        About how much memory they may take. Where they turn out to need more, nothing is gathered.
    """

    def __init__(self, most_rows: int, most_bytes: int):
        self._most_rows, self._most_bytes = most_rows, most_bytes
        self._most_entries = 0
        self._arrays: dict[str, np.ndarray] = {}
        self._whole = True
        self._columns = 0
        self._row = self._entry = 0

    def take(self, rows: Rows, numbers: np.ndarray) -> Rows:
        """The rows of these numbers, as `rows.take` has them, but lying here if there is room."""
        if self._whole and not self._arrays:
            self._make_room(rows)
        entries = int(np.diff(rows.indptr)[numbers].sum()) if isinstance(rows, SparseRows) else 0
        full = self._row + len(numbers) > self._most_rows or self._entry + entries > self._most_entries
        if full or not self._whole:
            self._whole, self._arrays = False, {}
            return rows.take(numbers)
        if isinstance(rows, SparseRows):
            taken: Rows = self._sparse(rows, numbers, entries)
        else:
            taken = self._dense(rows, numbers)
        self._row, self._entry = self._row + len(numbers), self._entry + entries
        return taken

    def rows(self) -> Rows | None:
        """All that were taken; None where there was not enough room."""
        if not (self._whole and self._arrays):
            return None
        arrays, n = self._arrays, self._row
        y, weight = arrays["y"][:n], arrays["weight"][:n]
        if "X" in arrays:
            return DenseRows(arrays["X"][:n], y, weight)
        indices, data = arrays["indices"][: self._entry], arrays["data"][: self._entry]
        return SparseRows(arrays["indptr"][: n + 1], indices, data, self._columns, y, weight)

    def _make_room(self, rows):
        """Arrays of which only what is written to takes memory."""
        sparse = isinstance(rows, SparseRows)
        self._columns = rows.n_columns
        shape = layout.Shape(rows.n_columns, rows.y.shape[1], sparse)
        without = memory_for(shape, self._most_rows, 0)
        self._most_entries = max(0, self._most_bytes - without) // 8 if sparse else 0
        self._whole = sparse or without <= self._most_bytes
        if self._whole:
            memory = np.empty(memory_for(shape, self._most_rows, self._most_entries), np.uint8)
            self._arrays = arrays_in(memory, shape, self._most_rows, self._most_entries)

    def _part(self, name, length):
        start = self._entry if name in {"indices", "data"} else self._row
        return self._arrays[name][start : start + length]

    def _dense(self, rows, numbers):
        taken = DenseRows(*(self._part(name, len(numbers)) for name in DenseRows._fields))
        for out, array in zip(taken, rows, strict=True):
            # In any other mode, what is taken is put elsewhere first.
            np.take(array, numbers.astype(np.intp), axis=0, out=out, mode="clip")
        return taken

    def _sparse(self, rows, numbers, entries):
        n = len(numbers)
        indptr = np.zeros(n + 1, np.int64)
        np.cumsum(np.diff(rows.indptr)[numbers], out=indptr[1:])
        taken = SparseRows(
            indptr, self._part("indices", entries), self._part("data", entries), rows.columns, self._part("y", n),
            self._part("weight", n),
        )  # fmt: skip
        copy_csr_rows(rows.block(numbers), taken.indices, taken.data)
        taken.y[...], taken.weight[...] = rows.y[numbers], rows.weight[numbers]
        np.add(indptr[1:], self._entry, out=self._part("ends", n))
        return taken


def memory_for(shape: layout.Shape, rows: Any, entries: Any) -> Any:
    """Bytes of memory that so many rows and entries take; numbers or arrays of them."""
    a_row = 8 if shape.sparse else 4 * shape.columns
    # For each of at most five arrays and for what `indptr` has beyond its rows.
    return rows * (a_row + 4 * shape.targets + 4) + entries * 8 + 6 * layout.ALIGNMENT


def arrays_in(memory: np.ndarray, shape: layout.Shape, rows: int, entries: int) -> dict[str, np.ndarray]:
    """The arrays of so many rows and entries, laid out in memory (uint8, `memory_for` bytes) as in a block."""
    arrays = {
        part.name: memory[layout.ALIGNMENT + part.offset :][: part.nbytes]
        .view(part.dtype)
        .reshape(part.shape)
        for part in layout.parts_of(shape, rows, entries, weighted=True)
    }
    if shape.sparse:
        # The ends, and a zero before them.
        arrays["indptr"] = memory[layout.ALIGNMENT - 8 : layout.ALIGNMENT + 8 * rows].view("<i8")
        arrays["indptr"][0] = 0
    return arrays
