"""Which rows of a batch are whose.

Each batch is dealt, row by row, to 64 lanes, and the lanes to the processes: the rows of an update are the same however many
processes there are. More than 64 of them get none.
"""

from __future__ import annotations

import numpy as np

from fallline.parallel.alone import Alone

__all__ = ["LANES", "in_own_lanes", "own_before", "parts_of"]

LANES = 64
"""How many lanes there are."""


def in_own_lanes(processes: Alone, first: int, count: int) -> np.ndarray:
    """Which of so many rows of a batch, the first of which has `first` before it, are this process's: bool, (count,)."""
    return np.arange(first, first + count) % LANES % processes.size == processes.rank


def parts_of(processes: Alone, count: int) -> np.ndarray:
    """How many rows of a batch of so many each process has: (size,)."""
    return np.bincount(np.arange(count) % LANES % processes.size, minlength=processes.size)


def own_before(processes: Alone, first: int) -> int:
    """How many of the first rows of a batch are this process's."""
    lanes = in_own_lanes(processes, 0, LANES)
    return first // LANES * int(lanes.sum()) + int(lanes[: first % LANES].sum())
