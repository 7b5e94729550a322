"""libsvm, also called svmlight: lines of `label index:value index:value ...`.

Indices stay what they are in the file: feature 5 is what the file calls 5, whether its author counts from 0 or from 1. Where
nothing has index 0 there is a feature without values, and no harm; guessing would shift a test file against the one trained on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import ClassVar

import numpy as np
import pyarrow as pa

from fallline.data.sources import formats
from fallline.data.sources.agree import no_rows
from fallline.data.sources.dialect import Dialect, as_bytes, cut_records
from fallline.data.sources.files import File
from fallline.data.sources.formats import FileFormat, Piece, Probe, Reading
from fallline.data.sources.options import ReadOptions
from fallline.data.sources.parsed import Parsed, first_error, parsed_in_order
from fallline.data.sources.sparse import FEATURES, as_maps
from fallline.data.sources.text import Chunk, chunks, find_encoding, open_text
from fallline.errors import InputError
from fallline.kernels import libsvm as kinds
from fallline.kernels.libsvm import parse_libsvm

__all__ = ["LABEL", "LibSVM"]

LABEL = pa.field("label", pa.float64())

_HEAD = 256 << 10
_LINE = re.compile(rb"[ \t]*[+-]?[\d.]\S*([ \t]+(qid|\d+):\S+)+[ \t]*(#.*)?\r?")

_REASONS = {
    kinds.BAD_LABEL: "{!r} is not a label: it begins a row, and is a number",
    kinds.SEVERAL_LABELS: "{!r} are several labels, and fallline takes one a row",
    kinds.NO_COLON: "{!r} is not an entry, which is written index:value",
    kinds.BAD_INDEX: "the index in {!r} is not a whole number",
    kinds.NEGATIVE_INDEX: "the index in {!r} is negative",
    kinds.LARGE_INDEX: "the index in {!r} is larger than 2,147,483,646, the largest that fallline takes",
    kinds.REPEATED_INDEX: "the index in {!r} stands twice in the row",
    kinds.UNSORTED_INDEX: "the index in {!r} is smaller than the one before it; the format has them ascending",
    kinds.BAD_VALUE: "the value in {!r} is not a number",
    kinds.NOT_FINITE: "{!r} is not a finite number, or too large for one of 32 bits",
}


class LibSVM(FileFormat):
    """Sparse rows as text: columns `label` and `features`."""

    name: ClassVar[str] = "libsvm"
    endings: ClassVar[tuple[str, ...]] = (".libsvm", ".svmlight", ".svm")
    compressible: ClassVar[bool] = True
    target: ClassVar[str | None] = LABEL.name

    def recognises(self, head: bytes) -> bool:
        """Whether the first lines are a number and pairs of numbers."""
        lines = [
            line for line in head.split(b"\n")[:-1] or [head] if line.strip() and not line.startswith(b"#")
        ]
        return bool(lines) and all(_LINE.fullmatch(line) for line in lines[:10])

    def probe(self, file: File, options: ReadOptions, rows: int) -> Probe:
        """The schema is always the same; that there is a row has to be seen."""
        encoding = find_encoding(file, options.encoding)
        parsed = self._head(file, encoding)
        if parsed is None or not parsed.records:
            raise InputError(f"{file.name!r} is empty. Give a file with rows, such as `1 3:0.5 7:2`.")
        if len(parsed.bad) == parsed.records and options.on_error == "stop":
            raise first_error(file, 0, parsed.bad)
        return Probe(pa.schema([LABEL, FEATURES]), None, parsed.records, encoding)

    def sample(
        self, file: File, probe: Probe, schema: pa.Schema, options: ReadOptions, rows: int
    ) -> pa.Table:
        """The first rows."""
        parsed = self._head(file, probe.details)
        return pa.Table.from_batches([parsed.rows[:rows]]).select(schema.names)

    def pieces(self, reading: Reading) -> Iterator[Piece]:
        """The rows, parsed on several threads, in order."""
        parse = partial(parse_chunk, columns=reading.columns)
        with open_text(reading.file, reading.probe.details) as text:
            stretches = chunks(text, _lines, max(reading.offset, text.begin), formats.BATCH_BYTES)
            yield from parsed_in_order(reading, stretches, parse)

    @staticmethod
    def _head(file, encoding):
        """The first rows, if there are any."""
        with open_text(file, encoding) as text:
            for chunk in chunks(text, _lines, text.begin, _HEAD):
                if (parsed := parse_chunk(chunk)).records:
                    return parsed
        return None


_lines = partial(cut_records, Dialect(delimiter=" ", quotes=False))


def parse_chunk(chunk: Chunk, columns: Sequence[str] = (LABEL.name, FEATURES.name)) -> Parsed:
    """The rows of a chunk."""
    schema = pa.schema([LABEL, FEATURES])
    if chunk.problem:
        return Parsed(chunk, no_rows(schema, columns), 1, {0: chunk.problem})
    data = as_bytes(chunk.data)
    lines = int(np.count_nonzero((data == 10) | (data == 13))) + 1
    entries = int(np.count_nonzero(data == ord(":")))
    labels, indptr = np.empty(lines), np.empty(lines + 1, np.int32)
    indices, values = np.empty(entries, np.int32), np.empty(entries, np.float32)
    bad = np.empty((3, lines), np.int64)
    n, wrong, _ = parse_libsvm(data, labels, indptr, indices, values, *bad)
    features = as_maps(indptr[: n + 1], indices, values)
    rows = pa.RecordBatch.from_arrays([pa.array(labels[:n]), features], schema=schema).select(list(columns))
    reasons = {int(row): _reason(data, int(kind), int(place)) for row, kind, place in bad[:, :wrong].T}
    return Parsed(chunk, rows, n + wrong, reasons)


def _reason(data, kind, place):
    word = data[place : place + 200].tobytes().split()[0].decode(errors="replace")
    return _REASONS[kind].format(word[:80])
