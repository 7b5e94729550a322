"""Delimited text: CSV, TSV and their kin.

Arrow's reader parses; what is ours is around it: the text is unpacked and cut into chunks of whole records by one thread,
several parse them, each chunk under the same types. A chunk that Arrow refuses is read again, slowly: as text, from which each
value is converted alone, so that every row that cannot be read is found, and all others are not lost.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_
from pyarrow import csv

from fallline.data.sources import numbers
from fallline.data.sources.agree import no_rows
from fallline.data.sources.dialect import (
    Dialect,
    cut_records,
    ends_with_delimiter,
    find_records,
    parse_options,
    squeezed,
    texts,
)
from fallline.data.sources.files import File
from fallline.data.sources.formats import FileFormat, Piece, Probe, Reading, rows_a_batch
from fallline.data.sources.header import is_header_again, without_header
from fallline.data.sources.look import Head, look_at_head, look_at_rows
from fallline.data.sources.options import ReadOptions
from fallline.data.sources.parsed import Parsed, all_but, misfit, not_utf8, parsed_in_order
from fallline.data.sources.text import Chunk, chunks, open_text
from fallline.data.sources.typed import (
    DASHES,
    Guess,
    convert,
    guess_type,
    is_missing,
    is_usual,
    known_guesses,
    trimmed,
)
from fallline.errors import FalllineWarning
from fallline.names import in_short

__all__ = ["Delimited"]

# With fewer values, one that is not like the others is no sign of a mistake.
_FEW = 10


class Delimited(FileFormat):
    """Tables as text, one record a line."""

    name: ClassVar[str] = "csv"
    endings: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".tab", ".psv")
    compressible: ClassVar[bool] = True
    guesses_types: ClassVar[bool] = True

    def recognises(self, head: bytes) -> bool:
        """Whether it may be text: the format of what is no other."""
        return b"\0" not in head or head[:2] in {b"\xff\xfe", b"\xfe\xff"}

    def probe(self, file: File, options: ReadOptions, rows: int) -> Probe:
        """Names, and types from about so many rows."""
        head = look_at_head(file, options)
        table, whole = look_at_rows(file, head, rows)
        probe = _guess_types(file, head, table, whole, options)
        a_row = max(head.a_row, 8.0 * len(head.names))
        size = int(rows_a_batch(a_row) * max(head.a_row, 1.0))
        return probe._replace(details=(probe.details._replace(size=size), head.a_row))

    def sample(
        self, file: File, probe: Probe, schema: pa.Schema, options: ReadOptions, rows: int
    ) -> pa.Table:
        """About so many rows; those that do not fit the schema left out."""
        dialect, a_row = probe.details
        table, _ = look_at_rows(file, Head(dialect, probe.schema.names, a_row), rows)
        reader = Reader(dialect, probe, schema, schema.names, options)
        found, _ = reader.typed(table)
        return pa.Table.from_batches([found])

    def pieces(self, reading: Reading) -> Iterator[Piece]:
        """The rows, parsed on several threads, in order."""
        dialect, _ = reading.probe.details
        reader = Reader(dialect, reading.probe, reading.schema, reading.columns, reading.options)
        with open_text(reading.file, dialect.encoding) as text:
            begin = max(reading.offset, dialect.begin)
            stretches = chunks(text, partial(cut_records, dialect), begin, dialect.size)
            yield from parsed_in_order(reading, stretches, reader.parse)


def _guess_types(file, head, table, whole, options):
    """What a table of text tells; its details are the dialect, with what else has to be known to read it."""
    table = without_header(table, head.names)
    columns = [trimmed(column) for column in table.columns]
    missing = (*options.missing, *DASHES)
    present = [column.filter(pc.invert(is_missing(column, missing))) for column in columns]
    told, guessed = _decimal(file, head, present, whole)
    decimal = told or options.decimal or guessed or "."
    known = {name: Guess(pa.string()) for name in options.verbatim} | known_guesses(options)
    guesses = [
        known.get(name) or guess_type(column, decimal, whole)
        for name, column in zip(head.names, present, strict=True)
    ]
    _warn_of_odd_ends(file, known, head.names, present, guesses, decimal)
    types = [guess.type for guess in guesses]
    dialect = head.dialect._replace(
        decimal=decimal,
        trim=any(
            is_.is_string(type_) and not column.equals(raw)
            for type_, column, raw in zip(types, columns, table.columns, strict=True)
        ),
        dashes=any(
            not is_.is_string(type_) and pc.any(is_missing(column, DASHES)).as_py()
            for type_, column in zip(types, columns, strict=True)
        ),
    )
    notations = {
        name: guess.notations for name, guess in zip(head.names, guesses, strict=True) if guess.notations
    }
    schema = pa.schema(zip(head.names, types, strict=True))
    found = told or (None if options.decimal else guessed)
    return Probe(schema, None, table.num_rows, dialect, notations, found, certain=told is not None)


def _warn_of_odd_ends(file, known, names, columns, guesses, decimal):
    """Say of one column that a first or last value alone, of a line of units or of a footer say, makes it text."""
    for name, column, guess in zip(names, columns, guesses, strict=True):
        if name in known or not is_.is_string(guess.type) or len(column) < _FEW:
            continue
        if is_usual(len(column) - 1, len(column)):
            continue  # among so many, one does not make a column text
        for odd, others in ((column[0], column[1:]), (column[-1], column[:-1])):
            type_ = guess_type(others, decimal, whole=True).type
            if not is_.is_string(type_):
                warnings.warn(
                    f"{file.name!r}: column {name!r} is text because of {in_short(odd.as_py())!r}; all others would make "
                    f"it {type_}. Correct that row, or take it out, if it is a mistake.",
                    FalllineWarning,
                    stacklevel=2,
                )
                return


def _decimal(file, head, columns, whole):
    """The decimal point that the columns tell, and one that they only suggest; None for those that there are not.

    It is a comma, if that makes numbers of columns of text, and of no more columns text.
    """
    if head.dialect.delimiter == ",":
        return ".", None
    points, commas, guessed = [], [], None
    for name, column in zip(head.names, columns, strict=True):
        point, comma = (guess_type(column, mark, whole) for mark in ".,")
        # 1,459 may be a number of either kind; between semicolons it hardly means thousands.
        unlikely = is_.is_string(point.type) or (point.notations and not comma.notations)
        if unlikely and is_.is_floating(comma.type):
            commas += _with_mark(name, column, ",")
        elif is_.is_floating(point.type) and is_.is_string(comma.type):
            points += _with_mark(name, column, ".")
        if is_.is_floating(comma.type) and _suggests_comma(column, comma):
            guessed = ","
    if not commas and not points:
        return None, guessed
    decimal = "," if commas and len(commas) >= len(points) else "."
    if commas and points:
        _warn_of_marks(file, commas[0], points[0], decimal)
    return decimal, None


def _suggests_comma(column, guess):
    """Whether points set thousands apart: 1.459 does beside 901, and as a price."""
    money = guess.notations and guess.notations[0] not in {numbers.THOUSANDS, numbers.PERCENT}
    return numbers.looks_grouped(column, ".") or (money and numbers.has_thousandths(column, "."))


def _with_mark(name, column, mark):
    """A column and the first value with the mark, if there is one."""
    found = column.filter(pc.match_substring(column, mark))
    return [(name, found[0].as_py())] if len(found) else []


def _warn_of_marks(file, comma, point, decimal):
    read, text = (comma, point) if decimal == "," else (point, comma)
    warnings.warn(
        f"{file.name!r} has numbers with decimal commas in some columns, with points in others: {comma[1]!r} in {comma[0]!r}, "
        f"{point[1]!r} in {point[0]!r}. They are read as in {read[1]!r}; {text[0]!r} and others like it are read as text. Write "
        "all numbers in one way.",
        FalllineWarning,
        stacklevel=2,
    )


class Reader:
    """Parses chunks of one file.

    Parameters
    ----------
    dialect : Dialect
    probe : Probe
        Of the file.
    schema : Schema
        The types wanted.
    columns : sequence of str
        Those wanted.
    options : ReadOptions
    """

    def __init__(
        self,
        dialect: Dialect,
        probe: Probe,
        schema: pa.Schema,
        columns: Sequence[str],
        options: ReadOptions,
    ):
        self._dialect = dialect
        self._options = options
        self._names = [*probe.schema.names, *dialect.beyond]
        self._schema = pa.schema([schema.field(column) for column in columns])
        self._columns = list(columns)
        self._notations = probe.notations
        # One space before it is what "a, ?" has; Arrow looks texts up without a cost for each.
        self._missing = (*options.missing, *(f" {text}" for text in options.missing if text))
        self._dashes = (*self._missing, *DASHES, *(f" {text}" for text in DASHES))
        # Arrow knows one list of missing values for all columns, and trims nothing.
        self._plain = not (dialect.dashes or dialect.trim)
        # Elsewhere, names are none of a column's values.
        self._only_text = len(self._columns) > 1 and all(is_.is_string(field.type) for field in self._schema)
        self._convert_options = self._options_for_arrow()

    def parse(self, chunk: Chunk) -> Parsed:
        """The rows of a chunk."""
        if chunk.problem:
            return Parsed(chunk, no_rows(self._schema, self._columns), 1, {0: chunk.problem})
        data = squeezed(self._dialect, chunk.data)
        try:
            rows = self._finished(self._read(data))
        except pa.ArrowInvalid:
            return self._parse_slowly(chunk)
        return Parsed(chunk, rows, rows.num_rows, {})

    def typed(self, table: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[int, str]]:
        """Columns of text under the schema; rows that do not fit it left out, and why."""
        reasons: dict[int, str] = {}
        arrays = []
        for field in self._schema:
            array, bad = self._values(table.column(field.name), field)
            for row in np.flatnonzero(bad).tolist():
                value = table.column(field.name)[row].as_py()
                notations = self._notations.get(field.name, ())
                reasons.setdefault(row, misfit(field, value, notations, self._options))
            arrays.append(array)
        rows = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        reasons |= dict.fromkeys(np.flatnonzero(self._headers(rows)).tolist(), _HEADER)
        if reasons:
            rows = rows.filter(pa.array(all_but(reasons, rows.num_rows)))
        return rows, reasons

    def _headers(self, rows):
        """Which rows are the header once more."""
        return is_header_again(rows, self._columns) if self._only_text else np.zeros(rows.num_rows, bool)

    def _options_for_arrow(self):
        types = {
            field.name: pa.string() if field.name in self._notations else field.type for field in self._schema
        }
        return csv.ConvertOptions(
            column_types=types | dict.fromkeys(self._dialect.beyond, pa.null()),
            include_columns=[*self._columns, *self._dialect.beyond],
            null_values=list(self._dashes if self._dialect.dashes else self._missing),
            strings_can_be_null=self._plain,
            timestamp_parsers=[csv.ISO8601],  # other notations it reads with days that there are not
            decimal_point=self._dialect.decimal,
        )

    def _read(self, data):
        table = csv.read_csv(
            pa.BufferReader(pa.py_buffer(data)),
            read_options=csv.ReadOptions(
                use_threads=False, block_size=len(data) + 1, column_names=self._names
            ),
            parse_options=parse_options(self._dialect),
            convert_options=self._convert_options,
        )
        batches = table.combine_chunks().to_batches()
        return batches[0].select(self._columns) if batches else no_rows(self._schema, self._columns)

    def _finished(self, rows):
        """What Arrow read, with what it cannot do done."""
        if self._headers(rows).any():
            raise pa.ArrowInvalid(_HEADER)
        arrays = []
        for field, array in zip(self._schema, rows.columns, strict=True):
            if field.name in self._notations or (is_.is_string(field.type) and not self._plain):
                values, bad = self._values(array, field)
                if bad.any():
                    raise pa.ArrowInvalid(field.name)
                arrays.append(values)
            else:
                arrays.append(array)
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _values(self, texts, field):
        """The values of a column of text, and which are none."""
        if is_.is_string(field.type) or is_.is_large_string(field.type):
            texts = trimmed(texts) if self._dialect.trim else texts
            missing = is_missing(texts, self._missing)
            return pc.if_else(missing, pa.scalar(None, texts.type), texts).cast(field.type), np.zeros(
                len(texts), bool
            )
        texts = trimmed(texts)
        texts = pc.if_else(is_missing(texts, self._dashes), None, texts)
        return convert(texts, field.type, self._dialect.decimal, self._notations.get(field.name, ()))

    def _parse_slowly(self, chunk):
        """The rows of a chunk that can be read, and why the others cannot."""
        records = find_records(self._dialect, chunk.data, len(self._names))
        n = len(records.starts)
        reasons = {
            row: _wrong_number(int(records.fields[row]), len(self._names))
            for row in np.flatnonzero(records.fields != len(self._names)).tolist()
        }
        if self._dialect.beyond:
            reasons = (
                dict.fromkeys(np.flatnonzero(~ends_with_delimiter(self._dialect, records)).tolist(), _BEYOND)
                | reasons
            )
        reasons |= _not_utf8(records)
        kept = np.flatnonzero(all_but(reasons, n))
        rows, misfits = self.typed(texts(self._dialect, records.take(kept), self._names, self._columns))
        reasons |= {int(kept[row]): reason for row, reason in misfits.items()}
        return Parsed(chunk, rows, n, dict(sorted(reasons.items())))


_HEADER = "it is the header once more"
_BEYOND = "it has a value after its last delimiter, where the table has no column"


def _wrong_number(fields, columns):
    return f"it has {fields} field{'s' * (fields != 1)}, where the table has {columns} columns"


def _not_utf8(records):
    """The rows that hold bytes which are not UTF-8, and which bytes those are."""
    try:
        records.data.tobytes().decode()
    except UnicodeDecodeError:
        reasons = {row: _strange_byte(line) for row, line in enumerate(records.lines())}
        return {row: reason for row, reason in reasons.items() if reason}
    return {}


def _strange_byte(line):
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return not_utf8(error)
    return ""
