"""Numbers: standardised, missing ones imputed with the mean, and flagged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_

from fallline.data.encoder.arrow import is_number
from fallline.data.encoder.kinds.base import Column, Encoded, Found, Kind, Observed, Scaled, flagged
from fallline.data.encoder.kinds.boolean import without_variation

__all__ = ["Number", "NumberColumn", "scaled"]


@dataclass(frozen=True)
class NumberColumn(Column):
    """A column of numbers that vary.

    Parameters
    ----------
    name : str
    mean, deviation : float
    flag : bool
        Whether values were missing in the pass. If none were, later ones are imputed and not told apart.
    """

    name: str
    mean: float
    deviation: float
    flag: bool
    as_it_is = True

    @property
    def becomes(self) -> str:
        """See `Column`."""
        return "standardised, missing ones imputed and flagged" if self.flag else "standardised"

    @property
    def numbers(self) -> Sequence[Scaled]:
        """See `Column`."""
        return [Scaled(self.name, self.mean, self.deviation, flagged(self.name) if self.flag else None)]

    def encode(self, array: pa.Array) -> Encoded:
        """See `Column`."""
        return Encoded(numbers=[as_number(array)])


class Number(Kind):
    """Numbers of any type, and durations (in seconds)."""

    name = "number"
    column = NumberColumn

    def accepts(self, type_: pa.DataType) -> bool:
        """See `Kind`."""
        return is_number(type_) or is_.is_float16(type_) or is_.is_decimal(type_) or _counts(type_)

    def observe(self, array: pa.Array, options: Mapping[str, Any]) -> Observed:  # noqa: ARG002 (there are none)
        """See `Kind`."""
        return Observed(numbers=[as_number(array)])

    def fit(self, name: str, found: Found, options: Mapping[str, Any]) -> Column | None:  # noqa: ARG002
        """See `Kind`."""
        number = scaled(name, found.moments, 0, flag=found.missing > 0)
        if number is not None:
            return NumberColumn(name, number.mean, number.deviation, found.missing > 0)
        return without_variation(name, found, f"{found.moments.low[0]:g}")


def scaled(name: str, moments: Any, place: int, *, flag: bool) -> Scaled | None:
    """A feature from one column of moments; None if it does not vary, or by less than can be told."""
    deviation = float(moments.deviation()[place])
    if deviation <= 1e-150:
        return None
    return Scaled(name, float(moments.mean[place]), deviation, flagged(name) if flag else None)


def as_number(array: pa.Array) -> pa.Array:
    """The same numbers in a type that kernels read."""
    if is_number(array.type):
        return array
    if is_.is_float16(array.type):
        return array.cast(pa.float32())
    if is_.is_duration(array.type):
        return pc.divide(array.cast(pa.int64()).cast(pa.float64(), safe=False), _A_SECOND[array.type.unit])
    return array.cast(pa.float64(), safe=False)


_A_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


def _counts(type_):
    """Types that stand for numbers under another name."""
    return is_.is_duration(type_) or is_.is_boolean(type_) or is_.is_null(type_)
