"""How many rows can be compared on, and which.

The contenders want all features of a row as numbers, and all rows in memory at once: most of them know nothing else. Where that
is too much, the comparison is one on a random part of the rows, and says so.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fallline.comparison.words import megabytes
from fallline.data.budget import Budget
from fallline.data.order import Order
from fallline.errors import InputError
from fallline.settings import seed_from

__all__ = ["FEWEST_ROWS", "Draw", "draw"]

FEWEST_ROWS = 20
"""Fewer say nothing."""

# In float32, so many times the rows: as read, parted into training and test rows, in float64 to be judged by and once more while
# the gradient's noise is measured; later in each of four processes at once that measure memory, one of them in float64.
_COPIES = 12
_NUMBER = 4
# Nobody waits for an optimum that takes longer; but a few rows there have to be, however many features they have.
_MOST_PRODUCTS, _FEW_ROWS = 100_000_000, 1_000
# Weights, in float64, of the moments at which contenders are looked at.
_BYTES_A_WEIGHT = 8 * 200


class Draw(NamedTuple):
    """The rows to compare on.

    Parameters
    ----------
    rows : ndarray of int64, ascending
        Their numbers, among the rows that have a target.
    why : list of str
        Why they are not all, in a sentence; empty if they are.
    """

    rows: np.ndarray
    why: list[str]


def draw(n: int, features: int, outputs: int, budget: Budget, seed: int) -> Draw:
    """All of n rows; or, where those are too many, as many of them as are not.

    Which they are is a pure function of the seed, n, and how many there are.

    Raises
    ------
    InputError
        If there are so many features that hardly any rows would do.
    """
    by_memory = budget.total // (_COPIES * _NUMBER * (features + outputs + 1))
    by_time = max(_MOST_PRODUCTS // (features * outputs), _FEW_ROWS)
    if by_memory < FEWEST_ROWS or _BYTES_A_WEIGHT * features * outputs > budget.total // 2:
        raise InputError(
            f"There are {features:,} features{f' and {outputs} classes' if outputs > 1 else ''}, too many to be compared on "
            f"within {megabytes(budget.total)} of memory. Leave columns out, or give more memory."
        )
    most = min(by_memory, by_time)
    if n <= most:
        return Draw(np.arange(n), [])
    rows = np.sort(Order(seed_from(seed)).rows(n, 0, 0, most)).astype(np.int64)
    return Draw(rows, [_why(n, most, by_memory < by_time, features, outputs, budget)])


def _why(n, most, memory_decides, features, outputs, budget):
    said = f"Compared on {most:,} rows, drawn at random from {n:,}: "
    if memory_decides:
        return (
            f"{said}contenders need rows in memory, with a number for each feature, and several copies of them. These take "
            f"1/{_COPIES} of the {megabytes(budget.total)} that may be used; more memory allows for more."
        )
    each = f"{features:,} features{f' for each of {outputs} classes' if outputs > 1 else ''}"
    return f"{said}with {each}, more would take too long."
