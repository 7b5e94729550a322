"""Parquet, row group by row group.

Memory: Arrow reads a column chunk whole unless told to buffer. With a small buffer it holds a page of each column, as written and
decoded (1 MiB each, by default), and the batch under construction; how large a row group is does not matter then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fallline.data.sources.agree import no_rows, part_of, under
from fallline.data.sources.base import Skipped
from fallline.data.sources.files import File
from fallline.data.sources.formats import FileFormat, Piece, Probe, Reading, rows_a_batch
from fallline.data.sources.options import ReadOptions
from fallline.errors import InputError

__all__ = ["Parquet"]

BUFFER = {True: 64 << 10, False: 1 << 20}
"""Bytes of each column chunk that are read at a time, from this machine or from afar, where each time costs a request."""

WIDTHS = {
    "BOOLEAN": 1,
    "INT32": 4,
    "INT64": 8,
    "INT96": 8,
    "FLOAT": 4,
    "DOUBLE": 8,
    "FIXED_LEN_BYTE_ARRAY": 16,
}
"""Bytes of a value, decoded."""

TEXT_BYTES = 32
"""What a value without a fixed width is taken to need at least: dictionaries make it look smaller in the file than it is."""

SAMPLED_GROUPS = 4


class Parquet(FileFormat):
    """Apache Parquet. Offsets count rows."""

    name = "parquet"
    endings = (".parquet", ".pq", ".parq")
    # A page, compressed and not, and what is decoded of it: pages are 1 MiB unless their writer says otherwise.
    bytes_a_column = 5 << 19

    def recognises(self, head: bytes) -> bool:
        """By its first four bytes."""
        return head.startswith(b"PAR1")

    def probe(self, file: File, options: ReadOptions, rows: int) -> Probe:
        """What the footer says."""
        with _opened(file) as parquet:
            n_rows = parquet.metadata.num_rows
            return Probe(parquet.schema_arrow, n_rows, n_rows)

    def sample(
        self, file: File, probe: Probe, schema: pa.Schema, options: ReadOptions, rows: int
    ) -> pa.Table:
        """The first rows of a few row groups, spread over the file."""
        with _opened(file) as parquet:
            groups = _Group.all_of(file, parquet)
            chosen = (
                sorted({int(i) for i in np.linspace(0, len(groups) - 1, SAMPLED_GROUPS)}) if groups else []
            )
            n = rows // max(1, len(chosen)) + 1
            batches = [batch for i in chosen for batch in groups[i].head(n, schema, options)]
        return pa.Table.from_batches(batches, schema)

    def pieces(self, reading: Reading) -> Iterator[Piece]:
        """Row group after row group; those that are damaged are an error, or skipped."""
        wanted = part_of(reading.schema, reading.columns)
        with _opened(reading.file) as parquet:
            for group in _Group.all_of(reading.file, parquet):
                if group.stop > reading.offset:
                    yield from group.pieces(wanted, reading.options, reading.offset, reading.in_flight)


class _Group:
    """One row group of an open file: rows `start` to `stop`, counted from 0."""

    def __init__(self, file, parquet, number, start):
        self._file = file
        self._parquet = parquet
        self._number = number
        self.start = start
        self.stop = start + parquet.metadata.row_group(number).num_rows

    @classmethod
    def all_of(cls, file, parquet):
        groups, start = [], 0
        for number in range(parquet.num_row_groups):
            groups.append(cls(file, parquet, number, start))
            start = groups[-1].stop
        return groups

    def pieces(self, schema, options, offset, together):
        at = self.start
        try:
            for rows in self._batches(schema, together):
                first, at = at, at + rows.num_rows
                if at > offset:
                    new = rows.slice(max(0, offset - first))
                    yield Piece(new, at - new.num_rows + 1, at, at, self._done(at))
        except (pa.ArrowException, OSError) as error:
            reason, at = self._reason(error), max(at, offset)
            if together > 1:
                # How many rows come before the damage must not depend on how many are decoded together.
                yield from self.pieces(schema, options, at, 1)
                return
            if options.on_error == "stop":
                raise self._error(reason) from error
            lost = self.stop - at
            skipped = Skipped(self._file.name, at + 1, f"{reason}; {lost:,} rows left out", lost)
            yield Piece(
                no_rows(schema, schema.names), at + 1, self.stop, self.stop, self._done(self.stop), (skipped,)
            )

    def _batches(self, schema, together):
        """Batches, so many decoded at a time, as each time costs some microseconds a column; they share their memory."""
        n = self._batch_rows()
        for rows in self._decoded(n * together, schema):
            for start in range(0, rows.num_rows, n):
                yield rows.slice(start, n)

    def head(self, n, schema, options):
        """The first rows, in a list of one batch; none of a damaged row group that is to be skipped."""
        try:
            return [next(self._decoded(n, schema))]
        except StopIteration:
            return []
        except (pa.ArrowException, OSError) as error:
            if options.on_error == "skip":
                return []
            raise self._error(self._reason(error)) from error

    def _decoded(self, n, schema):
        """Batches of so many rows; more of a problem than no rows is fewer than the footer promises."""
        decoded = 0
        for rows in self._parquet.iter_batches(n, row_groups=[self._number], columns=schema.names):
            decoded += rows.num_rows
            yield under(rows, schema)
        if decoded != self.stop - self.start:
            raise pa.ArrowInvalid(f"it holds {decoded:,} rows")

    def _batch_rows(self):
        """The same for any choice of columns, so that batches are the same."""
        group = self._parquet.metadata.row_group(self._number)
        chunks = [group.column(i) for i in range(group.num_columns)]
        n = max(1, group.num_rows)
        return rows_a_batch(sum(max(_width(chunk), chunk.total_uncompressed_size / n) for chunk in chunks))

    def _done(self, at):
        return int(self._file.size * at / self._parquet.metadata.num_rows)

    def _reason(self, error):
        if getattr(error, "errno", None) is not None:
            raise error  # the disk or the network, not what is in the file
        rows = f"rows {self.start + 1:,} to {self.stop:,}"
        return f"row group {self._number + 1} ({rows}) is damaged: {' '.join(str(error).split()).rstrip('.')}"

    def _error(self, reason):
        return InputError(
            f"{self._file.name!r}, {reason}. Restore the file, or leave out such row groups (--on-error skip)."
        )


def _width(chunk):
    """Bytes of a decoded value."""
    return WIDTHS.get(chunk.physical_type, TEXT_BYTES)


@contextmanager
def _opened(file):
    with file.open() as stream:
        try:
            parquet = pq.ParquetFile(
                stream, buffer_size=BUFFER[file.local], pre_buffer=False, page_checksum_verification=True
            )
        except (pa.ArrowException, OSError) as error:
            if getattr(error, "errno", None) is not None:
                raise
            raise InputError(
                f"{file.name!r} is not a Parquet file, or was cut off while it was written or copied "
                f"({' '.join(str(error).split())}). Copy or write it again."
            ) from error
        with parquet:
            yield parquet
