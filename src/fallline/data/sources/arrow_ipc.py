"""Arrow's own format: files (Feather among them) and streams.

Memory: Arrow reads a record batch whole, so the largest one of the file is what it takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from fallline.data.sources.agree import part_of, under
from fallline.data.sources.files import File
from fallline.data.sources.formats import FileFormat, Piece, Probe, Reading, rows_a_batch
from fallline.data.sources.options import ReadOptions
from fallline.data.sources.regroup import regrouped
from fallline.errors import InputError

__all__ = ["Arrow"]

MAGIC = b"ARROW1"
FEATHER_1 = b"FEA1"
SAMPLED_BATCHES = 4


class Arrow(FileFormat):
    """Arrow IPC, as a file or as a stream. Offsets count rows; `Probe.details` says how many make a batch."""

    name = "arrow"
    endings = (".arrow", ".feather", ".ipc", ".arrows")

    def recognises(self, head: bytes) -> bool:
        """By the first bytes: a file's name of itself, or what comes before each message of a stream."""
        return head.startswith((MAGIC, FEATHER_1, b"\xff\xff\xff\xff"))

    def probe(self, file: File, options: ReadOptions, rows: int) -> Probe:
        """What the schema says, and how large a row of the first batch is."""
        with _opened(file) as reader:
            first = next((batch for batch in reader.batches() if batch.num_rows), None)
            if first is None:
                return Probe(reader.schema, 0, 0, 1)
            a_batch = rows_a_batch(first.nbytes / first.num_rows)
            return Probe(reader.schema, reader.n_rows, first.num_rows, a_batch)

    def sample(
        self, file: File, probe: Probe, schema: pa.Schema, options: ReadOptions, rows: int
    ) -> pa.Table:
        """The first rows of a few record batches spread over a file; of a stream those at its beginning."""
        with _opened(file) as reader:
            n = rows // SAMPLED_BATCHES + 1
            batches = [under(batch.slice(0, n), schema) for batch in reader.spread(SAMPLED_BATCHES)]
            return pa.Table.from_batches(batches, schema)

    def pieces(self, reading: Reading) -> Iterator[Piece]:
        """Batch after batch, in pieces of one size. Damage is always an error: how many rows it took cannot be known."""
        wanted = part_of(reading.schema, reading.columns)
        with _opened(reading.file, reading.columns) as reader:
            at = reading.offset
            number, before = reader.find(at)
            for rows in regrouped(reader.batches(number), reading.probe.details, at - before):
                first, at = at + 1, at + rows.num_rows
                yield Piece(under(rows, wanted), first, at, at, reader.done(at))


class _FileReader:
    """The batches of a file, at any place; so many columns of them."""

    def __init__(self, file, stream, fields):
        self._file = file
        self._stream = stream
        self._reader = self._open(fields)
        self.schema = self._open([]).schema
        self.n_rows = self._reader.count_rows()

    def batches(self, first=0):
        for number in range(first, self._reader.num_record_batches):
            yield self._batch(self._reader, number)

    def spread(self, n):
        last = self._reader.num_record_batches - 1
        for number in sorted({int(place) for place in np.linspace(0, last, n)}) if last >= 0 else []:
            yield self._batch(self._reader, number)

    def find(self, row):
        """The batch that a row is in, and how many rows come before that batch."""
        if row == 0:
            return 0, 0
        narrow, before = self._open([0]), 0
        for number in range(narrow.num_record_batches):
            rows = self._batch(narrow, number).num_rows
            if before + rows > row:
                return number, before
            before += rows
        return narrow.num_record_batches, before

    def done(self, at):
        return int(self._file.size * at / max(1, self.n_rows))

    def _open(self, fields):
        return ipc.open_file(self._stream, options=ipc.IpcReadOptions(included_fields=fields))

    def _batch(self, reader, number):
        with _guarded(self._file, f", record batch {number + 1},"):
            return reader.get_batch(number)


class _StreamReader:
    """The batches of a stream, one after the other; so many columns of them."""

    n_rows = None

    def __init__(self, file, stream, fields):
        self._file = file
        self._stream = stream
        self.schema = ipc.open_stream(stream).schema
        stream.seek(0)
        self._reader = ipc.open_stream(stream, options=ipc.IpcReadOptions(included_fields=fields))

    def batches(self, first=0):
        for number in count(first):
            with _guarded(self._file, f", record batch {number + 1},"):
                batch = next(self._reader, None)
            if batch is None:
                return
            yield batch

    def spread(self, n):
        return islice(self.batches(), n)

    def find(self, row):
        return 0, 0

    def done(self, at):
        return self._stream.tell()


@contextmanager
def _opened(file, columns=()):
    """A reader of so many columns, by default all; its `schema` is that of all."""
    with file.open() as stream:
        head = stream.read(len(MAGIC))
        stream.seek(0)
        if head.startswith(FEATHER_1):
            raise InputError(
                f"{file.name!r} is Feather of version 1, which has been given up. Write it as version 2, or as Parquet."
            )
        kind = _FileReader if head == MAGIC else _StreamReader
        with _guarded(file, ""):
            reader = kind(file, stream, [])
            if columns:
                stream.seek(0)
                reader = kind(file, stream, [reader.schema.get_field_index(column) for column in columns])
        yield reader


@contextmanager
def _guarded(file, where):
    """What Arrow says about a damaged file, as an InputError; what the system says about disk or network passes."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None) is not None:
            raise
        raise InputError(
            f"{file.name!r}{where} cannot be read: it is no Arrow file, or was cut off or damaged "
            f"({' '.join(str(error).split())}). Copy or write it again."
        ) from error
