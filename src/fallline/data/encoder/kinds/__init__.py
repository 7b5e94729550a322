"""The kinds of columns. To add one: a page like its neighbours, and a row in the table."""

from __future__ import annotations

from fallline.data.encoder.kinds.base import Column, Kind
from fallline.data.encoder.kinds.boolean import Boolean, FlagColumn
from fallline.data.encoder.kinds.category import Category
from fallline.data.encoder.kinds.date import Date
from fallline.data.encoder.kinds.ignore import Ignore
from fallline.data.encoder.kinds.number import Number
from fallline.data.encoder.kinds.sparse import Sparse
from fallline.data.encoder.kinds.text import Text

__all__ = ["COLUMNS", "KINDS"]

# A column without a kind named for it is of the first one here that takes its type.
KINDS: dict[str, Kind] = {
    "boolean": Boolean(),
    "number": Number(),
    "date": Date(),
    "sparse": Sparse(),
    "category": Category(),
    "text": Text(),
    "ignore": Ignore(),
}

# What columns become once fitted, by the names that model files know them by.
COLUMNS: dict[str, type[Column]] = {
    **{name: kind.column for name, kind in KINDS.items() if name != "ignore"},
    "flag": FlagColumn,
}
