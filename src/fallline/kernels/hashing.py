"""Hashes of strings, and of the words in them.

The hash is MurmurHash3 with 32 bits (Appleby, 2011; the variant x86_32): quick on short keys, and the same everywhere, so
that a model's buckets mean the same on every machine. A string is hashed behind a prefix, the name of its column, so that
equal values of two columns land in different buckets.

Strings come as Arrow keeps them: the bytes of all, and where each begins and ends.
"""

from __future__ import annotations

import math

import numpy as np

from fallline.kernels.compile import inlined, kernel

__all__ = ["hash_strings", "hash_words"]

_C1, _C2 = np.uint32(0xCC9E2D51), np.uint32(0x1B873593)
_FIVE, _ADDED = np.uint32(5), np.uint32(0xE6546B64)
_F1, _F2 = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
_SPACE = np.uint8(0x20)


@kernel
def hash_strings(prefix, offsets, data, out):
    """Fill `out` (n,) uint32 with the hash of each string, behind the prefix.

    `prefix` and `data` are uint8; string i is `data[offsets[i]:offsets[i + 1]]`.
    """
    key = _room_for(prefix, _longest(offsets))
    for i in range(out.size):
        end = _append(key, len(prefix), data, offsets[i], offsets[i + 1])
        out[i] = _murmur(key, end)


@kernel
def hash_words(prefix, offsets, data, n, buckets, indptr, indices, values):
    """Rows of hashed words and neighbouring words, up to `n` of them at a time, as CSR; each row has Euclidean length 1.

    A word is a run of letters, digits and underscores. `indptr` (rows + 1,) int64 is filled, and so are the first
    `indptr[rows]` of `indices` (int32, ascending in a row) and `values` (float32), which have room for n numbers a byte.
    """
    longest = _longest(offsets)
    key = _room_for(prefix, longest + n)
    # A word needs a byte and a separator, so there are at most half as many as bytes.
    starts, stops = np.empty(longest // 2 + 1, np.int64), np.empty(longest // 2 + 1, np.int64)
    found = np.empty(n * len(starts), np.int32)
    filled = 0
    indptr[0] = 0
    for row in range(offsets.size - 1):
        words = _split(data, offsets[row], offsets[row + 1], starts, stops)
        count = 0
        for first in range(words):
            end = len(prefix)
            for last in range(first, min(first + n, words)):
                end = _append(key, end, data, starts[last], stops[last])
                found[count] = _murmur(key, end) % np.uint32(buckets)
                count += 1
                key[end] = _SPACE
                end += 1
        filled = _counted(found[:count], filled, indices, values)
        indptr[row + 1] = filled


@inlined
def _longest(offsets):
    longest = 0
    for i in range(offsets.size - 1):
        longest = max(longest, offsets[i + 1] - offsets[i])
    return longest


@inlined
def _room_for(prefix, more):
    """Bytes that begin with the prefix and have room for more."""
    key = np.empty(prefix.size + more + 1, np.uint8)
    key[: prefix.size] = prefix
    return key


@inlined
def _append(key, end, data, start, stop):
    """Copy bytes to where the key ends; its new end."""
    for i in range(stop - start):
        key[end + i] = data[start + i]
    return end + stop - start


@inlined
def _murmur(key, length):
    """MurmurHash3 x86_32 of the first `length` bytes, seed 0."""
    h = np.uint32(0)
    whole = length - length % 4
    for i in range(0, whole, 4):
        h ^= _scrambled(_word(key, i, 4))
        h = np.uint32(_rotated(h, 13) * _FIVE + _ADDED)
    h ^= _scrambled(_word(key, whole, length - whole))
    h ^= np.uint32(length)
    h = np.uint32((h ^ (h >> np.uint32(16))) * _F1)
    h = np.uint32((h ^ (h >> np.uint32(13))) * _F2)
    return np.uint32(h ^ (h >> np.uint32(16)))


@inlined
def _word(key, start, size):
    """Up to four bytes as one number, the first one lowest."""
    word = np.uint32(0)
    for i in range(size):
        word |= np.uint32(np.uint32(key[start + i]) << np.uint32(8 * i))
    return word


@inlined
def _scrambled(word):
    return np.uint32(_rotated(np.uint32(word * _C1), 15) * _C2)


@inlined
def _rotated(x, by):
    # Numba computes with 64 bits whatever the operands have, so each step says that it keeps 32.
    return np.uint32(np.uint32(x << np.uint32(by)) | (x >> np.uint32(32 - by)))


@inlined
def _split(data, start, stop, starts, stops):
    """Where the words begin and end; how many there are."""
    words, i = 0, start
    while i < stop:
        length = _separator(data, i, stop)
        if length > 0:
            i += length
            continue
        starts[words] = i
        while i < stop and _separator(data, i, stop) == 0:
            i += 1
        stops[words] = i
        words += 1
    return words


@inlined
def _separator(data, i, stop):
    """How many bytes of white space or punctuation begin here; 0 where a letter, a digit or an underscore does.

    Beyond ASCII, in UTF-8: U+0080 to U+00BF (Latin signs), U+2000 to U+207F (dashes, quotation marks, ...) and
    U+3000 to U+303F (those of Chinese and Japanese); all the rest counts as letters.
    """
    byte = data[i]
    if byte < 0x80:
        letter = 0x61 <= (byte | 0x20) <= 0x7A
        return 0 if letter or 0x30 <= byte <= 0x39 or byte == 0x5F else 1
    if byte == 0xC2:
        return min(2, stop - i)
    second = data[min(i + 1, stop - 1)]
    sign = (byte == 0xE2 and second <= 0x81) or (byte == 0xE3 and second == 0x80)
    return min(3, stop - i) if sign else 0


@inlined
def _counted(found, filled, indices, values):
    """Add a row of bucket numbers to a CSR, each once, times how often it was found, scaled to length 1."""
    found.sort()
    first, squares = filled, 0.0
    for i in range(found.size):
        if i > 0 and found[i] == found[i - 1]:
            values[filled - 1] += 1
        else:
            indices[filled] = found[i]
            values[filled] = 1
            filled += 1
    for i in range(first, filled):
        squares += values[i] * values[i]
    for i in range(first, filled):
        values[i] /= math.sqrt(squares)
    return filled
