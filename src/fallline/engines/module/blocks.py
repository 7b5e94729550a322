"""What flows into a module: tensors of which some rows are to be visited, in an order."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["TensorBlock"]


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
    """

    inputs: Any
    targets: Any
    weight: Any
    rows: Any
