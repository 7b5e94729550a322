"""Which rows are trained on, and which are held out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fallline.data.order import Order

__all__ = ["ALL", "Part"]


class Part(NamedTuple):
    """Some of the rows of a file: those to train on, or those held out.

    Of every block, a run of rows is held out: a pure function of the seed and the block. It is as good a sample as any, since
    rows were shuffled when they were written, and it has the same share of every stretch of the file.

    Parameters
    ----------
    seed : int
    fraction : float
        Of the rows, held out.
    held_out : bool
        Whether this part is the rows held out, or the others.
    """

    seed: int = 0
    fraction: float = 0.0
    held_out: bool = False

    def runs(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where in each block of so many rows the run that is held out begins and ends."""
        places, rounding = _fractions(self.seed, len(rows))
        count = np.floor(rows * self.fraction + rounding).astype(np.int64).clip(0, rows)
        first = np.floor(places * (rows - count + 1)).astype(np.int64)
        return first, first + count

    def counts(self, rows: np.ndarray) -> np.ndarray:
        """How many rows of each block belong to the part."""
        first, last = self.runs(rows)
        return last - first if self.held_out else rows - (last - first)

    def numbers(self, rows: np.ndarray) -> np.ndarray:
        """The numbers (uint64) of the rows that belong to the part, of blocks one after the other."""
        numbers = np.empty(self.counts(rows).sum(), np.uint64)
        self.between(rows, *self.runs(rows), numbers)
        return numbers

    def between(self, rows: np.ndarray, first: np.ndarray, last: np.ndarray, out: np.ndarray) -> None:
        """Fill `out` with the numbers of the rows of the part, given the runs of these blocks."""
        before = np.cumsum(rows) - rows
        begins, ends = before + first, before + last
        if not self.held_out:
            # What is between two runs, over the end of a block.
            begins, ends = np.append(0, ends), np.append(begins, rows.sum())
        place = 0
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            out[place : place + end - begin] = np.arange(begin, end, dtype=np.uint64)
            place += end - begin


ALL = Part()
"""All rows."""


def _fractions(seed, n):
    """Two numbers in [0, 1) for each of n things."""
    count = 2 * n
    return (Order(seed).rows(2**40, n, 0, count) / 2.0**40).reshape(2, n)
