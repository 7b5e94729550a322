"""Encoded rows, dense or sparse, and what can be trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from fallline.data.order import Order
from fallline.errors import NonFiniteError
from fallline.kernels.blocks import Block, CsrBlock, DenseBlock, copy_csr_rows, row_weights
from fallline.kernels.order import select

__all__ = ["ArraySource", "DenseRows", "Rows", "SparseRows", "TrainingSource", "as_rows", "rows_of"]


class DenseRows(NamedTuple):
    """Rows that say every number.

    Parameters
    ----------
    X : ndarray of shape (n, columns), C-contiguous, float32 or float64
    y : ndarray of shape (n, targets), same dtype
    weight : ndarray of shape (n,), same dtype
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.X)

    @property
    def n_columns(self) -> int:
        """How many columns X has."""
        return self.X.shape[1]

    @property
    def dtype(self) -> np.dtype:
        """Of X, y and weight."""
        return self.X.dtype

    @property
    def numbers_a_row(self) -> float:
        """How many numbers a row of X holds."""
        return self.n_columns

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return sum(array.nbytes for array in self)

    def take(self, rows: np.ndarray) -> DenseRows:
        """A copy of the rows of these numbers."""
        return DenseRows(*(array[rows] for array in self))

    def block(self, rows: np.ndarray) -> DenseBlock:
        """These rows (uint64), in this order, for kernels to read where they lie."""
        return DenseBlock(_read_only(self.X), _read_only(self.y), _read_only(_once(self.weight)), rows)

    def not_finite(self) -> tuple[int, int, float] | None:
        """Row, column and value of the first number of X that is NaN or infinite."""
        return _not_finite(self.X)

    @staticmethod
    def concatenate(parts: Sequence[DenseRows]) -> DenseRows:
        """All rows of the parts, one part after the other."""
        return DenseRows(*map(np.concatenate, zip(*parts, strict=True)))


class SparseRows(NamedTuple):
    """Rows that say which columns are not zero (compressed sparse rows).

    Row i holds `data[indptr[i]:indptr[i + 1]]` in the columns `indices[indptr[i]:indptr[i + 1]]`.

    Parameters
    ----------
    indptr : ndarray of shape (n + 1,), int64
    indices : ndarray of shape (non-zeros,), int32 or int64
    data : ndarray of shape (non-zeros,), float32 or float64
    columns : int
        How many columns there are.
    y : ndarray of shape (n, targets), same dtype as `data`
    weight : ndarray of shape (n,), same dtype as `data`
    """

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    columns: int
    y: np.ndarray
    weight: np.ndarray

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.indptr) - 1

    @property
    def n_columns(self) -> int:
        """How many columns there are, zeros included."""
        return self.columns

    @property
    def dtype(self) -> np.dtype:
        """Of data, y and weight."""
        return self.data.dtype

    @property
    def numbers_a_row(self) -> float:
        """How many numbers a row holds, on average."""
        return len(self.data) / max(self.n_rows, 1)

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        arrays = (self.indptr, self.indices, self.data, self.y, self.weight)
        return sum(array.nbytes for array in arrays)

    def take(self, rows: np.ndarray) -> SparseRows:
        """A copy of the rows of these numbers."""
        rows = rows.astype(np.uint64, copy=False)
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(np.diff(self.indptr)[rows], out=indptr[1:])
        indices, data = np.empty(indptr[-1], self.indices.dtype), np.empty(indptr[-1], self.data.dtype)
        copy_csr_rows(self.block(rows), _unsigned(indices), data)
        return SparseRows(indptr, indices, data, self.columns, self.y[rows], self.weight[rows])

    def block(self, rows: np.ndarray) -> CsrBlock:
        """These rows (uint64), in this order, for kernels to read where they lie."""
        return CsrBlock(
            _read_only(_unsigned(self.indptr)),
            _read_only(_unsigned(self.indices)),
            _read_only(self.data),
            self.columns,
            _read_only(self.y),
            _read_only(_once(self.weight)),
            rows,
        )

    def not_finite(self) -> tuple[int, int, float] | None:
        """Row, column and value of the first number of X that is NaN or infinite."""
        found = _not_finite(self.data[:, np.newaxis])
        if found is None:
            return None
        place, _, value = found
        return int(np.searchsorted(self.indptr, place, "right")) - 1, int(self.indices[place]), value

    @staticmethod
    def concatenate(parts: Sequence[SparseRows]) -> SparseRows:
        """All rows of the parts, one part after the other."""
        lengths = [np.diff(part.indptr) for part in parts]
        indptr = np.concatenate([[0], *lengths]).cumsum(dtype=np.int64)
        indices, data, y, weight = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("indices", "data", "y", "weight")
        )
        return SparseRows(indptr, indices, data, parts[0].columns, y, weight)


Rows = DenseRows | SparseRows


def as_rows(X: Any, y: np.ndarray | None = None, weight: np.ndarray | None = None) -> Rows:
    """Arrays in memory as rows; nothing is copied, but for where sparse rows begin if those are no int64.

    Parameters
    ----------
    X : ndarray of shape (n, columns), C-contiguous, or SciPy CSR matrix or array; float32 or float64
    y : ndarray of shape (n, targets) or (n,), same dtype, optional
        Left out where rows are only to be predicted.
    weight : ndarray of shape (n,), same dtype, optional
        By default every row weighs 1.
    """
    n = X.shape[0]
    y = _same(0, n, X.dtype)[:, np.newaxis] if y is None else y.reshape(n, -1)
    weight = _same(1, n, X.dtype) if weight is None else weight
    if isinstance(X, np.ndarray):
        return DenseRows(X, y, weight)
    # Of one type everywhere: kernels are compiled for each.
    indptr = X.indptr.astype(np.int64, copy=False)
    return SparseRows(indptr, X.indices, X.data, X.shape[1], y, weight)


def rows_of(block: Block) -> Rows:
    """A copy of the rows of a block, in its order."""
    if isinstance(block, DenseBlock):
        return DenseRows(block.X, block.y, row_weights(block)).take(block.rows)
    parts = block.indptr, block.indices, block.data, block.columns, block.y, row_weights(block)
    return SparseRows(*parts).take(block.rows)


class TrainingSource(Protocol):
    """What an engine trains on: rows, visited block by block in any order, as often as wanted.

    Attributes
    ----------
    n_rows, n_columns, n_targets : int
    numbers_a_row : float
        How many numbers a row of X holds, on average: what visiting it costs.
    dtype : dtype
        Of the rows, float32 or float64.
    """

    n_rows: int
    n_columns: int
    n_targets: int
    numbers_a_row: float
    dtype: np.dtype

    def blocks(
        self, order: Order, epoch: int, position: int, size: Callable[[], int]
    ) -> Iterator[tuple[Block, int]]:
        """The rows of an epoch from `position` on, in blocks, each with the position after it.

        `size` is a function that says how many rows the next block may have. Its answers change where blocks end, and
        nothing else.
        """

    def targets(self) -> tuple[np.ndarray, np.ndarray]:
        """Targets (rows, targets) and weights (rows,), in the order of `blocks` without shuffling."""

    def require_finite(self, rows: np.ndarray) -> None:
        """Raise `NonFiniteError` if any row of the latest block, whose `rows` these are, holds NaN or infinity."""


class ArraySource:
    """Rows in memory; nothing is copied.

    Parameters
    ----------
    rows : DenseRows or SparseRows
    subset : ndarray of row numbers, uint64, optional
        The rows that belong to this source; by default all.
    columns : sequence of str, optional
        Names, for messages.
    shuffled : bool
        Whether rows were shuffled once already, and may be visited in groups (`Order.grouped`).
    """

    def __init__(
        self,
        rows: Rows,
        *,
        subset: np.ndarray | None = None,
        columns: Sequence[str] | None = None,
        shuffled: bool = False,
    ):
        self._rows = rows
        self._shuffled = shuffled
        self._subset = subset
        self._columns = columns
        self.n_rows = rows.n_rows if subset is None else len(subset)
        self.n_columns = rows.n_columns
        self.n_targets = rows.y.shape[1]
        self.numbers_a_row = rows.numbers_a_row
        self.dtype = rows.dtype

    def blocks(
        self, order: Order, epoch: int, position: int, size: Callable[[], int]
    ) -> Iterator[tuple[Block, int]]:
        """See `TrainingSource.blocks`."""
        visited = order.grouped if self._shuffled else order.rows
        while position < self.n_rows:
            stop = min(position + size(), self.n_rows)
            rows = visited(self.n_rows, epoch, position, stop)
            if self._subset is not None:
                select(self._subset, rows)
            yield self._rows.block(rows), stop
            position = stop

    def part(self, begin: int, end: int) -> ArraySource:
        """The rows from one position to another, in order, as a source."""
        rows = np.arange(begin, end, dtype=np.uint64) if self._subset is None else self._subset[begin:end]
        return ArraySource(self._rows, subset=rows, columns=self._columns, shuffled=self._shuffled)

    def targets(self) -> tuple[np.ndarray, np.ndarray]:
        """See `TrainingSource.targets`."""
        rows = slice(None) if self._subset is None else self._subset
        return self._rows.y[rows], self._rows.weight[rows]

    def require_finite(self, rows: np.ndarray) -> None:
        """See `TrainingSource.require_finite`; the error names the row."""
        rows = np.sort(rows)
        for start in range(0, len(rows), 4096):
            numbers = rows[start : start + 4096]
            part = self._rows.take(numbers)
            for name, found in (
                ("X", part.not_finite()),
                ("y", _not_finite(part.y)),
                ("sample_weight", _not_finite(part.weight[:, np.newaxis])),
            ):
                if found is not None:
                    raise NonFiniteError(self._describe(name, int(numbers[found[0]]), *found[1:]))

    def _describe(self, name, row, column, value):
        found = "NaN" if np.isnan(value) else "infinity (inf)"
        where = f"row {row}"
        if name == "X":
            where += f", column {column}" + ("" if self._columns is None else f" ({self._columns[column]!r})")
        remedy = "Impute it or leave the row out" if name == "X" else "Correct it or leave the row out"
        return f"{name} holds {found} in {where}; every value has to be a finite number. {remedy}."


def _not_finite(values):
    """Row, column and value of the first number that is NaN or infinite; None if all are finite."""
    bad = ~np.isfinite(values)
    if not bad.any():
        return None
    row, column = np.argwhere(bad)[0]
    return int(row), int(column), float(values[row, column])


def _same(number, n, dtype):
    """One number for every row, without memory for it."""
    return np.broadcast_to(dtype.type(number), n)


def _once(weight):
    """The weight of one row, if that is also the weight of all others by `_same`."""
    return weight[:1] if weight.strides == (0,) else weight


def _read_only(array):
    """The same memory, not to be written to: kernels are compiled once, whether the caller's arrays are writeable or not."""
    view = array.view()
    view.flags.writeable = False
    return view


def _unsigned(array):
    """The same memory as unsigned integers: compiled code need not ask whether an index is negative."""
    return array.view(f"u{array.itemsize}")
