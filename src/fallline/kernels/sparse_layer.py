"""Products of sparse rows with the weights of a layer of many columns, unit by unit: a unit's weights stay in the cache."""

from __future__ import annotations

from fallline.kernels.compile import kernel

__all__ = ["multiply_rows", "spread_rows"]


@kernel
def multiply_rows(indptr, indices, data, weight, out):
    """Fill `out` (n, units) with the products of n sparse rows and each row of `weight` (units, columns)."""
    for unit in range(len(weight)):
        row = weight[unit]
        for i in range(len(out)):
            total = row[0] * 0
            for k in range(indptr[i], indptr[i + 1]):
                total += data[k] * row[indices[k]]
            out[i, unit] = total


@kernel
def spread_rows(indptr, indices, data, slopes, out):
    """Add to `out` (units, columns) the products of n sparse rows and their derivatives, `slopes` (n, units)."""
    for unit in range(len(out)):
        row = out[unit]
        for i in range(len(slopes)):
            slope = slopes[i, unit]
            for k in range(indptr[i], indptr[i + 1]):
                row[indices[k]] += slope * data[k]
