"""From text to numbers, booleans, dates and times: which of them a column holds, and its values."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_

from fallline.data.sources import numbers
from fallline.data.sources.options import ReadOptions
from fallline.errors import ParameterError

__all__ = [
    "DASHES",
    "Guess",
    "convert",
    "guess_type",
    "is_missing",
    "is_usual",
    "known_guesses",
    "trimmed",
]

DASHES = ("-", "--", ".", "\\N", "NaT", "nil", "0000-00-00", "0000-00-00 00:00:00")
"""What means a missing value among numbers and dates, and may mean something among texts."""

# A column is one of numbers if all but so few values are: the rest are mistakes, to be told, and no reason to make it text.
_MISTAKES = 0.01
_TOO_FEW_TO_TELL = 100
# Whole numbers that are codes or classes repeat; where they do not, and not all were seen, a fraction may still come.
_REPEATED = 0.05
_EXACT_IN_FLOAT = 2**53

_WHOLE = r"^[+-]?\d{1,18}$"
_TRUTH = r"^(?i:true|false)$"
_DATE = r"^\d{4}-\d\d-\d\d$"
_TIME = r"^\d{4}-\d\d-\d\d[ T]\d\d(:\d\d(:\d\d(\.\d{1,9})?)?)?$"
_ZONED = r"^\d{4}-\d\d-\d\d[ T]\d\d(:\d\d(:\d\d(\.\d{1,9})?)?)?(Z|[+-]\d\d(:?\d\d)?)$"
_OF_DAY = r"^\d\d:\d\d(:\d\d)?$"
# Any letter, and more: an expression of all classes of letters takes RE2 a hundred times as long to prepare.
_WORD = r"[A-Za-z\x{80}-\x{10ffff}]{3,9}"
_LIKE_A_DATE = (
    r"^(\d{4}[-/. ]\d{1,2}[-/. ]\d{1,2}"
    rf"|\d{{1,2}}[-/. ](\d{{1,2}}|{_WORD})[-/. ](\d\d|\d{{4}})|{_WORD} \d{{1,2}}, \d{{4}})( |$)"
)
# A whole date with its time, in one of `_STAMPS`: as BigQuery, web servers and lists of houses have it.
_LIKE_A_STAMP = (
    rf"^(\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC|\d\d/{_WORD}/\d{{4}}:\d\d:\d\d:\d\d|\d{{8}}T\d{{6}})$"
)
_LIKE_A_MONTH = rf"^({_WORD}[- ](\d\d|\d{{4}})|\d{{4}}-\d\d|\d\d/\d{{4}})$"

_NANOSECONDS = r"\.\d{7,9}(Z|[+-]\d\d(:?\d\d)?)?$"
_OF_DAY_FORMATS = ("%H:%M:%S", "%H:%M")
# What values of a type look like.
_PATTERNS = (
    (pa.bool_(), (_TRUTH,)),
    (pa.date32(), (_DATE,)),
    (pa.timestamp("us"), (_DATE, _TIME)),
    (pa.timestamp("us", "UTC"), (_ZONED,)),
    (pa.time32("s"), (_OF_DAY,)),
)

# The day after the month only where the other way round does not fit.
_DATES = (
    *(
        "%m/%d/%y",
        "%d/%m/%y",
        "%m/%d/%Y",
        "%d/%m/%Y",
        "%Y/%m/%d",
        "%d.%m.%y",
        "%d.%m.%Y",
        "%d-%m-%y",
        "%d-%m-%Y",
    ),
    *("%m-%d-%Y", "%d-%b-%y", "%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%Y.%m.%d"),
)
_MONTHS = ("%b-%y", "%b-%Y", "%b %Y", "%B %Y", "%Y-%m", "%m/%Y")
_STAMPS = ("%Y-%m-%d %H:%M:%S UTC", "%d/%b/%Y:%H:%M:%S", "%Y%m%dT%H%M%S")
_CENTURY = dt.timedelta(days=36_525)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")


class Guess(NamedTuple):
    """What a column holds.

    Parameters
    ----------
    type : DataType
        null if there is nothing but missing values.
    notations : tuple of str
        How its values may be written, the likeliest first: dates and times unless as in ISO 8601, numbers unless in digits alone.
    """

    type: pa.DataType
    notations: tuple[str, ...] = ()


def known_guesses(options: ReadOptions) -> dict[str, Guess]:
    """What is known of columns before looking at them."""
    known = {column.name: _known_guess(column) for column in options.known}
    return known | {name: Guess(pa.string()) for name in options.text_columns}


def _known_guess(column):
    type_, notation = _type_called(column.type), column.notation
    if notation and is_.is_floating(type_) and notation not in numbers.notations("."):
        wanted = ", ".join(map(repr, numbers.notations(".")))
        raise ParameterError(
            f"Column {column.name!r} has the notation {notation!r}, which is none of numbers. Give one of {wanted}."
        )
    return Guess(type_, (notation,) if notation else ())


def _type_called(text):
    """The Arrow type of this name."""
    zoned = re.fullmatch(r"timestamp\[(\w+), tz=(.+)\]", text)
    return pa.timestamp(*zoned.groups()) if zoned else pa.type_for_alias(text)


def trimmed(values: pa.Array) -> pa.Array:
    """Text without the white space around it."""
    return pc.utf8_trim_whitespace(values)


def is_missing(values: pa.Array, texts: Sequence[str]) -> pa.Array:
    """Which values are one of these texts, or null."""
    return pc.is_in(values, value_set=pa.array([*texts, None], pa.string()))


def guess_type(values: pa.Array, decimal: str, whole: bool) -> Guess:
    """What is written in a column of text.

    Parameters
    ----------
    values : Array of strings
        Trimmed, missing ones left out.
    decimal : str
        The decimal point.
    whole : bool
        Whether these are all values that there are.
    """
    if not len(values):
        return Guess(pa.null())
    counted = values.value_counts()
    distinct, counts = counted.field("values"), counted.field("counts").to_numpy()

    def usual(*patterns):
        return is_usual(sum(_weight(distinct, counts, pattern) for pattern in patterns), len(values))

    if usual(numbers.plain(decimal)):
        if numbers.is_code(distinct):
            return Guess(pa.string())
        all_whole = _weight(distinct, counts, _WHOLE) == len(values)
        return Guess(_number_type(distinct, len(values), all_whole, whole))
    notations = numbers.notations_that_fit(distinct, decimal, usual)
    if notations:
        return Guess(pa.float64(), notations)
    for type_, patterns in _PATTERNS:
        if usual(*patterns):
            fine = is_.is_timestamp(type_) and _weight(distinct, counts, _NANOSECONDS)
            return Guess(pa.timestamp("ns", type_.tz) if fine else type_)
    likely = any(usual(pattern) for pattern in (_LIKE_A_DATE, _LIKE_A_MONTH, _LIKE_A_STAMP))
    notations = _fitting_notations(distinct, counts, decimal) if likely else ()
    return Guess(pa.timestamp("us"), notations) if notations else Guess(pa.string())


def is_usual(some: int, of: int) -> bool:
    """Whether all are, or so many of so many that the others are mistakes."""
    return some == of or (of >= _TOO_FEW_TO_TELL and some >= (1.0 - _MISTAKES) * of)


def _weight(distinct, counts, pattern):
    """How many values match."""
    return int(counts[pc.match_substring_regex(distinct, pattern).to_numpy(zero_copy_only=False)].sum())


def _number_type(distinct, n, all_whole, whole):
    """int64 or float64."""
    if not all_whole:
        return pa.float64()
    largest = pc.max(pc.abs(pc.cast(distinct, pa.float64()))).as_py()
    repeated = len(distinct) <= _REPEATED * n
    return pa.int64() if whole or repeated or largest > _EXACT_IN_FLOAT else pa.float64()


def _fitting_notations(distinct, counts, decimal):
    """The notations that fit, a few mistakes aside: those that fit most first; of several, those with the month before the day.

    Decimal commas tell of a country where the day comes first.
    """
    fits = {}
    dates = sorted(_DATES, key=lambda date: date.startswith("%m")) if decimal == "," else _DATES
    few = distinct[:20]
    for notation in (*(date + time for date in dates for time in _TIMES), *_MONTHS, *_STAMPS):
        if _parsed(few, notation).null_count * 2 > len(few):
            continue
        fits[notation] = int(
            counts[_parsed(distinct, notation).is_valid().to_numpy(zero_copy_only=False)].sum()
        )
    usual = [notation for notation, fit in fits.items() if is_usual(fit, int(counts.sum()))]
    return tuple(sorted(usual, key=lambda notation: -fits[notation]))


def _parsed(values, format_):
    """Dates and times of a notation; null for what is none.

    A year of two digits is one of the first century to a notation with four. To one with two, it is one from 1950 to 2049, as
    RFC 5322 has it; C begins with 1969. The 30th of February is none, though C takes it for one of the first days of March.
    """
    found = pc.strptime(values, format=format_, unit="us", error_is_null=True)
    if "%d" in format_:
        found = _of_real_days(values, found, format_)
    if "%y" in format_:
        return pc.if_else(
            pc.greater_equal(found, _new_year(2050)), pc.subtract(found, pa.scalar(_CENTURY)), found
        )
    return pc.if_else(pc.greater_equal(found, _new_year(1000)), found, None)


def _of_real_days(values, found, format_):
    """The same times; null for those of a day beyond the end of its month. Few look as if they might be."""
    doubtful = pc.and_(pc.less_equal(pc.day(found), 3), pc.match_substring_regex(values, "29|30|31"))
    places = np.flatnonzero(pc.fill_null(doubtful, False).to_numpy(zero_copy_only=False))
    wrong = [place for place in places if not _is_real(values[place].as_py(), format_)]
    if not wrong:
        return found
    kept = np.ones(len(values), bool)
    kept[wrong] = False
    return pc.if_else(pa.array(kept), found, None)


def _is_real(text, format_):
    try:
        dt.datetime.strptime(" ".join(text.split()), format_)  # noqa: DTZ007 (dates in text have no zone)
    except ValueError:
        return False
    return True


@cache
def _new_year(year):
    """The first moment of a year. Arrow imports pandas to make it, so it is made when it is wanted."""
    return pa.scalar(dt.datetime(year, 1, 1), pa.timestamp("us"))  # noqa: DTZ001 (dates in text have no zone)


def convert(
    values: pa.Array, type_: pa.DataType, decimal: str = ".", notations: Sequence[str] = ()
) -> tuple[pa.Array, np.ndarray]:
    """The values that texts stand for, and which texts stand for none.

    Parameters
    ----------
    values : Array of strings
        Trimmed; missing ones null.
    type_ : DataType
    decimal : str
    notations : sequence of str
        How dates and times may be written, besides as in ISO 8601, or numbers, besides in digits alone.

    Returns
    -------
    array : Array
    bad : ndarray of bool
    """
    if is_.is_null(type_):
        array = pa.nulls(len(values))
    elif is_.is_floating(type_):
        array = _numbers(values, type_, decimal, *notations[:1])
    elif is_.is_integer(type_):
        array = _whole_numbers(values, type_)
    elif is_.is_timestamp(type_):
        array = _times(values, type_, notations)
    elif is_.is_time(type_):
        array = pc.coalesce(*(_parsed(values, format_) for format_ in _OF_DAY_FORMATS)).cast(type_)
    else:
        array = _attempt(values, lambda some: some.cast(type_))
    return array, pc.and_(array.is_null(), values.is_valid()).to_numpy(zero_copy_only=False)


def _numbers(values, type_, decimal, notation=numbers.THOUSANDS):
    """Numbers of a notation, or in digits alone where that allows it; null for others."""

    def cast(some):
        return _attempt(some, lambda few: few.cast(type_))

    array = cast(numbers.in_digits(values, decimal, notation))
    if notation != numbers.THOUSANDS or decimal == "," or array.null_count == values.null_count:
        return array
    # Infinity, say.
    return pc.coalesce(array, cast(pc.if_else(array.is_valid(), None, values)))


def _times(values, type_, formats):
    """Times in any of the formats, or in ISO 8601; null for others."""
    array = pa.nulls(len(values), type_)
    for format_ in formats:
        array = pc.coalesce(array, _parsed(values, format_).cast(type_))
    if formats and array.null_count == values.null_count:
        return array
    rest = pc.if_else(array.is_valid(), None, values)
    return pc.coalesce(array, _attempt(rest, lambda some: some.cast(type_)))


def _whole_numbers(values, type_):
    """Whole numbers, be they written 3, +3, 3.0 or 3e0; null for others."""
    values = pc.coalesce(numbers.in_digits(values, ".", numbers.THOUSANDS), values)
    values = pc.replace_substring_regex(values, r"^\+(\d)", r"\1")
    direct = _attempt(values, lambda some: some.cast(type_))
    if direct.null_count == values.null_count:
        return direct
    floats = _attempt(pc.if_else(direct.is_valid(), None, values), lambda some: some.cast(pa.float64()))
    exact = pc.and_(pc.equal(pc.floor(floats), floats), pc.less(pc.abs(floats), float(_EXACT_IN_FLOAT)))
    return pc.coalesce(direct, pc.if_else(exact, floats, None).cast(type_))


def _attempt(values: pa.Array, cast: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """What `cast` makes of an array; null where it fails. Halves what fails until single values are left."""
    try:
        return cast(values)
    except pa.ArrowInvalid:
        if len(values) == 1:
            return cast(pa.nulls(1, values.type))
    middle = len(values) // 2
    return pa.concat_arrays([_attempt(values[:middle], cast), _attempt(values[middle:], cast)])
