"""A permutation of the rows that is computed, not stored.

`permute` maps positions to row numbers by a keyed bijection, so the rows of any stretch of an epoch come from the key
alone: nothing to shuffle, nothing to keep, and an epoch can be entered anywhere.

The bijection is a generalised Feistel network (Black and Rogaway, Ciphers with arbitrary finite domains, 2002): a position
is a pair (high, low) of digits of about the same size, which in turn are shifted by a hash of the other. There are a
few more pairs than rows; a position that lands on one of those goes through the network again, until it lands on a row.
On shuffling data by such networks see Mitchell, Stokes, Frank and Holmes, Bandwidth-optimal random shuffling for GPUs
(2022).
"""

from __future__ import annotations

import math

import numpy as np

from fallline.kernels.compile import inlined, kernel

__all__ = ["ROUNDS", "permute", "select"]

# Keys, one a round. Few rounds are enough to mix large digits; small ones go through all.
ROUNDS = 24
_FEW = 6
_LARGE = 4096

_HALF = np.uint64(32)
_ONE = np.uint64(1)
_MULTIPLIER = np.uint64(0xD2B74407B1CE6E93)


@kernel
def permute(keys, n, start, out):
    """Fill `out` with the rows at the positions from `start` on, in a permutation of `range(n)`.

    `keys` (ROUNDS,) uint64 choose the permutation; n is at most 2**40.
    """
    lows = np.uint64(math.ceil(math.sqrt(n)))
    highs = (np.uint64(n) + lows - _ONE) // lows
    rounds = _FEW if n >= _LARGE else ROUNDS
    for i in range(out.size):
        out[i] = np.uint64(start + i)
    for first in range(0, rounds, _FEW):
        for i in range(out.size):
            out[i] = _shuffled(out[i], highs, lows, keys, first)
    for i in range(out.size):
        while out[i] >= np.uint64(n):
            for first in range(0, rounds, _FEW):
                out[i] = _shuffled(out[i], highs, lows, keys, first)


@kernel
def select(subset, rows):
    """Replace positions in a subset by the rows they stand for."""
    for i in range(rows.size):
        rows[i] = subset[rows[i]]


@inlined
def _shuffled(position, highs, lows, keys, first):
    """A few rounds: a bijection of [0, highs * lows)."""
    high = np.uint64(np.float64(position) / np.float64(lows))
    low = position - high * lows
    for i in range(first, first + _FEW, 2):
        high = _shifted(high, highs, low, keys[i])
        low = _shifted(low, lows, high, keys[i + 1])
    return high * lows + low


@inlined
def _shifted(digit, base, other, key):
    """`digit` plus a hash of `other` and `key`, modulo `base`."""
    mixed = (other + (key >> _HALF)) * (key | _ONE)
    mixed = (mixed ^ (mixed >> _HALF)) * _MULTIPLIER
    shifted = digit + (((mixed >> _HALF) * base) >> _HALF)
    return min(shifted, shifted - base)
