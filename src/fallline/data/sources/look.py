"""A look at a file of delimited text: how it is written, how its columns are called, some of its rows."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from fallline.data.sources.dialect import (
    Dialect,
    Records,
    cut_records,
    ends_with_delimiter,
    find_records,
    guess_delimiter,
    texts,
)
from fallline.data.sources.files import File
from fallline.data.sources.header import beginning, rows_below, whole_rows
from fallline.data.sources.options import ReadOptions
from fallline.data.sources.parsed import remedy
from fallline.data.sources.text import chunks, find_encoding, open_text
from fallline.errors import FalllineWarning, InputError
from fallline.names import listed

__all__ = ["Head", "look_at_head", "look_at_lines", "look_at_rows"]

_HEAD = 256 << 10
_DELIMITER_LINE = re.compile(rb'"?sep=([\x01-\x7f])"?\r?[\r\n]', re.IGNORECASE)
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
    first, fields, headed = beginning(dialect, records, usual, options)
    if first:
        _warn_of_preamble(file, records.take(np.arange(first)), fields if headed else None)
    below = rows_below(records, first)
    if not headed:
        body = whole_rows(records.take(np.arange(first, len(records.starts))), usual)
        names = [f"x{column}" for column in range(usual)]
        return dialect._replace(begin=dialect.begin + int(begins[first])), names, body
    begin = int(begins[first + 1]) if first + 1 < len(begins) else len(data)
    _require_utf8(file, data[:begin])
    body = whole_rows(below, usual)
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
        readings.append(whole_rows(records, columns))
    return max(readings, key=lambda records: int((records.stops - records.starts).sum()))
