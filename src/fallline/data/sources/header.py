"""Where a table of text begins, and whether its first row names the columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_

from fallline.data.sources.dialect import Dialect, Records, split_fields, texts
from fallline.data.sources.options import ReadOptions
from fallline.data.sources.typed import Guess, convert, guess_type, is_missing, trimmed

__all__ = ["beginning", "is_header_again", "rows_below", "whole_rows", "without_header"]

# Lines before a table that are taken for its title or the like.
_PREAMBLE = 10
# A header of numbers counts up, in so many columns at the least: years, or from 0 or 1 on in front of fractions or in so many
# columns that no row of data does.
_YEARS, _FIRST_NUMBERS = range(1500, 2101), range(2)
_COUNTED, _COUNTED_ANYWHERE = 3, 10
# Columns that are looked at to tell a header.
_TELLING = 100
_WHOLE, _FRACTION = re.compile(r"\d{1,4}"), re.compile(r"[+-]?\d*[.,]\d+([eE][+-]?\d+)?")


def beginning(
    dialect: Dialect, records: Records, usual: int, options: ReadOptions
) -> tuple[int, list[str], bool]:
    """At which record the table begins, its fields, and whether they are a header.

    Before it may come lines of one field, where rows have several; or others with few fields, or few that hold something, as
    spreadsheets and statistical offices write them, if a header comes after these that columns of numbers or dates tell.
    """

    def seen(first):
        fields = [field.strip() for field in split_fields(dialect, records, first)]
        return fields, _columns_below(dialect, records, first, fields, usual)

    several = usual > 1 and len(records.starts) >= 4
    title = int(np.argmax(records.fields != 1)) if several else 0
    first = title if title <= _PREAMBLE else 0
    more = _mostly_empty(dialect, records, usual) if several and options.header is None else 0
    if first < more:
        fields, columns = seen(more)
        if len(fields) == usual and _is_told(fields, columns, options):
            return more, fields, True
    fields, columns = seen(first)
    return first, fields, _is_header(fields, columns, usual, options)


def _mostly_empty(dialect, records, usual):
    """How many records come before the first of which at least half of the fields hold something; 0 where these are too many."""
    places = range(min(_PREAMBLE + 1, len(records.starts) - 1))
    held = (sum(map(bool, map(str.strip, split_fields(dialect, records, place)))) for place in places)
    return next((place for place, count in enumerate(held) if 2 * count >= usual), 0)


def rows_below(records: Records, first: int) -> Records:
    """The records after the first of a table."""
    return records.take(np.arange(first + 1, len(records.starts)))


def whole_rows(records: Records, usual: int) -> Records:
    """Those with as many fields as is usual."""
    return records.take(np.flatnonzero(records.fields == usual))


def _columns_below(dialect, records, first, fields, usual):
    """Columns of text from the rows below a first one; where it comes again, it is left out."""
    body = whole_rows(rows_below(records, first), usual)
    rows = body.take(np.arange(min(len(body.starts), 1000)))
    names = [str(column) for column in range(usual)]
    table = texts(dialect, rows, names, names[:_TELLING])
    if len(fields) == usual:
        table = without_header(table, fields[:_TELLING])
    return [trimmed(column) for column in table.columns]


def _is_header(first, columns, usual, options):
    """Whether a first row names the columns. If all are text, it does if it has no value twice and none that comes again."""
    if options.header is not None:
        return options.header
    if len(first) != usual:
        return len(first) == usual - 1 and not any(map(_is_number, first))
    told = _is_told(first, columns, options)
    if told is not None:
        return told
    once = len(set(first)) == len(first) and not any(value in options.missing for value in first)
    return once and not any(
        _is_number(value) or value in column.to_pylist()
        for value, column in zip(first, columns, strict=False)
    )


def _is_told(first, columns, options):
    """Whether most columns of numbers and dates have something else in a first row, or a number that counts up as no row's does.

    None where all columns are text.
    """
    counted = _counting(first, columns)
    strange = []
    for place, (value, column) in enumerate(zip(first, columns, strict=False)):
        guess, decimal = _guessed(column.filter(_present(column, options)))
        if not (is_.is_string(guess.type) or is_.is_null(guess.type)) and value not in options.missing:
            strange.append(place in counted or not _fits(value, guess.type, decimal, guess.notations[:1]))
    return sum(strange) * 2 > len(strange) if strange else None


def _guessed(column):
    """What the values of a column are, and the decimal point by which they are that: which one a file has is not known yet."""
    guesses = ((guess_type(column, decimal, whole=True), decimal) for decimal in ".,")
    return next((found for found in guesses if not is_.is_string(found[0].type)), (Guess(pa.string()), "."))


def _counting(first, columns):
    """The places of the numbers in a first row, if these follow each other as a header's do, and in no row below."""
    places = [place for place, value in enumerate(first[: len(columns)]) if _WHOLE.fullmatch(value)]
    starts = next(
        (those for those in (_YEARS, _FIRST_NUMBERS) if places and int(first[places[0]]) in those), ()
    )
    if len(places) < _COUNTED or not _counts_up([first[place] for place in places], starts):
        return ()
    rows = list(zip(*(columns[place].to_pylist() for place in places), strict=True))
    if any(_counts_up(row, starts) for row in rows):
        return ()
    sure = starts is _YEARS or len(places) >= _COUNTED_ANYWHERE
    return places if sure or any(_FRACTION.fullmatch(value) for row in rows for value in row) else ()


def _counts_up(texts, starts):
    """Whether each number is one more than that before, and the first one of these."""
    if not all(map(_WHOLE.fullmatch, texts)):
        return False
    numbers = [int(text) for text in texts]
    return numbers[0] in starts and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def is_header_again(table: pa.RecordBatch, names: Sequence[str]) -> np.ndarray:
    """Which rows of text are the header once more, as where files were put together."""
    again = np.ones(table.num_rows, bool)
    for name, column in zip(names, table.columns, strict=True):
        again &= pc.fill_null(pc.equal(trimmed(column), name), False).to_numpy(zero_copy_only=False)
        if not again.any():
            break
    return again


def without_header(table: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """The rows but for these; all, if they all are."""
    again = is_header_again(table, names)
    return table.filter(pa.array(~again)) if again.any() and not again.all() else table


def _present(column, options):
    return np.logical_not(is_missing(column, options.missing).to_numpy(zero_copy_only=False))


def _is_number(value):
    return any(_fits(value, pa.float64(), decimal, ()) for decimal in ".,")


def _fits(value, type_, decimal, formats):
    return not convert(pa.array([value], pa.string()), type_, decimal, formats)[1].any()
