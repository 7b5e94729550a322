"""Columns that are not looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from fallline.data.encoder.kinds.base import Column, Found, Kind, Observed

__all__ = ["Ignore"]


class Ignore(Kind):
    """Nothing is made of the column; it is not even read."""

    name = "ignore"
    column = Column

    def accepts(self, type_: pa.DataType) -> bool:  # noqa: ARG002 (any will do)
        """See `Kind`."""
        return True

    def observe(self, array: pa.Array, options: Mapping[str, Any]) -> Observed:  # noqa: ARG002
        """See `Kind`."""
        return Observed()

    def fit(self, name: str, found: Found, options: Mapping[str, Any]) -> Column | None:  # noqa: ARG002
        """See `Kind`."""
        return None
