"""JSON lines: an object a line.

Arrow's reader parses chunks under types that are fixed beforehand, on several threads. What it refuses is parsed line by line
in Python, so that every row that cannot be read is found and the others are not lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_
from pyarrow import json as arrow_json

from fallline.data.sources import formats
from fallline.data.sources.agree import no_rows
from fallline.data.sources.dialect import Dialect, cut_records
from fallline.data.sources.files import File
from fallline.data.sources.formats import FileFormat, Piece, Probe, Reading
from fallline.data.sources.json_fields import Field, at, find_fields, guess_field
from fallline.data.sources.look import Head, look_at_lines
from fallline.data.sources.options import ReadOptions
from fallline.data.sources.parsed import Parsed, all_but, misfit, not_utf8, parsed_in_order
from fallline.data.sources.text import Chunk, chunks, find_encoding, open_text
from fallline.data.sources.typed import DASHES, convert, is_missing, trimmed
from fallline.errors import InputError

__all__ = ["JSONLines"]

_HEAD = 256 << 10


class JSONLines(FileFormat):
    """Objects, one a line; objects in them become columns `a.b`, one level deep. Keys that some rows lack are missing there."""

    name: ClassVar[str] = "json"
    endings: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson", ".json")
    compressible: ClassVar[bool] = True
    guesses_types: ClassVar[bool] = True

    def recognises(self, head: bytes) -> bool:
        """Whether it begins with an object."""
        return head.lstrip().startswith(b"{")

    def probe(self, file: File, options: ReadOptions, rows: int) -> Probe:
        """Keys and types, from about so many rows."""
        encoding = find_encoding(file, options.encoding)
        head = _head(file, encoding)
        lines, whole = look_at_lines(file, head, rows)
        objects = [value for value in map(_loaded, lines) if isinstance(value, dict)]
        if not objects or lines[0].lstrip().startswith(b"["):
            raise InputError(
                f"{file.name!r}, row 1: {lines[0][:80].decode(errors='replace')!r} is not a JSON object. JSON is read as one "
                "object a line; `jq -c '.[]'` makes such lines of a list."
            )
        fields = find_fields(objects)
        guesses = {name: guess_field(name, field, objects, whole, options) for name, field in fields.items()}
        schema = pa.schema([(name, guess.type) for name, guess in guesses.items()])
        notations = {name: guess.notations for name, guess in guesses.items() if guess.notations}
        return Probe(schema, None, len(objects), (head, fields), notations)

    def sample(
        self, file: File, probe: Probe, schema: pa.Schema, options: ReadOptions, rows: int
    ) -> pa.Table:
        """About so many rows; those that do not fit the schema left out."""
        head, fields = probe.details
        lines, _ = look_at_lines(file, head, rows)
        found, _ = Reader(fields, probe.notations, schema, schema.names, options).read_lines(lines)
        return pa.Table.from_batches([found])

    def pieces(self, reading: Reading) -> Iterator[Piece]:
        """The rows, parsed on several threads, in order."""
        head, fields = reading.probe.details
        notations = reading.probe.notations
        reader = Reader(fields, notations, reading.schema, reading.columns, reading.options)
        with open_text(reading.file, head.dialect.encoding) as text:
            begin = max(reading.offset, head.dialect.begin)
            stretches = chunks(text, _lines, begin, formats.BATCH_BYTES)
            yield from parsed_in_order(reading, stretches, reader.parse)


_lines = partial(cut_records, Dialect(quotes=False))


def _head(file, encoding):
    """Where the lines begin, and how long they are."""
    with open_text(file, encoding) as text:
        chunk = next(chunks(text, _lines, text.begin, _HEAD), None)
        # Lines are records of one field: no byte of JSON is a delimiter.
        dialect = Dialect(encoding=encoding, begin=text.begin, delimiter="\0", quotes=False)
    lines = [] if chunk is None else _split(chunk.data)
    if not lines:
        raise InputError(f"{file.name!r} holds nothing. Give a file with a JSON object a line.")
    return Head(dialect, [""], sum(map(len, lines)) / len(lines) + 1)


def _split(data):
    return [line for line in bytes(data).split(b"\n") if line.strip()]


# What may be half of a character: Python reads it, but it is no text.
_HALF = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")


def _loaded(line):
    """What a line holds, or the error."""
    try:
        value = json.loads(line)
        if _HALF.search(line):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        return error
    return value


class Reader:
    """Parses chunks of one file.

    Parameters
    ----------
    fields : dict
        Of the file.
    notations : mapping
        How the dates of columns may be written.
    schema : Schema
        The types wanted.
    columns : sequence of str
        Those wanted.
    options : ReadOptions
    """

    def __init__(
        self,
        fields: dict[str, Field],
        notations: Mapping[str, tuple[str, ...]],
        schema: pa.Schema,
        columns: Sequence[str],
        options: ReadOptions,
    ):
        self._notations = notations
        self._schema = pa.schema([schema.field(column) for column in columns])
        self._columns = list(columns)
        self._fields = {column: fields[column] for column in columns}
        self._written = {
            column: _asked(fields[column].written, schema.field(column).type) for column in columns
        }
        self._options = options
        self._missing = (*options.missing, *DASHES)
        self._arrow_options = arrow_json.ParseOptions(
            explicit_schema=self._nested(), newlines_in_values=False, unexpected_field_behavior="ignore"
        )

    def parse(self, chunk: Chunk) -> Parsed:
        """The rows of a chunk."""
        if chunk.problem:
            return Parsed(chunk, no_rows(self._schema, self._columns), 1, {0: chunk.problem})
        try:
            rows = self._fast(chunk.data)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            lines = _split(chunk.data)
            rows, reasons = self.read_lines(lines)
            return Parsed(chunk, rows, len(lines), reasons)
        return Parsed(chunk, rows, rows.num_rows, {})

    def read_lines(self, lines: Sequence[bytes]) -> tuple[pa.RecordBatch, dict[int, str]]:
        """The rows that can be read, and why the others cannot."""
        objects = [_loaded(line) for line in lines]
        reasons = {
            row: _not_an_object(value) for row, value in enumerate(objects) if not isinstance(value, dict)
        }
        arrays = []
        for field in self._schema:
            array, bad = self._column(objects, field)
            for row in bad:
                value = at(objects[row], self._fields[field.name].path)
                text = value if isinstance(value, str) else json.dumps(value)
                notations = self._notations.get(field.name, ())
                reasons.setdefault(row, misfit(field, text, notations, self._options))
            arrays.append(array)
        rows = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        if reasons:
            rows = rows.filter(pa.array(all_but(reasons, len(lines))))
        return rows, dict(sorted(reasons.items()))

    def _nested(self):
        """The schema of what is written."""
        outer: dict[str, Any] = {}
        for column, field in self._fields.items():
            if len(field.path) == 1:
                outer[field.path[0]] = self._written[column]
            else:
                outer.setdefault(field.path[0], []).append((field.path[1], self._written[column]))
        return pa.schema(
            [(key, pa.struct(inner) if isinstance(inner, list) else inner) for key, inner in outer.items()]
        )

    def _fast(self, data):
        if not bytes(data[:1024]).strip() and not bytes(data).strip():
            return no_rows(self._schema, self._columns)
        table = arrow_json.read_json(
            pa.BufferReader(pa.py_buffer(data)),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=self._arrow_options,
        )
        rows = table.combine_chunks().to_batches()[0]
        arrays = []
        for field in self._schema:
            array = rows.column(self._fields[field.name].path[0])
            for key in self._fields[field.name].path[1:]:
                array = pc.struct_field(array, key)
            if is_.is_string(array.type):
                # Arrow takes text for UTF-8 here without looking.
                array.validate(full=True)
            array, bad = self._typed(array, field)
            if bad.any():
                raise pa.ArrowInvalid(field.name)
            arrays.append(array)
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _typed(self, array, field):
        """What is written as the type wanted, and which values cannot be."""
        if array.type.equals(field.type):
            return array, np.zeros(len(array), bool)
        if not is_.is_string(array.type):
            return array.cast(field.type, safe=False), np.zeros(len(array), bool)
        texts = trimmed(array)
        texts = pc.if_else(is_missing(texts, self._missing), None, texts)
        return convert(texts, field.type, ".", self._notations.get(field.name, ()))

    def _column(self, objects, field):
        """A column of parsed objects, and the rows whose value does not fit."""
        written, path = self._written[field.name], self._fields[field.name].path
        values = [at(value, path) for value in objects]
        bad = {row for row, value in enumerate(values) if value is not None and not _fits(value, written)}
        plain = [None if row in bad else _plain(value, written) for row, value in enumerate(values)]
        array, misfits = self._typed(pa.array(plain, written), field)
        return array, sorted(bad | set(np.flatnonzero(misfits).tolist()))


def _asked(written, wanted):
    """As what to read a column that is written so, for a type wanted: as that, or as text to make it of."""
    if is_.is_string(written) or is_.is_nested(written):
        return written
    direct = is_.is_boolean(wanted) or is_.is_integer(wanted) or is_.is_floating(wanted)
    return wanted if direct or is_.is_nested(wanted) or is_.is_null(wanted) else pa.string()


def _fits(value, written):
    """Whether a value from JSON can be had as the type. Anything can as text."""
    if is_.is_boolean(written):
        return isinstance(value, bool)
    if is_.is_floating(written):
        return type(value) in {int, float}
    if is_.is_integer(written):
        whole = type(value) is int or (type(value) is float and value.is_integer())
        return whole and abs(value) < (2**63 if type(value) is int else 2**53)
    if is_.is_nested(written):
        return _holds(written, value)
    return not is_.is_null(written)


def _holds(type_, value):
    try:
        pa.array([value], type_)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return False
    return True


def _plain(value, written):
    """The value as Python has it for the type."""
    if value is None:
        return None
    if is_.is_string(written):
        return value if isinstance(value, str) else json.dumps(value)
    if is_.is_integer(written):
        return int(value)
    return float(value) if is_.is_floating(written) else value


def _not_an_object(value):
    if isinstance(value, UnicodeDecodeError):
        return not_utf8(value)
    if isinstance(value, UnicodeEncodeError):
        half = value.object[value.start : value.end]
        return f"{half!r} is half of a character, in two parts as UTF-16 has it, without the other"
    if isinstance(value, json.JSONDecodeError):
        return f"the line is not JSON: {value.msg.lower()} at character {value.pos + 1:,}"
    if isinstance(value, Exception):
        return f"the line is not JSON that can be read: {value}"
    return f"{json.dumps(value)[:80]} is not a JSON object"
