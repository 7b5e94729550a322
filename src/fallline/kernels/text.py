"""Where records end in delimited text.

The grammar is that of the reader that parses the records afterwards: a field that begins with a quote ends at the next
quote that is not doubled, whatever lies between; what then comes up to the next delimiter is taken as it is. Anywhere
else a quote is a character like any other. Records end with a line feed, a carriage return, or both.
"""

from __future__ import annotations

import numpy as np

from fallline.kernels.compile import inlined, kernel

__all__ = ["NO_QUOTE", "cut", "split", "squeeze"]

# In place of the quote where fields are not quoted: no byte.
NO_QUOTE = -1

_FEED = 10
_RETURN = 13
_SPACE = 32
_TAB = 9
# Bytes looked at together when searching for a quote; a whole number of vector registers.
_STRIDE = 64
# Bytes looked at one by one before that: in a file with quotes the next one is not far.
_NEAR = 16


@kernel
def cut(data, delimiter, quote, end):
    """Where the last complete record of `data` ends, which begins with a record.

    Parameters
    ----------
    data : ndarray of uint8
    delimiter, quote, end : int
        Bytes. `end` ends lines.

    Returns
    -------
    after : int
        The position after the last `end` outside quotes; 0 if there is none.
    opened : int
        The position of the quote that is still open at the end of the data; -1 if none is.
    """
    after, i, n = 0, 0, data.size
    while True:
        if i + 1 < n and data[i] == delimiter and data[i + 1] == quote:
            # One quoted field after another: nothing to search for.
            i += 1
        else:
            outside = i
            i = _find(data, quote, i)
            while i < n and not _begins_field(data, i, delimiter):
                i = _find(data, quote, i + 1)
            after = _last_end(data, end, outside, i, after)
        if i == n:
            return after, -1
        opened = i
        i = _closing(data, quote, i + 1)
        if i == n:
            return after, opened
        i += 1


@kernel
def split(data, delimiter, quote, blank_is_row, starts, stops, fields):
    """Find the records of `data`. Empty lines are none.

    Parameters
    ----------
    data : ndarray of uint8
        Begins with a record. The last one may lack its line end.
    delimiter, quote : int
        Bytes.
    blank_is_row : bool
        Whether a line of nothing but blanks is a record, as it is in a table of one column.
    starts, stops : ndarray of int64
        Filled with where records begin and end, line ends excluded.
    fields : ndarray of int32
        Filled with the number of fields of each.

    Returns
    -------
    int
        How many records there are.
    """
    rows, i, n = 0, 0, data.size
    while i < n:
        start, count, blank = i, 1, not blank_is_row
        while i < n and data[i] != _FEED and data[i] != _RETURN:
            if data[i] == quote and (i == start or data[i - 1] == delimiter):
                i = min(_closing(data, quote, i + 1), n - 1)
                blank = False
            elif data[i] == delimiter:
                count += 1
                blank = False
            elif data[i] != _SPACE and data[i] != _TAB:
                blank = False
            i += 1
        if i > start and not blank:
            starts[rows], stops[rows], fields[rows] = start, i, count
            rows += 1
        i += 1
    return rows


@kernel
def squeeze(data, quote, out):
    """Copy `data` with one space for every run of blanks between fields, and none before or after them.

    Returns
    -------
    int
        How many bytes of `out` are filled.
    """
    size, i, n = 0, 0, data.size
    pending, begins = False, True
    while i < n:
        c = data[i]
        if c in (_SPACE, _TAB):
            pending = True
            i += 1
            continue
        ends = c in (_FEED, _RETURN)
        begins = begins or pending
        if pending and not ends and size and out[size - 1] != _FEED and out[size - 1] != _RETURN:
            out[size] = _SPACE
            size += 1
        pending = False
        stop = i + 1
        if c == quote and begins:
            stop = min(_closing(data, quote, i + 1) + 1, n)
        for k in range(i, stop):
            out[size] = data[k]
            size += 1
        begins = ends
        i = stop
    return size


@inlined
def _find(data, byte, i):
    """The first position from `i` on that holds the byte, or the end."""
    n = data.size
    if byte < 0:
        return n
    byte = np.uint8(byte)
    near = min(i + _NEAR, n)
    while i < near and data[i] != byte:
        i += 1
    if i < near:
        return i
    while i + _STRIDE <= n:
        found, near = np.uint8(0), data[i : i + _STRIDE]
        for k in range(_STRIDE):
            found |= np.uint8(near[k] == byte)
        if found:
            break
        i += _STRIDE
    while i < n and data[i] != byte:
        i += 1
    return i


@inlined
def _closing(data, quote, i):
    """The position of the quote that closes a field whose text begins at `i`, or the end."""
    n, quote = data.size, np.uint8(quote)
    while True:
        while i < n and data[i] != quote:
            i += 1
        if i + 1 >= n or data[i + 1] != quote:
            return i
        i += 2


@inlined
def _begins_field(data, i, delimiter):
    if i == 0:
        return True
    before = data[i - 1]
    return before in (delimiter, _FEED, _RETURN)


@inlined
def _last_end(data, end, start, stop, after):
    """The position after the last `end` in data[start:stop], or `after`."""
    for i in range(stop - 1, start - 1, -1):
        if data[i] == end:
            return i + 1
    return after
