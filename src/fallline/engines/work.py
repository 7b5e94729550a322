"""What descending costs, counted: a clock would not say the same twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fallline.data.rows import TrainingSource

__all__ = ["work_a_row"]

# To move a coefficient, in products of which a row's score and gradient take one a number each: measured with rows of 22 and of
# 53 numbers, SGD (which remembers nothing of a coordinate) and Adam (two numbers).
_MOVE, _MOVE_SLOT = 2.0, 4.0
_UPDATE = 20.0


def work_a_row(source: TrainingSource, outputs: int, optimizer: Any) -> Callable[[int], float]:
    """What a row costs, in products, its share of the update included, as a function of the batch size.

    Of sparse rows, an update moves the coefficients of columns that are in the batch.
    """
    width = min(source.numbers_a_row, source.n_columns)
    move = _MOVE + _MOVE_SLOT * optimizer.slots

    def work(batch_size: int) -> float:
        moved = outputs * min(source.n_columns + 1, batch_size * (width + 1))
        return outputs * width + (moved * move + _UPDATE) / batch_size

    return work
