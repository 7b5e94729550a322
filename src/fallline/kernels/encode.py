"""From columns to statistics, and to rows: what has to keep up with the decoding of files.

Columns of numbers are read where Arrow keeps them, through its C data interface: a record batch is one address, and its
values, missing ones and slices are found from there, so nothing is copied and Python does nothing for a single column.

All of them go through the same small tile, as float64 with NaN for what is missing. From it, `moments` adds up what
standardising takes, and `standardise` turns columns into rows. Other kinds of columns arrive as codes (which one of a
few features is 1) or as CSR; `one_hot`, `scatter`, `count` and `fill` put them beside the numbers.
"""

from __future__ import annotations

import math

import numpy as np
from numba import carray, types
from numba.extending import intrinsic

from fallline.kernels.compile import inlined, kernel

__all__ = [
    "NUMBER_TYPES",
    "count",
    "fill",
    "first_disorder",
    "moments",
    "one_hot",
    "pick",
    "raise_to",
    "scatter",
    "standardise",
]

# The types that a number can be read from; what kernels are given is the place in this list.
NUMBER_TYPES = ("float", "double", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")

# Rows of a column that are read at once, and columns that are turned into rows at once: a tile of 32 KB, and one cache line.
_ROWS, _COLUMNS = 512, 16
# Sums run in so many lanes: they fill vector registers, and their order is the same on every machine.
_LANES = 16

_LARGEST = np.float32(np.finfo(np.float32).max)

# For each byte of validity bits, what to add to eight numbers: 0, or NaN for those that are missing.
_ADDED = np.where(np.arange(256)[:, np.newaxis] >> np.arange(8) & 1, 0.0, np.nan)

# Where the members of an ArrowArray stand, in words of 8 bytes (Arrow's C data interface).
_LENGTH, _NULLS, _OFFSET, _BUFFERS, _CHILDREN = 0, 1, 2, 5, 6


@kernel
def moments(batch, kinds, shifts, out):
    """Fill `out` (columns, 5) with each column's count, sum and sum of squares of value minus shift, lowest and highest.

    Parameters
    ----------
    batch : int
        Address of the ArrowArray of a record batch.
    kinds : ndarray of shape (columns,), uint8
        The type of each column, by its place in `NUMBER_TYPES`.
    shifts : ndarray of shape (columns,), float64
        Numbers near the means: squares of what is left do not cancel.
    """
    rows = _words(batch, _LENGTH)[_LENGTH]
    tile = np.empty((1, _ROWS))
    lanes = np.empty((5, _LANES))
    for j in range(kinds.size):
        lanes[:3], lanes[3], lanes[4] = 0.0, math.inf, -math.inf
        for start in range(0, rows, _ROWS):
            tile[0] = math.nan
            _load(batch, j, kinds[j], start, min(_ROWS, rows - start), tile[0])
            _add_up(tile[0], shifts[j], lanes)
        out[j, :3] = 0.0
        for lane in range(_LANES):
            for i in range(3):
                out[j, i] += lanes[i, lane]
        out[j, 3], out[j, 4] = lanes[3].min(), lanes[4].max()


@kernel
def standardise(batch, kinds, means, scales, flags, first, out):
    """Fill the columns of `out` (rows, ...) float32 from `first` on with (value - mean) * scale, and 0 for missing values.

    `flags` (columns,) int64 names the column of `out` that tells whether the value is missing, or is -1; those named follow
    one another. Given back is how many numbers became infinite, being so large or infinite before.
    """
    rows, columns = len(out), kinds.size
    tile = np.empty((_COLUMNS, _ROWS))
    turned = np.empty((_COLUMNS, _ROWS), np.float32)
    absent = np.empty((_COLUMNS, _ROWS), np.float32)
    beyond = 0
    for start in range(0, rows, _ROWS):
        size = min(_ROWS, rows - start)
        for left in range(0, columns, _COLUMNS):
            width = min(_COLUMNS, columns - left)
            flagged, last_flag = 0, -1
            for c in range(width):
                j = left + c
                _load(batch, j, kinds[j], start, size, tile[c])
                if flags[j] >= 0:
                    _flag(tile[c, :size], absent[flagged])
                    flagged += 1
                    last_flag = flags[j]
                beyond += _scale(tile[c, :size], means[j], scales[j], turned[c])
            _turn(turned, size, width, out[start : start + size, first + left : first + left + width])
            if flagged > 0:
                _turn(
                    absent, size, flagged, out[start : start + size, last_flag + 1 - flagged : last_flag + 1]
                )
    return beyond


@kernel
def pick(batch, kinds, rows, out):
    """Fill `out` (rows, columns) float64 with the numbers in these rows (int64), NaN for missing ones."""
    for j in range(kinds.size):
        for i in range(rows.size):
            _load(batch, j, kinds[j], rows[i], 1, out[i, j : j + 1])


@kernel
def raise_to(places, values, out):
    """Raise `out[places[i]]` to the magnitude of `values[i]`, for each i."""
    for i in range(places.size):
        out[places[i]] = max(out[places[i]], abs(values[i]))


@kernel
def first_disorder(indptr, indices):
    """The first row of a CSR whose indices do not ascend; -1 if there is none."""
    for row in range(indptr.size - 1):
        for k in range(indptr[row] + 1, indptr[row + 1]):
            if indices[k] <= indices[k - 1]:
                return row
    return -1


@kernel
def one_hot(codes, firsts, start, out):
    """Clear the columns of `out` from `start` on, and set column `firsts[g] + codes[g, i]` of row i to 1 for each g.

    `codes` (groups, rows) int32 is -1 where nothing is to be set.
    """
    for row in range(0, len(out), _ROWS):
        out[row : row + _ROWS, start:] = 0
        for g in range(len(codes)):
            for i in range(row, min(row + _ROWS, len(out))):
                if codes[g, i] >= 0:
                    out[i, firsts[g] + codes[g, i]] = 1


@kernel
def scatter(indptr, indices, values, first, out):
    """Write the rows of a CSR to the columns of `out` from `first` on."""
    for i in range(len(out)):
        for k in range(indptr[i], indptr[i + 1]):
            out[i, first + indices[k]] = values[k]


@kernel
def count(dense, always, codes, lists, indptr):
    """Fill `indptr` (rows + 1,) with where the rows of a CSR begin: of numbers, flags, codes and other CSRs.

    `dense` (rows, numbers + flags) float32 counts for `always` entries, and one more for each flag that is set.
    `lists` (n, rows + 1) int64 holds other CSRs' own `indptr`.
    """
    indptr[0] = 0
    for i in range(len(indptr) - 1):
        entries = always
        for j in range(always, dense.shape[1]):
            entries += dense[i, j] != 0
        for g in range(len(codes)):
            entries += codes[g, i] >= 0
        for k in range(len(lists)):
            entries += lists[k, i + 1] - lists[k, i]
        indptr[i + 1] = indptr[i] + entries


@kernel
def fill(
    dense, always, codes, firsts, lists, begins, list_indices, list_values, list_firsts, indptr, indices, data
):
    """Fill `indices` and `data` of the CSR that `count` has counted.

    The other CSRs' indices and values lie behind each other, those of number k from `begins[k]` on; in rows of the
    result, their columns begin at `list_firsts[k]`.
    """
    for i in range(len(indptr) - 1):
        at = indptr[i]
        for j in range(dense.shape[1]):
            if j < always or dense[i, j] != 0:
                indices[at], data[at] = j, dense[i, j]
                at += 1
        for g in range(len(codes)):
            if codes[g, i] >= 0:
                indices[at], data[at] = firsts[g] + codes[g, i], 1
                at += 1
        for k in range(len(lists)):
            for e in range(begins[k] + lists[k, i], begins[k] + lists[k, i + 1]):
                indices[at], data[at] = list_firsts[k] + list_indices[e], list_values[e]
                at += 1


@inlined
def _load(batch, column, kind, start, rows, out):
    """Copy rows of a column to `out` as float64, NaN for missing ones."""
    array = _words(_words(_words(batch, _CHILDREN)[_CHILDREN], column)[column], _CHILDREN)
    first = array[_OFFSET] + start
    buffers = _words(array[_BUFFERS], 1)
    values = buffers[1]
    _copy(values, kind, first, rows, out)
    if buffers[0] != 0 and array[_NULLS] != 0:
        _erase(_numbers(buffers[0], (first + rows + 7) // 8, np.uint8(0)), first, rows, out)


@inlined
def _copy(address, kind, first, rows, out):
    """Copy numbers of any type, told by their place in `NUMBER_TYPES`."""
    if kind == 0:
        _convert(_numbers(address, first + rows, np.float32(0)), first, rows, out)
    elif kind == 1:
        _convert(_numbers(address, first + rows, np.float64(0)), first, rows, out)
    elif kind < 6:
        _copy_signed(address, kind, first, rows, out)
    else:
        _copy_unsigned(address, kind, first, rows, out)


@inlined
def _copy_signed(address, kind, first, rows, out):
    if kind == 2:
        _convert(_numbers(address, first + rows, np.int8(0)), first, rows, out)
    elif kind == 3:
        _convert(_numbers(address, first + rows, np.int16(0)), first, rows, out)
    elif kind == 4:
        _convert(_numbers(address, first + rows, np.int32(0)), first, rows, out)
    else:
        _convert(_numbers(address, first + rows, np.int64(0)), first, rows, out)


@inlined
def _copy_unsigned(address, kind, first, rows, out):
    if kind == 6:
        _convert(_numbers(address, first + rows, np.uint8(0)), first, rows, out)
    elif kind == 7:
        _convert(_numbers(address, first + rows, np.uint16(0)), first, rows, out)
    elif kind == 8:
        _convert(_numbers(address, first + rows, np.uint32(0)), first, rows, out)
    else:
        _convert(_numbers(address, first + rows, np.uint64(0)), first, rows, out)


@inlined
def _convert(values, first, rows, out):
    for i in range(rows):
        out[i] = values[first + i]


@inlined
def _erase(valid, first, rows, out):
    """NaN wherever a bit says that there is no value."""
    shift, whole = np.uint32(first & 7), rows - rows % 8
    for i in range(0, whole, 8):
        # Eight bits from anywhere lie in two bytes; where the second is not needed, there may be none.
        byte, last = (first + i) >> 3, (first + i + 7) >> 3
        bits = (np.uint32(valid[byte]) | (np.uint32(valid[last]) << np.uint32(8))) >> shift
        for k in range(8):
            out[i + k] += _ADDED[bits & np.uint32(255), k]
    for i in range(whole, rows):
        if not (valid[(first + i) >> 3] >> ((first + i) & 7)) & 1:
            out[i] = math.nan


@inlined
def _add_up(tile, shift, lanes):
    """Add a tile to the sums of each lane; NaN counts for nothing."""
    for i in range(0, tile.size, _LANES):
        for lane in range(_LANES):
            x = tile[i + lane]
            there = not math.isnan(x)
            d = x - shift if there else 0.0
            lanes[0, lane] += there
            lanes[1, lane] += d
            lanes[2, lane] += d * d
            lanes[3, lane] = min(lanes[3, lane], x)
            lanes[4, lane] = max(lanes[4, lane], x)


@inlined
def _flag(tile, out):
    for i in range(tile.size):
        out[i] = math.isnan(tile[i])


@inlined
def _scale(tile, mean, scale, out):
    """Standardise a column's tile; how many of its numbers are too large for float32."""
    beyond = 0
    for i in range(tile.size):
        z = np.float32((tile[i] - mean) * scale)
        z = np.float32(0) if math.isnan(z) else z
        beyond += abs(z) > _LARGEST
        out[i] = z
    return beyond


@inlined
def _turn(columns, rows, width, out):
    """Write columns as rows."""
    if width == _COLUMNS:
        for i in range(rows):
            for c in range(_COLUMNS):
                out[i, c] = columns[c, i]
    else:
        for i in range(rows):
            for c in range(width):
                out[i, c] = columns[c, i]


@inlined
def _words(address, last):
    """The 8-byte numbers at an address, up to number `last`."""
    return carray(_pointer(address, np.int64(0)), last + 1)


@inlined
def _numbers(address, size, like):
    """So many numbers at an address, of the type of `like`."""
    return carray(_pointer(address, like), size)


@intrinsic
def _pointer(typing_context, address, like):
    """An address as a pointer to numbers of the type of `like`."""
    pointer = types.CPointer(like)

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(types.int64, like), generate
