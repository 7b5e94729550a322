"""One source over the files of one format."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Generator, Sequence
from contextlib import closing
from functools import cached_property
from itertools import accumulate, repeat
from typing import Any

import pyarrow as pa
import pyarrow.types as is_

from fallline.data.ahead import mapped_ahead
from fallline.data.sources import numbers
from fallline.data.sources.agree import (
    agreed_notations,
    agreed_schema,
    as_type,
    is_number,
    part_of,
    plain_schema,
)
from fallline.data.sources.base import Batch, Cursor, Source
from fallline.data.sources.files import File
from fallline.data.sources.formats import FileFormat, Probe, Reading
from fallline.data.sources.options import ReadOptions
from fallline.errors import InputError

__all__ = ["JoinedSource"]

PROBED_ROWS = 16_384
"""Rows by which types are guessed, of all files together; at least `PROBED_A_FILE` of each."""
PROBED_A_FILE = 64

SAMPLED_ROWS = 4_096
SAMPLED_FILES = 32

LAYOUT = 2
"""Goes up when the same files come to be read as other rows, so that caches of the old ones are not used."""


class JoinedSource(Source):
    """The rows of one file after the other, under one schema; keys in the names of folders are columns at its end.

    Parameters
    ----------
    name : str
        What to call the whole in messages.
    files : sequence of File
    file_format : FileFormat
    options : ReadOptions

    Raises
    ------
    InputError
        If the files have no columns in common, or no rows.
    """

    def __init__(
        self, name: str, files: Sequence[File], file_format: FileFormat, options: ReadOptions = ReadOptions()
    ):
        self.name = name
        self._files = files
        self._format = file_format
        self._options = options
        self._probes = self._probe_all()
        self._own = agreed_schema(
            (file.name, plain_schema(probe.schema, file.name))
            for file, probe in zip(files, self._probes, strict=True)
        )
        if file_format.guesses_types:
            self._own = _nothing_as_text(self._own)
            self._agree_on_notations()
        self._keys = _key_columns(files, self._own.names)
        by_place = [f"x{column}" for column in range(len(self._own))]
        self.places_for_names = file_format.guesses_types and self._own.names == by_place
        self.schema = pa.schema(
            [*self._own, *(pa.field(key, values.type) for key, values in self._keys.items())]
        )
        self.size = sum(file.size for file in files)
        self.bytes_a_column = file_format.bytes_a_column
        self.target = file_format.target
        counts = [probe.n_rows for probe in self._probes]
        self.n_rows = None if None in counts else sum(count or 0 for count in counts)
        if not any(probe.sampled for probe in self._probes):
            raise InputError(f"{name!r} holds columns but no rows. Check how it was written.")

    @property
    def fingerprint(self) -> str:
        """Of what the files are called, how long they are and when they were written or replaced, and of the options."""
        stamps = [(file.path, *file.stamp) for file in self._files]
        told = repr((LAYOUT, self._format.name, tuple(self._options), stamps))
        return hashlib.blake2b(told.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()

    def batches(
        self, columns: Sequence[str] | None = None, start: Cursor = Cursor(), in_flight: int = 4
    ) -> Generator[Batch, None, None]:
        """The rows from `start` on, decoded on a thread ahead of their use."""
        columns = self.schema.names if columns is None else list(columns)
        # Half of what may be in flight waits here, half is for the format to work on, should it do several things at once.
        inner = max(1, in_flight // 2)
        stream = self._in_order(columns, start, inner)
        ahead: Any = mapped_ahead(lambda _: next(stream, None), repeat(None), 1, in_flight - in_flight // 2)
        # The thread has to be done with the stream before that can be closed.
        with closing(stream), closing(ahead):
            for batch in ahead:
                if batch is None:
                    return
                yield batch

    def require_unchanged(self) -> None:
        """Raise `InputError` for the first file that was written to or is gone."""
        for file in self._files:
            file.require_unchanged()

    @property
    def notations(self) -> dict[str, str]:
        """How the values of each column are written, where that had to be found out; the same way in all files."""
        return {column: notation for column, (notation,) in self._probes[0].notations.items()}

    def sample(self) -> pa.Table:
        """The same rows every time, read once."""
        return self._sample

    @cached_property
    def _sample(self):
        """A few thousand rows from several places of up to 32 files spread over all."""
        step = math.ceil(len(self._files) / SAMPLED_FILES)
        chosen = range(0, len(self._files), step)
        rows = math.ceil(SAMPLED_ROWS / len(chosen))
        tables = mapped_ahead(lambda part: self._sample_of(part, rows), chosen, _threads(), 2 * _threads())
        return pa.concat_tables(tables).combine_chunks()

    def _probe_all(self):
        probes = self._probed(self._files, self._options)
        certain = {probe.decimal for probe in probes if probe.certain}
        told = certain or {probe.decimal for probe in probes} - {None}
        self.decimal = next(iter(told)) if len(told) == 1 else None
        if self.decimal is None:
            return probes
        # Files that do not tell are read as those that do.
        usual = self._options.decimal or "."
        others = [
            i
            for i, probe in enumerate(probes)
            if not probe.certain and (probe.decimal or usual) != self.decimal
        ]
        options = self._options._replace(decimal=self.decimal)
        for i, probe in zip(others, self._probed([self._files[i] for i in others], options), strict=True):
            probes[i] = probe
        return probes

    def _probed(self, files, options):
        rows = max(PROBED_A_FILE, PROBED_ROWS // len(self._files))

        def probe(file: File) -> Probe:
            return self._format.probe(file, options, rows)

        return list(mapped_ahead(probe, files, _threads(), 2 * _threads()))

    def _agree_on_notations(self):
        """Have all files read under one notation for each column that needs one; what is text in some is no date in any."""
        notated = {
            field.name for field in self._own if is_.is_timestamp(field.type) or is_.is_floating(field.type)
        }
        wanted = {column for probe in self._probes for column in probe.notations} & notated
        fitting = (
            {column: fits for column in wanted if (fits := _fitting(probe, column))} for probe in self._probes
        )
        names = (file.name for file in self._files)
        agreed = agreed_notations(zip(names, fitting, strict=True))
        settled = {column: (notation,) for column, notation in agreed.items()}
        self._probes = [probe._replace(notations=settled) for probe in self._probes]

    def _sample_of(self, part, rows):
        table = self._format.sample(self._files[part], self._probes[part], self._own, self._options, rows)
        for key in self._keys:
            table = table.append_column(key, self._key(key, part, len(table)))
        return table.cast(self.schema)

    def _in_order(self, columns, start, in_flight):
        """Every batch from `start` on, one after the other."""
        before = [0, *accumulate(file.size for file in self._files)]
        for part in range(start.part, len(self._files)):
            cursor = start if part == start.part else Cursor(part)
            for piece in self._pieces(part, columns, cursor, in_flight):
                yield Batch(
                    self._with_keys(piece.rows, columns, part),
                    self._files[part].name,
                    piece.first,
                    Cursor(part, piece.offset, piece.row),
                    before[part] + min(piece.done, self._files[part].size),
                    piece.skipped,
                )

    def _pieces(self, part, columns, start, in_flight):
        """What the format makes of one file, as long as it stays the file that was found."""
        file, probe = self._files[part], self._probes[part]
        # Where keys only are wanted, some column of the file still has to say how many rows there are.
        own = [column for column in columns if column not in self._keys] or self._own.names[:1]
        reading = Reading(file, probe, self._own, own, self._options, start.offset, start.row, in_flight)
        try:
            for piece in self._format.pieces(reading):
                if file.local:
                    file.require_unchanged()
                yield piece
            file.require_unchanged()
        except InputError:
            # A file that is being written looks damaged: say which it is.
            file.require_unchanged()
            raise

    def _with_keys(self, rows, columns, part):
        if rows.schema.names == columns:
            return rows
        arrays = [
            self._key(column, part, rows.num_rows) if column in self._keys else rows.column(column)
            for column in columns
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=part_of(self.schema, columns))

    def _key(self, key, part, n):
        """The value of a key in the folders of a file, for so many rows."""
        return self._keys[key].take(pa.nulls(n, pa.int32()).fill_null(part))


def _nothing_as_text(schema):
    """The schema with columns of text where no value was seen."""
    return pa.schema([field.with_type(pa.string()) if is_.is_null(field.type) else field for field in schema])


def _fitting(probe, column):
    """The notations that a column of a file may have: numbers in digits alone have any but the percent sign."""
    if column in probe.notations or not is_number(probe.schema.field(column).type):
        return probe.notations.get(column, ())
    return tuple(notation for notation in numbers.notations(".") if notation != numbers.PERCENT)


def _key_columns(files, own):
    """The keys in the names of folders, each with its value a file: whole numbers where all are, else categories."""
    keys = [key for key, _ in files[0].keys if key not in own]
    for file in files:
        if [key for key, _ in file.keys if key not in own] != keys:
            raise InputError(
                f"{file.name!r} does not lie in folders with the same keys as {files[0].name!r}, which has "
                f"{', '.join(keys) or 'none'}. Give every file the same keys (key=value/), or none."
            )
    return {key: _key_values([dict(file.keys)[key] for file in files]) for key in keys}


def _key_values(values):
    try:
        return pa.array([None if value is None else int(value) for value in values], pa.int64())
    except (ValueError, OverflowError):
        return as_type(
            pa.array(values, pa.string()).dictionary_encode(), pa.dictionary(pa.int32(), pa.string())
        )


def _threads():
    """How many files to look at together: mostly it is the disk or the network that is waited for."""
    return min(16, 4 + (os.cpu_count() or 1))
