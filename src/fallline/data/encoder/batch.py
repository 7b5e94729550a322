"""What the pass and the encoder ask of a batch: which rows have a target, and where a bad one is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from fallline.data.encoder.arrow import missing
from fallline.data.encoder.kinds.base import BadValue
from fallline.data.sources.base import Batch
from fallline.errors import InputError

__all__ = ["at", "refused", "row_number", "too_large", "without_missing_target"]


def without_missing_target(batch: Batch, target: str) -> tuple[pa.RecordBatch, np.ndarray | None]:
    """The rows of a batch that have a target, and where they stood in it (None: all are there)."""
    absent = missing(batch.rows.column(target))
    if not absent.any():
        return batch.rows, None
    return batch.rows.filter(pa.array(~absent)), np.flatnonzero(~absent)


def refused(batch: Batch, kept: np.ndarray | None, error: BadValue) -> InputError:
    """The error that names file and row."""
    position = error.position if kept is None else kept[error.position]
    return InputError(f"{at(batch, position)}: {error.reason}.")


def too_large(name: str, value: float) -> str:
    """Why a number cannot be encoded."""
    if np.isinf(value):
        return f"column {name!r} is infinite. Correct it, or leave it empty if it is missing"
    return f"column {name!r} is {value:g}, too large to be standardised. Correct it, or take its logarithm"


def row_number(batch: Batch, position: int) -> int:
    """The number in its file of the row at a position of a batch, from 1."""
    number = batch.first + position
    for skipped in sorted(batch.skipped, key=lambda skipped: skipped.row):
        number += skipped.rows * (skipped.row <= number)
    return number


def at(batch: Batch, position: Any) -> str:
    """Where a row of a batch is, to begin a message with."""
    return f"{batch.file!r}, row {row_number(batch, int(position)):,}"
