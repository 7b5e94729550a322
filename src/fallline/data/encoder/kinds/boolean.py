"""Booleans: 1 for true and 0 for false, as the features of categories are, and a flag for missing ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_

from fallline.data.encoder.arrow import missing
from fallline.data.encoder.kinds.base import Column, Encoded, Found, Kind, Observed, flagged
from fallline.names import in_short

__all__ = ["Boolean", "BooleanColumn", "FlagColumn"]


@dataclass(frozen=True)
class FlagColumn(Column):
    """A column of which nothing counts but whether a value is missing.

    Parameters
    ----------
    name : str
    missing_share : float
        Of the rows of the pass.
    """

    name: str
    missing_share: float

    @property
    def becomes(self) -> str:
        """See `Column`."""
        return "1 if missing"

    @property
    def groups(self) -> Sequence[Sequence[str]]:
        """See `Column`."""
        return [[flagged(self.name)]]

    @property
    def share(self) -> Sequence[float]:
        """See `Column`."""
        return [self.missing_share]

    def encode(self, array: pa.Array) -> Encoded:
        """See `Column`."""
        return Encoded(codes=[missing(array).astype(np.int32) - np.int32(1)])


@dataclass(frozen=True)
class BooleanColumn(Column):
    """A column of truth values that vary.

    Parameters
    ----------
    name : str
    flag : bool
        Whether values were missing in the pass; if none were, later ones count as false.
    set_share : float
        Share of the rows of the pass that were true or, with a flag, missing.
    """

    name: str
    flag: bool
    set_share: float

    @property
    def becomes(self) -> str:
        """See `Column`."""
        return "1 if true, missing ones flagged" if self.flag else "1 if true"

    @property
    def groups(self) -> Sequence[Sequence[str]]:
        """See `Column`."""
        return [[self.name, flagged(self.name)] if self.flag else [self.name]]

    @property
    def share(self) -> Sequence[float]:
        """See `Column`."""
        return [self.set_share]

    def encode(self, array: pa.Array) -> Encoded:
        """See `Column`."""
        codes = array.cast(pa.int32())
        # True is feature 0, false is none, missing is feature 1.
        codes = pc.fill_null(codes, 2 if self.flag else 0).to_numpy()
        return Encoded(codes=[np.array([-1, 0, 1], np.int32)[codes]])


class Boolean(Kind):
    """Truth values."""

    name = "boolean"
    column = BooleanColumn

    def accepts(self, type_: pa.DataType) -> bool:
        """See `Kind`."""
        return is_.is_boolean(type_) or is_.is_null(type_)

    def observe(self, array: pa.Array, options: Mapping[str, Any]) -> Observed:  # noqa: ARG002 (there are none)
        """See `Kind`."""
        return Observed(numbers=[array.cast(pa.uint8())])

    def fit(self, name: str, found: Found, options: Mapping[str, Any]) -> Column | None:  # noqa: ARG002
        """See `Kind`."""
        low, high = found.moments.low[0], found.moments.high[0]
        if low < high:
            true = float(found.moments.mean[0] * found.moments.count[0])
            return BooleanColumn(name, found.missing > 0, (true + found.missing) / found.rows)
        return without_variation(name, found, ("false", "true")[int(high)] if low == high else "")


def without_variation(name: str, found: Found, value: str) -> Column | None:
    """What is left of a column with one value at most: whether it is missing, if it sometimes is."""
    if found.missing == found.rows:
        found.warn.append(f"Column {name!r} has no values and was left out.")
        return None
    if found.missing == 0:
        found.warn.append(f"Column {name!r} is {in_short(value)} in every row and was left out.")
        return None
    found.warn.append(f"Column {name!r} is {value} or missing: only which of the two is kept.")
    return FlagColumn(name, found.missing / found.rows)
