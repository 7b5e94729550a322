"""More data for columns that are known: to predict, to evaluate, to validate. And what is said about rows left out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from fallline.data.encoder import Plan
from fallline.data.sources import open_source
from fallline.data.sources.base import Skipped, Source
from fallline.data.sources.options import Known, ReadOptions
from fallline.errors import FalllineWarning, InputError
from fallline.names import which_one

__all__ = ["known_columns", "open_further", "require_columns", "text_columns"]

# Arrow's names of types that text can be read as.
_NUMBER = re.compile(r"u?int\d+|halffloat|float|double|decimal")
_WRITTEN = re.compile(r"bool|date32|timestamp|time32")


def open_further(data: Any, plan: Plan, options: ReadOptions) -> Source:
    """More data with the columns of a plan: those that were text stay text, whatever they look like here."""
    return open_source(data, options=options.as_text(text_columns(plan)).with_known(known_columns(plan)))


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
            found.append(Known(column.name, "double"))
        elif column.kind in {"boolean", "date"} and _WRITTEN.match(column.type):
            found.append(Known(column.name, column.type, column.notation))
    return found


def require_columns(source: Source, names: Iterable[str | None], why: str) -> None:
    """Raise `InputError` for the first of the columns that a source does not have; None is none."""
    known = source.schema.names
    for name in names:
        if name is not None and name not in known:
            raise InputError(f"{source.name!r} has no column {name!r}, {why}.{which_one(name, known)}")


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
