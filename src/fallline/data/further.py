"""More data for columns that are known: to predict, to evaluate, to validate. And what is said about rows left out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any, TypeVar

from fallline.data.ahead import THREADS, mapped_ahead
from fallline.data.budget import Budget
from fallline.data.encoder import Encoder, Plan
from fallline.data.rows import Rows
from fallline.data.sources import open_source
from fallline.data.sources.base import Batch, Skipped, Source
from fallline.data.sources.formats import BATCH_BYTES
from fallline.data.sources.options import Known, ReadOptions
from fallline.errors import FalllineWarning, InputError
from fallline.names import listed, which_one

__all__ = [
    "encoded_ahead",
    "known_columns",
    "open_further",
    "require_columns",
    "text_columns",
    "warn_of_skipped",
]

Result = TypeVar("Result")

# Arrow's names of types that text can be read as.
_NUMBER = re.compile(r"u?int\d+|halffloat|float|double|decimal")
_WRITTEN = re.compile(r"bool|date32|timestamp|time32")


def open_further(data: Any, plan: Plan, options: ReadOptions, keep: Sequence[str] = ()) -> Source:
    """More data with the columns of a plan: those that were text stay text, and others that are kept stay as they are written."""
    options = options.as_text(text_columns(plan)).with_known(known_columns(plan))
    keys = tuple(column.name for column in plan.features())
    return open_source(data, options=options._replace(verbatim=tuple(keep), keys=keys, decimal=plan.decimal))


def encoded_ahead(
    data: Any,
    encoder: Encoder,
    function: Callable[[Rows], Result],
    *,
    budget: Budget,
    options: ReadOptions = ReadOptions(),
    keep: Sequence[str] = (),
    truth: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> Iterator[tuple[Batch, Result]]:
    """Every row of more data, in order, batch by batch: each with what a function makes of its encoded rows, on threads.

    Parameters
    ----------
    data : path, list of paths, data frame, table, array or sparse matrix
    encoder : Encoder
    function : callable
    budget : Budget
        What says how many batches may be under way.
    options : ReadOptions
    keep : sequence of str
        Columns that batches are to hold beside those that are encoded.
    truth : bool
        Whether the target is to be read, too; rows without one are not encoded.
    progress : callable, optional
        Told the share of the work that is done, and what is being done.

    Raises
    ------
    InputError
        If a column is missing or does not hold what it held in training.
    """
    source = open_further(data, encoder.plan, options, keep)
    columns = encoder.reads if truth else encoder.reads_features
    if truth:
        require_columns(source, [encoder.target.name], "the target that predictions are to be compared with")
    require_columns(source, columns, "which the model was trained on")
    require_columns(source, keep, "which is to be kept")
    wanted = list(dict.fromkeys([*columns, *keep]))
    in_flight = budget.reading(source, len(wanted)).in_flight(BATCH_BYTES)
    encode = partial(encoder.encode, unseen="nan") if truth else encoder.encode_features
    read = 0
    skipped: list[Skipped] = []
    with (
        closing(source.batches(wanted, in_flight=in_flight)) as batches,
        closing(
            mapped_ahead(lambda batch: (batch, function(encode(batch))), batches, THREADS, in_flight)
        ) as ahead,
    ):
        for batch, result in ahead:
            if not read:
                _warn_of_strangers(batch, encoder)
            read += batch.rows.num_rows
            skipped += batch.skipped
            if progress is not None:
                progress(batch.done / max(source.size, 1), f"{read:,} rows")
            yield batch, result
    warn_of_skipped(skipped)


def text_columns(plan: Plan) -> list[str]:
    """The columns that are text to a plan, whatever they look like: codes keep their leading zeros."""
    return [
        column.name
        for column in plan.features()
        if "string" in column.type or column.kind in {"category", "text"}
    ]


def known_columns(plan: Plan) -> list[Known]:
    """What a plan knows of how the others are written. Numbers may have decimals, even where none had when it was made."""
    found = []
    for column in plan.features():
        if column.kind == "number" and _NUMBER.match(column.type):
            found.append(Known(column.name, "double", column.notation))
        elif column.kind in {"boolean", "date"} and _WRITTEN.match(column.type):
            found.append(Known(column.name, column.type, column.notation))
    return found


def require_columns(source: Source, names: Iterable[str | None], why: str) -> None:
    """Raise `InputError` for the first of the columns that a source does not have; None is none."""
    known = source.schema.names
    for name in names:
        if name is not None and name not in known:
            raise InputError(f"{source.name!r} has no column {name!r}, {why}.{which_one(name, known)}")


def _warn_of_strangers(batch, encoder):
    """Warn of columns of which no value among the first rows was met in training: they may be written in another way."""
    for name, (here, there) in encoder.strangers(batch).items():
        warnings.warn(
            f"Column {name!r}: no value in the first {batch.rows.num_rows:,} rows of {batch.file!r} ({listed(here, 3)}) was "
            f"met in training ({listed(there, 3)}), so it says nothing about them. Check how they are written.",
            FalllineWarning,
            stacklevel=4,
        )


def warn_of_skipped(skipped: Sequence[Skipped]) -> None:
    """Warn of rows that could not be read and were left out, as asked for; say which were the first."""
    if not skipped:
        return
    first = "; ".join(f"{row.file!r}, row {row.row:,}: {row.reason}" for row in skipped[:3])
    rows = sum(row.rows for row in skipped)
    what = "1 row was" if rows == 1 else f"{rows:,} rows were"
    warnings.warn(
        f"{what} left out that could not be read: {first}{' ...' if len(skipped) > 3 else ''}",
        FalllineWarning,
        stacklevel=3,
    )
