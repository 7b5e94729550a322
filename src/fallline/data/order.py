"""Which row when: the order of an epoch, as a pure function of seed, epoch and number of rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fallline.kernels.order import ROUNDS, permute

__all__ = ["NO_EPOCH", "Order"]

NO_EPOCH = 2**40
"""An epoch that no training comes to: its order is for drawing rows, to try things on or to hold out."""

_MASK = 2**64 - 1


@dataclass(frozen=True)
class Order:
    """The order in which an epoch visits its rows.

    Nothing is stored and nothing is drawn from a generator: any stretch of any epoch can be asked for at any time, and the
    answer is the same on every machine.

    Parameters
    ----------
    seed : int
        Chooses the permutations, in [0, 2**64).
    shuffle : bool
        A new permutation of the rows in every epoch; otherwise the rows in order.
    """

    seed: int
    shuffle: bool = True

    def rows(self, n: int, epoch: int, start: int, stop: int) -> np.ndarray:
        """Row numbers (uint64) at the positions from `start` to `stop` of an epoch over `n` rows."""
        if not self.shuffle:
            return np.arange(start, stop, dtype=np.uint64)
        rows = np.empty(stop - start, dtype=np.uint64)
        permute(_keys(self.seed, epoch, n), n, start, rows)
        return rows


@lru_cache(maxsize=8)
def _keys(seed, epoch, n):
    """The permutation's keys: SplitMix64 (Steele, Lea and Flood, 2014), started from all three numbers."""
    state = _mix(_mix(_mix(seed) + epoch) + n)
    return np.array([_mix(state + i) for i in range(ROUNDS)], dtype=np.uint64)


def _mix(number):
    z = (number + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)
