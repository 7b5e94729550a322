"""What flows into a module: tensors of which some rows are to be visited, in an order."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["LoadedBatch", "TensorBlock"]


class TensorBlock(NamedTuple):
    """Rows of tensors. Nothing is copied to make one; the engine gathers batch by batch.

    Parameters
    ----------
    inputs : tensor, or tuple or dict of tensors
        What the module is called with, rows along the first dimension: `module(x)`, `module(*x)` or `module(**x)`.
    targets : tensor, or tuple or dict of tensors, or None
        What the loss compares the outputs with. Where there is none, the module gives the loss itself.
    weight : tensor of shape (n,) or None
        How much each row counts; None where all count 1.
    rows : int64 tensor of shape (rows,)
        Which rows of the three, in visiting order.
    numbered : bool
        Whether these are the numbers by which users know the rows.
    """

    inputs: Any
    targets: Any
    weight: Any
    rows: Any
    numbered: bool = False


class LoadedBatch(NamedTuple):
    """A batch as a `DataLoader` made it: what one update sees, to be taken whole and in order.

    Its tensors may have any shape. Whether their rows lie along the first dimension is known to who made them only: texts of
    unequal lengths come as one run of words and the places where each begins.

    Parameters
    ----------
    inputs, targets, weight
        As in `TensorBlock`.
    n_rows : int
        How many rows it counts as.
    """

    inputs: Any
    targets: Any
    weight: Any
    n_rows: int

    @property
    def rows(self) -> None:
        """None: there is nothing to choose from."""
