"""Sparse rows as a column: each row a map from column numbers to values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

__all__ = ["FEATURES", "as_maps"]

FEATURES = pa.field("features", pa.map_(pa.int32(), pa.float32()))
"""What a column of sparse rows is called, and its type."""


def as_maps(indptr: np.ndarray, indices: np.ndarray, data: np.ndarray) -> pa.MapArray:
    """Rows `indptr[0]` to `indptr[-1]` of a CSR matrix; indices and values are not copied where they have the type already.

    Parameters
    ----------
    indptr : ndarray of shape (rows + 1,)
        Where each row begins in the other two.
    indices : ndarray of shape (non-zeros,)
    data : ndarray of shape (non-zeros,)
    """
    first, last = indptr[0], indptr[-1]
    offsets = pa.array((indptr - first).astype(np.int32))
    keys = pa.array(indices[first:last].astype(np.int32, copy=False))
    values = pa.array(data[first:last].astype(np.float32, copy=False))
    return pa.MapArray.from_arrays(offsets, keys, values)
