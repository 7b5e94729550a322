"""Dates and times: how long ago, standardised, and the parts of the calendar and the clock that recur.

A date without a time of day that many rows share is a category, too: what was special about that day (a holiday, a storm) is more
than its place in the calendar tells. A day that the pass has not seen is left to the other features.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_

from fallline.data.encoder.kinds.base import BadValue, Column, Encoded, Found, Kind, Observed, Scaled, flagged
from fallline.data.encoder.kinds.boolean import without_variation
from fallline.data.encoder.kinds.number import scaled
from fallline.data.encoder.statistics import Counts

__all__ = ["Date", "DateColumn"]


def _day(dates):
    """Days since 1970."""
    return dates.cast(pa.date32()).cast(pa.int32())


_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_PARTS = {"month": pc.month, "weekday": pc.day_of_week, "hour": pc.hour, "day": _day}
# A day needs so many rows for a feature of its own, and so do all days on average.
_ROWS_A_DAY = 10
_HOUR_A_UNIT = {"s": 3600.0, "ms": 3600e3, "us": 3600e6, "ns": 3600e9}


@dataclass(frozen=True)
class DateColumn(Column):
    """A column of points in time.

    Parameters
    ----------
    name : str
    mean, deviation : float
        Of the days since 1970 or, of times without a date, of the hours since midnight.
    year_mean, year_deviation : float
        A deviation of 0 stands for years that do not vary, which are left out.
    months, weekdays, hours : list of int
        Those that were seen, with a feature each; empty if not more than one was.
    days : list of int
        Days since 1970 with a feature each, in order.
    flag : bool
        Whether values were missing in the pass.
    """

    name: str
    mean: float
    deviation: float
    year_mean: float
    year_deviation: float
    months: list[int]
    weekdays: list[int]
    hours: list[int]
    days: list[int]
    flag: bool

    @property
    def becomes(self) -> str:
        """See `Column`."""
        parts = ["standardised"] + ["year"] * (self.year_deviation > 0)
        parts += ["month"] * bool(self.months) + ["weekday"] * bool(self.weekdays)
        parts += (
            ["hour"] * bool(self.hours)
            + [f"one-hot of {len(self.days):,} days"] * bool(self.days)
            + ["missing ones flagged"] * self.flag
        )
        return ", ".join(parts)

    @property
    def numbers(self) -> Sequence[Scaled]:
        """See `Column`."""
        flag = flagged(self.name) if self.flag else None
        features = [Scaled(self.name, self.mean, self.deviation, flag)]
        if self.year_deviation:
            features.append(Scaled(f"{self.name} year", self.year_mean, self.year_deviation))
        return features

    @property
    def groups(self) -> Sequence[Sequence[str]]:
        """See `Column`."""
        named: dict[str, Callable[[int], object]] = {
            "weekday": _WEEKDAYS.__getitem__,
            "day": lambda day: dt.date(1970, 1, 1) + dt.timedelta(day),
        }
        return [
            [f"{self.name} {part}={named.get(part, int)(value)}" for value in values]
            for part, values in self._parts.items()
        ]

    @cached_property
    def _parts(self):
        """The parts with features, and their values."""
        parts = {"month": self.months, "weekday": self.weekdays, "hour": self.hours, "day": self.days}
        return {part: values for part, values in parts.items() if values}

    def encode(self, array: pa.Array) -> Encoded:
        """See `Column`."""
        array = as_time(array)
        numbers = [_amount(array)] + ([pc.year(array)] if self.year_deviation else [])
        return Encoded(numbers, [_codes(_PARTS[part](array), values) for part, values in self._parts.items()])


def _codes(part, values):
    """The place of each among the values, which ascend; -1 for others and missing ones."""
    low, high = values[0] - 1, values[-1] + 1
    table = np.full(high - low + 1, -1, np.int32)
    table[np.array(values) - low] = np.arange(len(values), dtype=np.int32)
    return table[np.clip(pc.fill_null(part, low).to_numpy(), low, high) - low]


class Date(Kind):
    """Dates, times, and both in one, with or without a time zone."""

    name = "date"
    column = DateColumn

    def accepts(self, type_: pa.DataType) -> bool:
        """See `Kind`."""
        return is_.is_date(type_) or is_.is_timestamp(type_) or is_.is_time(type_) or is_.is_null(type_)

    def observe(self, array: pa.Array, options: Mapping[str, Any]) -> Observed:  # noqa: ARG002 (there are none)
        """See `Kind`."""
        array = as_time(array)
        dated, timed = _has(array.type)
        years = pc.year(array) if dated else pa.nulls(len(array), pa.int64())
        parts = [
            part(array) if wanted else pa.nulls(0, pa.int64())
            for part, wanted in zip(_PARTS.values(), (dated, dated, timed, dated and not timed), strict=True)
        ]
        return Observed([_amount(array), years], [Counts.of(part) for part in parts])

    def fit(self, name: str, found: Found, options: Mapping[str, Any]) -> Column | None:  # noqa: ARG002
        """See `Kind`."""
        flag = found.missing > 0
        amount, year = scaled(name, found.moments, 0, flag=flag), scaled(name, found.moments, 1, flag=False)
        if amount is None:
            return without_variation(name, found, "the same")
        *clock, days = found.statistics
        seen = [sorted(map(int, counts.most_common()[0])) for counts in clock]
        months, weekdays, hours = (values if len(values) > 1 else [] for values in seen)
        mean, deviation = (year.mean, year.deviation) if year else (0.0, 0.0)
        own = _frequent(days)
        return DateColumn(
            name, amount.mean, amount.deviation, mean, deviation, months, weekdays, hours, own, flag
        )


def _frequent(days):
    """The days that get features of their own."""
    if not days.exact() or days.total < _ROWS_A_DAY * days.distinct():
        return []
    values, counts = days.most_common()
    return sorted(int(day) for day, count in zip(values, counts, strict=True) if count >= _ROWS_A_DAY)


def as_time(array: pa.Array) -> pa.Array:
    """The same points in time, in a type that has parts."""
    if is_.is_null(array.type):
        return array.cast(pa.timestamp("s"))
    if is_.is_timestamp(array.type) and array.type.tz is not None:
        try:
            pc.hour(pa.array([0], array.type)[: len(array)])
        except pa.ArrowInvalid as error:
            raise BadValue(
                0, f"the time zone {array.type.tz!r} is not known here ({error}). Convert such times to UTC"
            ) from error
    return array


def _has(type_):
    """Whether a type has a date, and a time of day."""
    return not is_.is_time(type_), not is_.is_date(type_)


def _amount(array):
    """Days since 1970 or, of times without a date, hours since midnight; as float64."""
    type_ = array.type
    if is_.is_date32(type_):
        return array.cast(pa.int32())
    if is_.is_date64(type_):
        return pc.divide(array.cast(pa.int64()).cast(pa.float64(), safe=False), 24 * _HOUR_A_UNIT["ms"])
    ticks = array.cast(pa.int32()) if is_.is_time32(type_) else array.cast(pa.int64())
    hours = pc.divide(ticks.cast(pa.float64(), safe=False), _HOUR_A_UNIT[type_.unit])
    return hours if is_.is_time(type_) else pc.divide(hours, 24.0)
