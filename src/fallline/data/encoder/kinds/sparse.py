"""Sparse features: each scaled by its largest magnitude. Zero stays zero, so nothing is centred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_

from fallline.data.encoder.kinds.base import BadValue, Column, Encoded, Found, Kind, ListOf, Observed
from fallline.data.encoder.statistics import Largest
from fallline.kernels.encode import first_disorder

__all__ = ["Sparse", "SparseColumn"]

# A weight for each is held in memory.
_MOST_COLUMNS = 2**27


@dataclass(frozen=True)
class SparseColumn(Column):
    """A column of maps from feature numbers to values.

    Parameters
    ----------
    name : str
    scales : ndarray of shape (features,), float32
        One over the largest magnitude of each feature in the pass; 0 for those not seen.
    entries : float
        Entries a row, on average.
    """

    name: str
    scales: np.ndarray
    entries: float

    @property
    def becomes(self) -> str:
        """See `Column`."""
        return f"{len(self.scales):,} sparse features, each divided by its largest magnitude"

    @property
    def lists(self) -> Sequence[ListOf]:
        """See `Column`."""
        return [ListOf(len(self.scales), self.entries, f"{self.name}[{{}}]", self.scales)]

    def encode(self, array: pa.Array) -> Encoded:
        """See `Column`; features beyond those of the pass are left out."""
        indptr, indices, values = csr_of(array)
        known = indices < len(self.scales)
        if not known.all():
            indptr = np.concatenate([[0], np.cumsum(known)])[indptr]
            indices, values = indices[known], values[known]
        return Encoded(lists=[(indptr, indices, values * self.scales[indices])])


class Sparse(Kind):
    """Rows of a sparse matrix: the rows of libsvm files and SciPy matrices."""

    name = "sparse"
    column = SparseColumn

    def accepts(self, type_: pa.DataType) -> bool:
        """See `Kind`."""
        return is_.is_map(type_) and is_.is_integer(type_.key_type) and is_.is_floating(type_.item_type)

    def observe(self, array: pa.Array, options: Mapping[str, Any]) -> Observed:  # noqa: ARG002 (there are none)
        """See `Kind`."""
        _, indices, values = csr_of(array)
        return Observed(statistics=[Largest.of(indices, values)])

    def fit(self, name: str, found: Found, options: Mapping[str, Any]) -> Column | None:  # noqa: ARG002
        """See `Kind`."""
        largest: Largest = found.statistics[0]
        if not len(largest.columns):
            found.warn.append(f"Column {name!r} has no features in any row and was left out.")
            return None
        scales = np.zeros(int(largest.columns[-1]) + 1, np.float32)
        # One over the smallest numbers of float32 would be infinite; a feature that is always 0 stays 0.
        used = largest.magnitudes > 2.0**-126
        scales[largest.columns[used]] = 1 / largest.magnitudes[used]
        return SparseColumn(name, scales, largest.entries / found.rows)


def csr_of(array: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A column of maps as `indptr` (int64), `indices` (int32) and `values` (float32); missing rows are empty.

    Raises
    ------
    BadValue
        For indices that do not ascend or are out of range, and values that are not finite.
    """
    if is_.is_null(array.type):
        return np.zeros(len(array) + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32)
    if array.null_count:
        array = pc.if_else(array.is_valid(), array, pa.scalar([], array.type))
    bounds = array.offsets.to_numpy().astype(np.int64)
    part = slice(int(bounds[0]), int(bounds[-1])) if len(bounds) else slice(0, 0)
    indptr = bounds - bounds[0] if len(bounds) else np.zeros(1, np.int64)
    keys, items = array.keys[part], array.items[part]
    if items.null_count:
        raise BadValue(_row(indptr, items.is_null()), "a feature has no value. Leave it out, or give it one")
    indices, values = keys.to_numpy(), items.to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    wrong = first_disorder(indptr, indices)
    if wrong >= 0:
        raise BadValue(wrong, "features are not in ascending order. Sort them, and give each once")
    _require_in_range(indptr, indices, values)
    return indptr, indices.astype(np.int32, copy=False), values


def _require_in_range(indptr, indices, values):
    if len(indices) and (indices.min() < 0 or indices.max() >= _MOST_COLUMNS):
        outside = (indices < 0) | (indices >= _MOST_COLUMNS)
        number = int(indices[outside][0])
        raise BadValue(
            _row(indptr, outside),
            f"feature number {number:,} is not between 0 and {_MOST_COLUMNS:,}. Number features more tightly, or hash them",
        )
    bad = ~np.isfinite(values)
    if bad.any():
        raise BadValue(
            _row(indptr, bad),
            f"a feature is {values[bad][0]:g}, not a finite number. Correct it or leave it out",
        )


def _row(indptr, bad):
    """The row of the first bad entry."""
    return int(np.searchsorted(indptr, int(np.argmax(np.asarray(bad))), "right")) - 1
