"""A permutation of the rows that is computed, not stored.

`permute` maps positions to row numbers by a keyed bijection, so the rows of any stretch of an epoch come from the key
alone: nothing to shuffle, nothing to keep, and an epoch can be entered anywhere.

The bijection is a Feistel network over the smallest power of two that holds all rows, walked until it lands inside
(cycle walking: Black and Rogaway, Ciphers with arbitrary finite domains, 2002). Its halves may differ by one bit.
The construction follows Mitchell, Stokes, Frank and Holmes, Bandwidth-optimal random shuffling for GPUs (2022).
"""

from __future__ import annotations

import numpy as np

from fallline.kernels.compile import inlined, kernel

__all__ = ["ROUNDS", "permute", "select"]

ROUNDS = 12

_MULTIPLIER = np.uint64(0xD2B74407B1CE6E93)
_LOW = np.uint64(0xFFFFFFFF)


@kernel
def permute(keys, n, start, out):
    """Fill `out` with the rows at the positions from `start` on, in a permutation of `range(n)`.

    `keys` (ROUNDS,) uint64 choose the permutation.
    """
    bits = np.uint64(2)
    while (np.uint64(1) << bits) < np.uint64(n):
        bits += np.uint64(1)
    for i in range(out.size):
        out[i] = _feistel(np.uint64(start + i), bits, keys)
    for i in range(out.size):
        while out[i] >= np.uint64(n):
            out[i] = _feistel(out[i], bits, keys)


@kernel
def select(subset, rows):
    """Replace positions in a subset by the rows they stand for."""
    for i in range(rows.size):
        rows[i] = subset[rows[i]]


@inlined
def _feistel(value, bits, keys):
    """One pass: a bijection of [0, 2**bits). The halves swap sides, and sizes, each round."""
    right_bits = bits >> np.uint64(1)
    left_bits = bits - right_bits
    left, right = value >> right_bits, value & ((np.uint64(1) << right_bits) - np.uint64(1))
    for round_ in range(ROUNDS):
        mixed = (right + (keys[round_] & _LOW)) * _MULTIPLIER
        mixed = (mixed ^ (mixed >> np.uint64(32))) * _MULTIPLIER
        folded = (left ^ (mixed >> np.uint64(40))) & ((np.uint64(1) << left_bits) - np.uint64(1))
        left, right = right, folded
        left_bits, right_bits = right_bits, left_bits
    return (left << right_bits) | right
