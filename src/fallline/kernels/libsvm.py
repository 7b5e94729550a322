"""Parsing lines of `label index:value index:value ... # comment`.

Numbers are read as sums of decimal digits times a power of ten in float64, which is exact for up to 15 digits and powers up to 22
(Clinger, How to read floating point numbers accurately, 1990) and off by a few units in the last place of a float64 at worst
for others: what is left after rounding to float32 is the nearest one but for rare ties.
"""

from __future__ import annotations

import numpy as np

from fallline.kernels.compile import inlined, kernel

__all__ = [
    "BAD_INDEX",
    "BAD_LABEL",
    "BAD_VALUE",
    "LARGE_INDEX",
    "NEGATIVE_INDEX",
    "NOT_FINITE",
    "NO_COLON",
    "REPEATED_INDEX",
    "SEVERAL_LABELS",
    "UNSORTED_INDEX",
    "parse_libsvm",
]

# What can be wrong with a line.
_GOOD = 0
BAD_LABEL = 1
SEVERAL_LABELS = 2
NO_COLON = 3
BAD_INDEX = 4
NEGATIVE_INDEX = 5
LARGE_INDEX = 6
REPEATED_INDEX = 7
UNSORTED_INDEX = 8
BAD_VALUE = 9
NOT_FINITE = 10

_LARGEST_INDEX = 2**31 - 2
# Half a unit in the last place above the largest float32: what is not beyond it is rounded down to that.
_LARGEST_VALUE = float(np.finfo(np.float32).max) * (1 + 2.0**-25)

_FEED = 10
_RETURN = 13
_SPACE = 32
_TAB = 9
_PLUS = 43
_COMMA = 44
_MINUS = 45
_DOT = 46
_ZERO = 48
_COLON = 58
_HASH = 35

# More digits than that may not fit into 64 bits.
_DIGITS = 18
_POWERS = np.array([float(f"1e{power}") for power in range(309)])


@kernel
def parse_libsvm(data, labels, indptr, indices, values, bad_rows, bad_kinds, bad_places):
    """Parse whole lines. Empty ones, and those of nothing but a comment, are no rows.

    Parameters
    ----------
    data : ndarray of uint8
    labels : ndarray of float64
        Filled with the labels of good rows.
    indptr, indices, values : ndarray of int32, int32, float32
        Filled with their entries as CSR; indices as they stand in the text, ascending in a row.
    bad_rows, bad_kinds, bad_places : ndarray of int64
        Filled with the numbers of rows that cannot be read, what is wrong with them, and where the word is that is wrong.

    Returns
    -------
    good, bad, size : int
        How many rows can be read, how many cannot, and how many entries the good ones have.
    """
    good, bad, size, i, n = 0, 0, 0, 0, data.size
    indptr[0] = 0
    while i < n:
        i = _skip_blanks(data, i)
        if i >= n or _ends_row(data[i]):
            i = _next_line(data, i)
            continue
        kind, place, stop, label, end = _row(data, i, indices, values, size)
        if kind == _GOOD:
            labels[good] = label
            size = end
            good += 1
            indptr[good] = size
        else:
            bad_rows[bad], bad_kinds[bad], bad_places[bad] = good + bad, kind, place
            bad += 1
        i = _next_line(data, stop)
    return good, bad, size


@inlined
def _row(data, i, indices, values, size):
    """What is wrong with the row that begins at `i`, and where; where parsing stopped; its label; the entries up to its end."""
    label, stop = _number(data, i)
    if not _ends_word(data, stop):
        several = stop > i and data[stop] == _COMMA
        return (SEVERAL_LABELS if several else BAD_LABEL), i, stop, label, size
    if not np.isfinite(label):
        return NOT_FINITE, i, stop, label, size
    last = -1
    i = _skip_blanks(data, stop)
    while i < data.size and not _ends_row(data[i]):
        if _is_query(data, i):
            while not _ends_word(data, i):
                i += 1
            i = _skip_blanks(data, i)
            continue
        kind, index, value, stop = _entry(data, i)
        if kind == _GOOD and index <= last:
            kind = REPEATED_INDEX if index == last else UNSORTED_INDEX
        if kind != _GOOD:
            return kind, i, stop, label, size
        indices[size], values[size] = index, value
        size += 1
        last = index
        i = _skip_blanks(data, stop)
    return _GOOD, i, i, label, size


@inlined
def _entry(data, i):
    """What is wrong with the entry at `i`; its index and value; where it ends."""
    n, start = data.size, i
    negative = data[i] == _MINUS
    if negative or data[i] == _PLUS:
        i += 1
    first, index = i, np.int64(0)
    while i < n and _is_digit(data[i]):
        index = min(index * 10 + np.int64(data[i] - _ZERO), np.int64(_LARGEST_INDEX + 1))
        i += 1
    if i >= n or data[i] != _COLON or i == first:
        return (BAD_INDEX if _has_colon(data, i) else NO_COLON), index, 0.0, i
    if negative:
        return NEGATIVE_INDEX, index, 0.0, start
    if index > _LARGEST_INDEX:
        return LARGE_INDEX, index, 0.0, i
    value, stop = _number(data, i + 1)
    if stop == i + 1 or not _ends_word(data, stop):
        return BAD_VALUE, index, 0.0, stop
    # Written so that NaN is caught, too.
    if not abs(value) < _LARGEST_VALUE:
        return NOT_FINITE, index, 0.0, stop
    return _GOOD, index, value, stop


@inlined
def _number(data, i):
    """The number at `i` and where it ends: at `i` if there is none."""
    n, start = data.size, i
    negative = i < n and data[i] == _MINUS
    if negative or (i < n and data[i] == _PLUS):
        i += 1
    word = _special(data, i)
    if word != 0.0:
        return (-word if negative else word), i + _special_length(data, i)
    mantissa, digits, power, seen = np.uint64(0), 0, 0, False
    fraction = False
    while i < n and (_is_digit(data[i]) or (data[i] == _DOT and not fraction)):
        if data[i] == _DOT:
            fraction = True
        else:
            seen = True
            if digits < _DIGITS:
                mantissa = mantissa * np.uint64(10) + np.uint64(data[i] - _ZERO)
                digits += mantissa > 0
                power -= fraction
            else:
                power += not fraction
        i += 1
    if not seen:
        return 0.0, start
    exponent, i = _exponent(data, i)
    value = _scaled(np.float64(mantissa), power + exponent)
    return (-value if negative else value), i


@inlined
def _exponent(data, i):
    """The exponent at `i`, 0 if there is none, and where it ends."""
    n = data.size
    if i >= n or (data[i] | 32) != 101:
        return 0, i
    start = i
    i += 1
    negative = i < n and data[i] == _MINUS
    if negative or (i < n and data[i] == _PLUS):
        i += 1
    if i >= n or not _is_digit(data[i]):
        return 0, start
    exponent = 0
    while i < n and _is_digit(data[i]):
        exponent = min(exponent * 10 + np.int64(data[i] - _ZERO), 9999)
        i += 1
    return (-exponent if negative else exponent), i


@inlined
def _scaled(value, power):
    """value * 10**power."""
    if power < 0:
        if power < -308:
            value /= 1e308
            power += 308
        return value / _POWERS[min(-power, 308)]
    return value * _POWERS[power] if power <= 308 else value * np.inf if value > 0.0 else 0.0


@inlined
def _special(data, i):
    """infinity or NaN if that is what is written at `i`; else 0."""
    if i + 3 > data.size:
        return 0.0
    a, b, c = data[i] | 32, data[i + 1] | 32, data[i + 2] | 32
    if a == 105 and b == 110 and c == 102:
        return np.inf
    if a == 110 and b == 97 and c == 110:
        return np.nan
    return 0.0


@inlined
def _special_length(data, i):
    """How long the word at `i` is: "inf", "nan" or "infinity"."""
    stop = i
    while not _ends_word(data, stop):
        stop += 1
    return 8 if stop - i == 8 and (data[i] | 32) == 105 else 3


@inlined
def _is_query(data, i):
    """Whether "qid:" stands at `i`: the query that a row belongs to, of no use here."""
    if i + 4 > data.size:
        return False
    return data[i] == 113 and data[i + 1] == 105 and data[i + 2] == 100 and data[i + 3] == _COLON


@inlined
def _has_colon(data, i):
    while not _ends_word(data, i):
        if data[i] == _COLON:
            return True
        i += 1
    return False


@inlined
def _is_digit(c):
    return c >= _ZERO and c < _ZERO + 10


@inlined
def _ends_row(c):
    return c in (_FEED, _RETURN, _HASH)


@inlined
def _ends_word(data, i):
    return i >= data.size or data[i] == _SPACE or data[i] == _TAB or _ends_row(data[i])


@inlined
def _skip_blanks(data, i):
    while i < data.size and (data[i] == _SPACE or data[i] == _TAB):
        i += 1
    return i


@inlined
def _next_line(data, i):
    while i < data.size and data[i] != _FEED and data[i] != _RETURN:
        i += 1
    return i + 1
