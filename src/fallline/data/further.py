"""More data for columns that are known: to predict, to evaluate, to validate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fallline.data.encoder import Plan
from fallline.data.sources import open_source
from fallline.data.sources.base import Source
from fallline.data.sources.options import ReadOptions
from fallline.errors import InputError
from fallline.names import which_one

__all__ = ["open_further", "require_columns", "text_columns"]


def open_further(data: Any, plan: Plan, options: ReadOptions) -> Source:
    """More data with the columns of a plan: those that were text stay text, whatever they look like here."""
    return open_source(data, options=options.as_text(text_columns(plan)))


def text_columns(plan: Plan) -> list[str]:
    """The columns that a plan knows as text."""
    return [column.name for column in plan.features() if "string" in column.type]


def require_columns(source: Source, names: Iterable[str | None], why: str) -> None:
    """Raise `InputError` for the first of the columns that a source does not have; None is none."""
    known = source.schema.names
    for name in names:
        if name is not None and name not in known:
            raise InputError(f"{source.name!r} has no column {name!r}, {why}.{which_one(name, known)}")
