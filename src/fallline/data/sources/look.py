"""A look at a file of delimited text: how it is written, how its columns are called, some of its rows."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_

from fallline.data.sources.dialect import (
    Dialect,
    Records,
    cut_records,
    ends_with_delimiter,
    find_records,
    guess_delimiter,
    split_fields,
    texts,
)
from fallline.data.sources.files import File
from fallline.data.sources.options import ReadOptions
from fallline.data.sources.parsed import remedy
from fallline.data.sources.text import chunks, find_encoding, open_text
from fallline.data.sources.typed import convert, guess_type, is_missing, trimmed
from fallline.errors import FalllineWarning, InputError
from fallline.names import listed

__all__ = ["Head", "is_header_again", "look_at_head", "look_at_lines", "look_at_rows", "without_header"]

_HEAD = 256 << 10
# Lines before a table that are taken for its title or the like.
_PREAMBLE = 10
_WHOLE, _FRACTION = re.compile(r"\d{1,4}"), re.compile(r"[+-]?\d*[.,]\d+([eE][+-]?\d+)?")
_DELIMITER_LINE = re.compile(rb'"?sep=([\x01-\x7f])"?\r?[\r\n]', re.IGNORECASE)
# A header of numbers counts up, in so many columns at the least: years, or from 0 or 1 on in front of fractions or in so many
# columns that no row of data does.
_YEARS, _FIRST_NUMBERS = range(1500, 2101), range(2)
_COUNTED, _COUNTED_ANYWHERE = 3, 10
# Columns that are looked at to tell a header.
_TELLING = 100
# Places of a file that rows are sampled from.
_PLACES = 8
# How far a file is unpacked, for a look at it, that can only be read from its beginning.
_UNPACKED = 16 << 20
# The most text that is looked at.
_MOST = 16 << 20


class Head(NamedTuple):
    """What the beginning of a file tells.

    Parameters
    ----------
    dialect : Dialect
    names : list of str
        Of its columns.
    a_row : float
        Bytes of text that a row has; 0 where there is none.
    """

    dialect: Dialect
    names: list[str]
    a_row: float


def look_at_head(file: File, options: ReadOptions) -> Head:
    """How a file is written, and how its columns are called.

    Raises
    ------
    InputError
        If it is empty, binary, or its first row does not end.
    """
    dialect = Dialect(encoding=find_encoding(file, options.encoding), quotes=options.quotes)
    with open_text(file, dialect.encoding) as text:
        probe = bytes(text.window(text.begin, _HEAD))
        delimiter, begin = _said_delimiter(probe)
        probe = probe[begin:]
        ends = b"\n" if b"\n" in probe else b"\r" if b"\r" in probe else b"\n"
        dialect = dialect._replace(end=ord(ends), begin=text.begin + begin)
        dialect = guess_delimiter(dialect, _without_last(probe, ends), options.delimiter or delimiter)
        data = _first_records(file, text, dialect)
    dialect, names, body = _understand(file, dialect, data, options)
    lengths = body.stops - body.starts + 1
    return Head(dialect, names, float(lengths.mean()) if len(lengths) else 0.0)


def _said_delimiter(head):
    """The delimiter that a first line `sep=;` names, which is meant for Excel, and where the text goes on after it."""
    found = _DELIMITER_LINE.match(head)
    return (found[1].decode(), found.end()) if found else (None, 0)


def _without_last(data, end):
    """Whole lines, if there are any."""
    return data[: data.rfind(end) + 1] or data if len(data) == _HEAD else data


def _first_records(file, text, dialect):
    chunk = next(chunks(text, partial(cut_records, dialect), dialect.begin, _HEAD), None)
    if chunk is not None and not chunk.problem and bytes(chunk.data).strip():
        return bytes(chunk.data)
    if chunk is not None and chunk.problem:
        raise InputError(f"{file.name!r}, row 1: {chunk.problem}. {remedy(chunk.problem)}")
    size = "is empty" if file.size == 0 else "holds nothing but empty lines"
    raise InputError(f"{file.name!r} {size}. Give a file with a header and rows.")


def _understand(file, dialect, data, options):
    """The dialect with where rows begin, the names of columns, and the records below the header."""
    usual = int(np.bincount(find_records(dialect, data, 2).fields).argmax())
    records = _recoded(find_records(dialect, data, usual))
    # Where the same records begin in the file as it is.
    begins = find_records(dialect._replace(runs=False), data, usual).starts
    first, fields, headed = _beginning(dialect, records, usual, options)
    if first:
        _warn_of_preamble(file, records.take(np.arange(first)), fields if headed else None)
    below = _below(records, first)
    if not headed:
        body = _whole_rows(records.take(np.arange(first, len(records.starts))), usual)
        names = [f"x{column}" for column in range(usual)]
        return dialect._replace(begin=dialect.begin + int(begins[first])), names, body
    begin = int(begins[first + 1]) if first + 1 < len(begins) else len(data)
    _require_utf8(file, data[:begin])
    body = _whole_rows(below, usual)
    dialect = dialect._replace(begin=dialect.begin + begin)
    if len(body.starts) and len(fields) == usual - 1:
        return _one_field_more(file, dialect, fields, body)
    names = _distinct(fields)
    _require_columns(file, names, usual, below)
    return dialect, names, body


def _one_field_more(file, dialect, fields, body):
    """Rows with one field more than the header: they end with a delimiter, or begin with the name of the row."""
    if ends_with_delimiter(dialect, body).all():
        *names, beyond = _distinct([*fields, ""])
        return dialect._replace(beyond=(beyond,)), names, body
    names = _distinct(["", *fields])
    warnings.warn(
        f"{file.name!r} names {len(fields)} columns in its header, but its rows have {len(names)} fields. The first is taken for "
        f"the name of the row, as R writes it, and called {names[0]!r}. If it is not, correct the header.",
        FalllineWarning,
        stacklevel=2,
    )
    return dialect, names, body


def _require_utf8(file, header):
    try:
        header.decode()
    except UnicodeDecodeError:
        raise InputError(
            f"{file.name!r}, header: the text is not UTF-8. Give the encoding that it has, such as --encoding latin-1."
        ) from None


def _recoded(records):
    """Records of valid UTF-8: what is not is left for the reading to tell, which knows the row."""
    return records._replace(data=np.frombuffer(_readable(records.data.tobytes()), np.uint8))


def _readable(data: bytes) -> bytes:
    """The same bytes, but for a question mark in place of each that is not UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        array = np.frombuffer(data, np.uint8)
        return np.where(array < 128, array, ord("?")).astype(np.uint8).tobytes()
    return data


def _beginning(dialect, records, usual, options):
    """At which record the table begins, its fields, and whether they are a header.

    Before it may come lines of one field, where rows have several; or others with few fields, or few that hold something, as
    spreadsheets and statistical offices write them, if a header comes after these that columns of numbers or dates tell.
    """

    def seen(first):
        fields = split_fields(dialect, records, first)
        return fields, _columns_below(dialect, records, first, fields, usual)

    several = usual > 1 and len(records.starts) >= 4
    title = int(np.argmax(records.fields != 1)) if several else 0
    first = title if title <= _PREAMBLE else 0
    more = _mostly_empty(dialect, records, usual) if several and options.header is None else 0
    if first < more:
        fields, columns = seen(more)
        if len(fields) == usual and _is_told(fields, columns, dialect, options):
            return more, fields, True
    fields, columns = seen(first)
    return first, fields, _is_header(fields, columns, usual, dialect, options)


def _mostly_empty(dialect, records, usual):
    """How many records come before the first of which at least half of the fields hold something; 0 where these are too many."""
    places = range(min(_PREAMBLE + 1, len(records.starts) - 1))
    held = (sum(map(bool, map(str.strip, split_fields(dialect, records, place)))) for place in places)
    return next((place for place, count in enumerate(held) if 2 * count >= usual), 0)


def _warn_of_preamble(file, lines, names):
    """Say what is left out, and what is taken for the header."""
    line = lines.lines()[0].decode(errors="replace")
    n = len(lines.starts)
    more = f" and {n - 1} more" if n > 1 else ""
    header = "" if names is None else f" The columns are called {listed(names, 5)}."
    warnings.warn(
        f"{file.name!r} begins with a line that is not part of the table ({line[:80]!r}{more}). It is left out.{header}",
        FalllineWarning,
        stacklevel=2,
    )


def _below(records, first):
    """The records after the first of a table."""
    return records.take(np.arange(first + 1, len(records.starts)))


def _whole_rows(records, usual):
    return records.take(np.flatnonzero(records.fields == usual))


def _columns_below(dialect, records, first, fields, usual):
    """Columns of text from the rows below a first one; where it comes again, it is left out."""
    body = _whole_rows(_below(records, first), usual)
    rows = body.take(np.arange(min(len(body.starts), 1000)))
    names = [str(column) for column in range(usual)]
    table = texts(dialect, rows, names, names[:_TELLING])
    if len(fields) == usual:
        table = without_header(table, [field.strip() for field in fields[:_TELLING]])
    return [trimmed(column) for column in table.columns]


def _is_header(fields, columns, usual, dialect, options):
    """Whether a first row names the columns. If all are text, it does if it has no value twice and none that comes again."""
    if options.header is not None:
        return options.header
    first = [value.strip() for value in fields]
    if len(first) != usual:
        return len(first) == usual - 1 and not any(_fits(value, pa.float64(), (), dialect) for value in first)
    told = _is_told(fields, columns, dialect, options)
    if told is not None:
        return told
    once = len(set(first)) == len(first) and not any(value in options.missing for value in first)
    return once and not any(
        _fits(value, pa.float64(), (), dialect) or value in column.to_pylist()
        for value, column in zip(first, columns, strict=False)
    )


def _is_told(fields, columns, dialect, options):
    """Whether most columns of numbers and dates have something else in a first row, or a number that counts up as no row's does.

    None where all columns are text.
    """
    first = [value.strip() for value in fields]
    counted = _counting(first, columns)
    strange = []
    for place, (value, column) in enumerate(zip(first, columns, strict=False)):
        guess = guess_type(column.filter(_present(column, options)), ".", whole=True)
        if not (is_.is_string(guess.type) or is_.is_null(guess.type)) and value not in options.missing:
            strange.append(place in counted or not _fits(value, guess.type, guess.notations[:1], dialect))
    return sum(strange) * 2 > len(strange) if strange else None


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


def _present(column, options):
    return np.logical_not(is_missing(column, options.missing).to_numpy(zero_copy_only=False))


def _fits(value, type_, formats, dialect):
    return not convert(pa.array([value], pa.string()), type_, dialect.decimal, formats)[1].any()


def _distinct(names):
    """Names without blanks around them; those without a name called after their place, and no two alike."""
    written = [name.strip() or f"x{column}" for column, name in enumerate(names)]
    times: Counter[str] = Counter()
    taken = set(written)
    distinct = []
    for name in written:
        seen = times[name]
        other = f"{name}.{seen}" if seen else name
        while seen and other in taken:
            seen += 1
            other = f"{name}.{seen}"
        times[name] = seen + 1
        taken.add(other)
        distinct.append(other)
    return distinct


def _require_columns(file, names, usual, below):
    if len(below.starts) and len(names) != usual:
        raise InputError(
            f"{file.name!r} names {len(names)} columns in its header, but its rows have {usual} fields. Correct the header, or "
            "say what is between the columns (delimiter), or that there is no header."
        )


def look_at_rows(file: File, head: Head, rows: int) -> tuple[pa.RecordBatch, bool]:
    """About so many rows from several places of a file, as text, and whether these are all; rows that cannot be read left out."""
    stretches, whole = _stretches(file, head, rows)
    names = [*head.names, *head.dialect.beyond]
    kept = [texts(head.dialect, records, names, head.names) for records in stretches]
    empty = texts(head.dialect, _no_records(), names, head.names)
    return pa.concat_batches([empty, *kept]), whole


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


def look_at_lines(file: File, head: Head, rows: int) -> tuple[list[bytes], bool]:
    """About so many lines from several places of a file, empty ones left out, and whether these are all."""
    stretches, whole = _stretches(file, head, rows)
    return [line for records in stretches for line in records.lines() if line.strip()], whole


def _no_records():
    nothing = np.empty(0, np.int64)
    return Records(np.empty(0, np.uint8), nothing, nothing, nothing)


def _stretches(file, head, rows):
    """Records from several places, and whether they are all that there are."""
    wanted = min(max(int(rows * head.a_row), 4096), _MOST)
    columns = len(head.names) + len(head.dialect.beyond)
    with open_text(file, head.dialect.encoding) as text:
        stretches, whole = [], False
        for start, size in _places(head, text.size, wanted):
            data = text.window(start, size)
            inside, complete = start > head.dialect.begin, len(data) < size and not text.failure
            whole = whole or (complete and not inside)
            stretches.append(_recoded(_in_step(head.dialect, bytes(data), columns, inside, complete)))
            if text.failure and not any(len(records.starts) for records in stretches):
                raise InputError(f"{file.name!r}, row 1: {text.failure}. {remedy(text.failure)}")
            if complete:
                break
    return stretches, whole


def _places(head, size, wanted):
    """Where to look, and how far from there: evenly spread where any place can be gone to, else ever less often."""
    begin, part = head.dialect.begin, max(wanted // _PLACES, int(4 * head.a_row), 4096)
    if size is None:
        later = [1 << power for power in range(20, _UNPACKED.bit_length())]
        return [(begin, wanted), *((start, part) for start in later if start > begin + wanted)]
    if size - begin <= max(2 * wanted, _PLACES * part):
        return [(begin, size - begin + 1)]
    # The last place is where the file ends.
    step = (size - begin - part) / (_PLACES - 1)
    return [(begin + int(step * place), part) for place in range(_PLACES - 1)] + [(size - part, part + 1)]


def _in_step(dialect, data, columns, inside, complete):
    """The rows of a stretch of text. One from inside a file may begin within quotes or not: it is read both ways."""
    readings = []
    for before in (b"", b'"') if inside and dialect.quotes else (b"",):
        records = find_records(dialect, before + data, columns)
        n = len(records.starts)
        records = records.take(np.arange(int(inside), max(n - int(not complete), int(inside))))
        readings.append(_whole_rows(records, columns))
    return max(readings, key=lambda records: int((records.stops - records.starts).sum()))
