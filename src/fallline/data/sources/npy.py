"""NumPy's .npy: one array of numbers, or one of records, read by stretches of rows."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy

from fallline.data.sources.agree import part_of, under
from fallline.data.sources.files import File
from fallline.data.sources.formats import FileFormat, Piece, Probe, Reading, rows_a_batch
from fallline.data.sources.numpy_columns import array_schema, as_batch, matrix_batch
from fallline.data.sources.options import ReadOptions
from fallline.errors import InputError

__all__ = ["Npy"]

SAMPLED_PLACES = 4


class Layout(NamedTuple):
    """Where in a file the values of an array are.

    Parameters
    ----------
    begin : int
        The byte at which they begin.
    dtype : dtype
    shape : tuple of int
    by_columns : bool
        Whether columns lie one after the other (Fortran's order) instead of rows.
    """

    begin: int
    dtype: np.dtype
    shape: tuple[int, ...]
    by_columns: bool


class Npy(FileFormat):
    """NumPy arrays of one or two dimensions. Offsets count rows; `Probe.details` is a `Layout`."""

    name = "npy"
    endings = (".npy",)

    def recognises(self, head: bytes) -> bool:
        """By its first bytes."""
        return head.startswith(npy.MAGIC_PREFIX)

    def probe(self, file: File, options: ReadOptions, rows: int) -> Probe:
        """What the header says."""
        with file.open() as stream:
            layout = _layout(stream, file)
        n_rows = layout.shape[0] if layout.shape else 0
        return Probe(array_schema(layout.dtype, layout.shape, repr(file.name)), n_rows, n_rows, layout)

    def sample(
        self, file: File, probe: Probe, schema: pa.Schema, options: ReadOptions, rows: int
    ) -> pa.Table:
        """Rows at a few places."""
        n_rows = probe.details.shape[0]
        n = min(rows, n_rows) // SAMPLED_PLACES + 1
        places = sorted({int(place) for place in np.linspace(0, max(0, n_rows - n), SAMPLED_PLACES)})
        stops = [*places[1:], n_rows]
        with file.open() as stream:
            batches = [
                under(_rows(stream, probe, start, min(start + n, stop), schema.names), schema)
                for start, stop in zip(places, stops, strict=True)
            ]
        return pa.Table.from_batches(batches, schema)

    def pieces(self, reading: Reading) -> Iterator[Piece]:
        """Stretch after stretch."""
        wanted, probe = part_of(reading.schema, reading.columns), reading.probe
        layout: Layout = probe.details
        n_rows = layout.shape[0]
        a_row = layout.dtype.itemsize * math.prod(layout.shape[1:])
        step = rows_a_batch(a_row)
        with reading.file.open() as stream:
            for start in range(reading.offset, n_rows, step):
                stop = min(start + step, n_rows)
                rows = under(_rows(stream, probe, start, stop, reading.columns), wanted)
                yield Piece(rows, start + 1, stop, stop, layout.begin + stop * a_row)


def _layout(stream, file):
    """What the header says, which is a Python literal; nothing is ever unpickled."""
    try:
        version = npy.read_magic(stream)
        length = int.from_bytes(stream.read(2 if version == (1, 0) else 4), "little")
        text = stream.read(length).decode("latin-1" if version < (3, 0) else "utf-8")
        header = ast.literal_eval(text)
        dtype, shape = npy.descr_to_dtype(header["descr"]), tuple(header["shape"])
        layout = Layout(stream.tell(), dtype, shape, bool(header["fortran_order"]) and len(shape) > 1)
        needed = layout.begin + dtype.itemsize * math.prod(shape)
    except (ValueError, SyntaxError, KeyError, TypeError) as error:
        raise InputError(
            f"{file.name!r} is not an .npy file, or is damaged ({error}). Write it again."
        ) from error
    if file.size < needed:
        raise InputError(
            f"{file.name!r} has {file.size:,} bytes, but its header promises {needed:,}: it was cut off. Copy or write it again."
        )
    return layout


def _rows(stream, probe, start, stop, columns):
    """Columns of the rows from `start` to `stop`, as they are in the file."""
    begin, dtype, shape, by_columns = probe.details
    n = stop - start
    if by_columns:
        numbers = [probe.schema.get_field_index(column) for column in columns]
        firsts = [begin + (number * shape[0] + start) * dtype.itemsize for number in numbers]
        values = np.stack([_read(stream, first, dtype, n) for first in firsts])
        return matrix_batch(values, part_of(probe.schema, columns))
    width = math.prod(shape[1:])
    values = _read(stream, begin + start * width * dtype.itemsize, dtype, n * width)
    return as_batch(values.reshape(n, *shape[1:]), probe.schema, columns)


def _read(stream, first, dtype, n):
    """So many values from a byte on; a file that was cut off meanwhile has fewer, which reshaping would tell badly."""
    data = stream.read_at(n * dtype.itemsize, first)
    if len(data) < n * dtype.itemsize:
        raise InputError("The file ended before its time. Start again when nothing writes to it any more.")
    return np.frombuffer(data, dtype)
