"""Sources: where rows come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from fallline.data.order import Order
from fallline.errors import NonFiniteError
from fallline.kernels.blocks import DenseBlock
from fallline.kernels.order import select

__all__ = ["ArraySource"]


class ArraySource:
    """Rows of arrays in memory; nothing is copied.

    Parameters
    ----------
    X : ndarray of shape (n, columns), C-contiguous, float32 or float64
    y : ndarray of shape (n, targets) or (n,), same dtype, optional
        Left out where rows are only to be predicted.
    weight : ndarray of shape (n,), same dtype, optional
        By default every row weighs 1.
    subset : ndarray of row numbers, uint64, optional
        The rows that belong to this source; by default all.
    columns : sequence of str, optional
        Names, for messages.
    """

    def __init__(self, X, y=None, weight=None, *, subset=None, columns=None):
        # Read-only views: kernels are compiled once, whether the caller's arrays are writeable or not.
        self._X = _read_only(X)
        self._y = _read_only(_same(0, X)[:, np.newaxis] if y is None else y.reshape(len(y), -1))
        self._weight = _read_only(_same(1, X) if weight is None else weight)
        self._subset = subset
        self._columns = columns
        self.n_rows = len(X) if subset is None else len(subset)
        self.n_columns = X.shape[1]
        self.n_targets = self._y.shape[1]
        self.dtype = X.dtype

    def blocks(
        self, order: Order, epoch: int, position: int, size: Callable[[], int]
    ) -> Iterator[tuple[DenseBlock, int]]:
        """The rows of an epoch from `position` on, in blocks, each with the position after it.

        `size` is a function that says how many rows the next block may have.
        """
        while position < self.n_rows:
            stop = min(position + size(), self.n_rows)
            rows = order.rows(self.n_rows, epoch, position, stop)
            if self._subset is not None:
                select(self._subset, rows)
            yield DenseBlock(self._X, self._y, self._weight, rows), stop
            position = stop

    def targets(self) -> tuple[np.ndarray, np.ndarray]:
        """Targets (rows, targets) and weights (rows,), in order."""
        rows = slice(None) if self._subset is None else self._subset
        return self._y[rows], self._weight[rows]

    def require_finite(self, rows: np.ndarray) -> None:
        """Raise `NonFiniteError` if any of these rows holds NaN or infinity."""
        rows = np.sort(rows)
        for name, values in (("X", self._X), ("y", self._y), ("sample_weight", self._weight[:, np.newaxis])):
            for start in range(0, len(rows), 4096):
                part = rows[start : start + 4096]
                bad = ~np.isfinite(values[part])
                if bad.any():
                    row, column = np.argwhere(bad)[0]
                    raise NonFiniteError(self._describe(name, int(part[row]), int(column), values))

    def _describe(self, name, row, column, values):
        found = "NaN" if np.isnan(values[row, column]) else "infinity (inf)"
        where = f"row {row}"
        if name == "X":
            where += f", column {column}" + (
                f" ({self._columns[column]!r})" if self._columns is not None else ""
            )
        remedy = "Impute it or leave the row out" if name == "X" else "Correct it or leave the row out"
        return f"{name} holds {found} in {where}; every value has to be a finite number. {remedy}."


def _same(number, X):
    """One number for every row, without memory for it."""
    return np.broadcast_to(X.dtype.type(number), len(X))


def _read_only(array):
    view = array.view()
    view.flags.writeable = False
    return view
