"""Data that are in memory already: arrays, sparse matrices, data frames and tables."""

from __future__ import annotations

import hashlib
import zlib
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping, Sequence
from itertools import chain, count
from typing import Any

import numpy as np
import pyarrow as pa

from fallline.data.arrays import as_array
from fallline.data.sources.agree import agreed_schema, part_of, plain_schema, under
from fallline.data.sources.base import Batch, Cursor, Source
from fallline.data.sources.formats import rows_a_batch
from fallline.data.sources.numpy_columns import array_schema, as_arrow, as_batch
from fallline.data.sources.sparse import FEATURES, as_maps
from fallline.errors import InputError

__all__ = ["Columns", "MemorySource", "checksum", "columns_of", "target_columns"]

SAMPLED_ROWS = 4_096
SAMPLED_PLACES = 4


class Columns(ABC):
    """Columns in memory, of which any stretch of rows can be had.

    Attributes
    ----------
    schema : Schema
    n_rows : int
    nbytes : int
    """

    schema: pa.Schema
    n_rows: int
    nbytes: int

    @abstractmethod
    def rows(self, start: int, stop: int, columns: Sequence[str]) -> pa.RecordBatch:
        """Some of the columns, in the order asked for, from row `start` to row `stop`."""


class TableColumns(Columns):
    """The columns of an Arrow table; nothing is copied save where chunks meet or a type has to give way."""

    def __init__(self, table: pa.Table, name: str = "your data"):
        self.schema = plain_schema(table.schema, name)
        self.n_rows = table.num_rows
        self.nbytes = table.nbytes
        self._table = table

    def rows(self, start: int, stop: int, columns: Sequence[str]) -> pa.RecordBatch:
        """A slice."""
        chunk = self._table.select(columns).slice(start, stop - start).combine_chunks()
        arrays = [
            column.chunk(0) if column.num_chunks else pa.nulls(0, column.type) for column in chunk.columns
        ]
        return under(pa.RecordBatch.from_arrays(arrays, names=list(columns)), part_of(self.schema, columns))


class ArrayColumns(Columns):
    """The columns of a NumPy array, a memory map or a masked array, turned over stretch by stretch."""

    def __init__(self, array: np.ndarray, name: str = "Your array"):
        self.schema = array_schema(array.dtype, array.shape, name)
        self.n_rows = len(array)
        self.nbytes = array.nbytes
        self._array = array

    def rows(self, start: int, stop: int, columns: Sequence[str]) -> pa.RecordBatch:
        """A copy: rows become columns."""
        return as_batch(self._array[start:stop], self.schema, columns)


class SparseColumn(Columns):
    """A SciPy sparse matrix as the one column `features`; the width is in the field's metadata, under "columns"."""

    def __init__(self, matrix: Any):
        rows = matrix.tocsr()
        if rows.ndim != 2 or rows.dtype.kind not in "biuf":
            raise InputError(
                f"The sparse matrix has shape {rows.shape} and dtype {rows.dtype}, but rows of numbers are wanted."
            )
        if rows.shape[1] > np.iinfo(np.int32).max:
            raise InputError(
                f"The sparse matrix has {rows.shape[1]:,} columns; up to 2,147,483,647 can be used."
            )
        if not rows.has_canonical_format:
            rows = rows.copy()
            rows.sum_duplicates()
        self.schema = pa.schema([FEATURES.with_metadata({"columns": str(rows.shape[1])})])
        self.n_rows = rows.shape[0]
        self.nbytes = rows.data.nbytes + rows.indices.nbytes + rows.indptr.nbytes
        self._matrix = rows

    def rows(self, start: int, stop: int, columns: Sequence[str]) -> pa.RecordBatch:
        """Views of the matrix."""
        maps = as_maps(self._matrix.indptr[start : stop + 1], self._matrix.indices, self._matrix.data)
        return pa.RecordBatch.from_arrays([maps], schema=self.schema)


class MemorySource(Source):
    """Columns in memory, side by side.

    Parameters
    ----------
    parts : sequence of Columns
        All with the same number of rows and different names.

    Raises
    ------
    InputError
        If there are no rows.
    """

    name = "your data"

    def __init__(self, *parts: Columns):
        self._parts = parts
        self._part_with = {column: part for part in parts for column in part.schema.names}
        self.schema = pa.schema([field for part in parts for field in part.schema])
        self.size = sum(part.nbytes for part in parts)
        self.n_rows: int = parts[0].n_rows
        if self.n_rows == 0:
            raise InputError("Your data have columns but no rows. Check how they were read or filtered.")
        self._step = rows_a_batch(self.size / self.n_rows)

    @property
    def fingerprint(self) -> str:
        """Of the schema and all values, read through once."""
        return checksum(self.schema, (batch.rows for batch in self.batches()))

    def batches(
        self, columns: Sequence[str] | None = None, start: Cursor = Cursor(), in_flight: int = 4
    ) -> Generator[Batch, None, None]:
        """Stretch after stretch; there is nothing to do ahead."""
        columns = self.schema.names if columns is None else list(columns)
        for begin in range(start.offset, self.n_rows, self._step):
            stop = min(begin + self._step, self.n_rows)
            done = self.size * stop // self.n_rows
            yield Batch(self._rows(begin, stop, columns), self.name, begin + 1, Cursor(0, stop, stop), done)

    def sample(self) -> pa.Table:
        """Rows at a few places."""
        n = min(SAMPLED_ROWS // SAMPLED_PLACES, -(-self.n_rows // SAMPLED_PLACES))
        places = sorted({int(place) for place in np.linspace(0, self.n_rows - n, SAMPLED_PLACES)})
        stops = [*places[1:], self.n_rows]
        batches = [
            self._rows(place, min(place + n, stop), self.schema.names)
            for place, stop in zip(places, stops, strict=True)
        ]
        return pa.Table.from_batches(batches, self.schema)

    def _rows(self, start, stop, columns):
        arrays: dict[str, pa.Array] = {}
        for part in self._parts:
            own = [column for column in columns if self._part_with[column] is part]
            if own:
                arrays.update(zip(own, part.rows(start, stop, own).columns, strict=True))
        return pa.RecordBatch.from_arrays(
            [arrays[column] for column in columns], schema=part_of(self.schema, columns)
        )


def checksum(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> str:
    """Hexadecimal digits that follow every value: a CRC a batch, at the speed of memory, and a proper hash of those."""
    total = hashlib.blake2b(schema.serialize(), digest_size=16)
    for batch in batches:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        total.update(zlib.crc32(sink.getvalue()).to_bytes(4, "little"))
    return total.hexdigest()


def columns_of(data: Any) -> Columns:
    """The columns of an array, a sparse matrix, a data frame, a table, a dictionary, or a list of rows or of tables.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if isinstance(data, np.ndarray) and data.dtype.kind != "O":
        return ArrayColumns(data)
    if hasattr(data, "tocsr"):
        return SparseColumn(data)
    table = _from_several(data) if isinstance(data, (list, tuple)) else _table(data)
    if table is not None:
        return TableColumns(table)
    if hasattr(data, "__array__") or isinstance(data, (list, tuple)):
        return _from_objects(as_array(data, "Your data"))
    raise InputError(
        f"Data of type {type(data).__name__} cannot be read. Give a path, a pattern, an array, a data frame, a table, "
        "a sparse matrix or a dictionary of columns"
        + ("; call collect() first." if hasattr(data, "collect") else ".")
    )


def target_columns(values: Any, others: Columns) -> Columns:
    """One value a row as the column "target", or another name where there is one of that name.

    Raises
    ------
    InputError
        If there are more or fewer values than rows.
    """
    column = as_column(values)
    if len(column) != others.n_rows:
        raise InputError(
            f"There are {others.n_rows:,} rows, but {len(column):,} values of the target. Give one a row."
        )
    names = chain(("target", "y"), (f"target_{number}" for number in count(1)))
    free = next(name for name in names if name not in others.schema.names)
    return TableColumns(pa.table({free: column}), "the target")


def _table(data):
    """An Arrow table that shares the memory of a data frame, where it can; None if it is none."""
    if isinstance(data, Mapping):
        return _from_mapping(data)
    if isinstance(data, pa.Table):
        return data
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return _from_pandas(data)
    try:
        if hasattr(data, "__arrow_c_stream__"):
            return pa.table(data)
        if hasattr(data, "__arrow_c_array__"):
            return pa.Table.from_batches([pa.record_batch(data)])
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(
            f"A {type(data).__name__} is no table ({error}). Give a data frame, or a dictionary of columns."
        ) from error
    return None


def _from_several(parts):
    """A table from a list of rows that are dictionaries, or of tables; None if it is neither."""
    if parts and all(isinstance(row, Mapping) for row in parts):
        return _from_records(parts)
    return _stacked(parts) if any(map(_is_table, parts)) else None


def _is_table(data):
    return isinstance(data, (pa.Table, pa.RecordBatch)) or hasattr(data, "columns")


def _stacked(parts):
    """Several tables as one, each below the other; their types meet as those of files do."""
    other = next((part for part in parts if not _is_table(part)), None)
    if other is not None:
        raise InputError(
            f"The list holds tables, but also a {type(other).__name__}. Give tables with the same columns only, or one table."
        )
    tables = [TableColumns(_table(part), f"table {number}") for number, part in enumerate(parts, 1)]
    schema = agreed_schema((f"table {number}", table.schema) for number, table in enumerate(tables, 1))
    batches = [under(table.rows(0, table.n_rows, schema.names), schema) for table in tables]
    return pa.Table.from_batches(batches, schema)


def _from_records(records):
    """Rows that are dictionaries; what one does not have is missing there."""
    names = dict.fromkeys(name for record in records for name in record)
    return _from_mapping({name: [record.get(name) for record in records] for name in names})


def _from_pandas(frame):
    try:
        return pa.Table.from_pandas(frame.set_axis(frame.columns.map(str), axis=1), preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError) as error:
        reason = " ".join(str(part) for part in error.args)
        raise InputError(
            f"The data frame cannot be used ({reason}). Give each column values of one type: numbers, texts or dates."
        ) from error


def _from_objects(array):
    """Python objects as columns, each with the type that its values have."""
    if array.dtype.kind != "O":
        return ArrayColumns(array)
    matrix = array.reshape(len(array), -1)
    return TableColumns(
        pa.table({f"x{number}": as_column(matrix[:, number]) for number in range(matrix.shape[1])})
    )


def _from_mapping(data):
    columns = {str(name): as_column(values) for name, values in data.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(
            f"The columns have different numbers of rows: {lengths}. Give as many values in each."
        )
    return pa.table(columns)


def as_column(values: Any) -> pa.Array | pa.ChunkedArray:
    """A column from an array, a series or a list.

    Raises
    ------
    InputError
        If it has several dimensions, or values that go together in no type.
    """
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim != 1:
            raise InputError(
                f"A column has shape {values.shape}, but one value a row is wanted. Give a 1D array."
            )
        return as_arrow(values, array_schema(values.dtype, values.shape, "A column").types[0])
    try:
        if hasattr(values, "__arrow_c_stream__"):
            return pa.chunked_array(values)
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(
            f"A column cannot be used ({error}). Give values of one type: numbers, texts or dates."
        ) from error
