"""Arrays as columns: which ones an array has, and a stretch of its rows as an Arrow batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from fallline.errors import InputError, NotNumbersError

__all__ = ["array_schema", "as_arrow", "as_batch", "matrix_batch"]


def array_schema(dtype: np.dtype, shape: tuple[int, ...], name: str) -> pa.Schema:
    """The columns of an array: x0, x1, ... of numbers in one or two dimensions, or the fields of records in one.

    Raises
    ------
    InputError
        If it has other dimensions, or values that are no columns: Python objects, complex numbers, arrays within records.
    """
    if dtype.names is not None and len(shape) == 1:
        return pa.schema(
            [(field, _arrow_type(dtype[field], f"{name}, field {field!r},")) for field in dtype.names]
        )
    if dtype.names is not None or len(shape) not in {1, 2}:
        raise InputError(
            f"{name} has shape {tuple(shape)} and dtype {dtype}, but rows and columns are wanted. Give an array of one or two "
            "dimensions, or records in one."
        )
    columns = shape[1] if len(shape) == 2 else 1
    if columns == 0:
        raise InputError(f"{name} has shape {tuple(shape)}: no columns. Check how it was made.")
    type_ = _arrow_type(dtype, name)
    return pa.schema([(f"x{number}", type_) for number in range(columns)])


def as_batch(rows: np.ndarray, schema: pa.Schema, columns: Sequence[str]) -> pa.RecordBatch:
    """Some columns of a stretch of rows, under the part of `array_schema` for them."""
    if rows.dtype.names is not None:
        wanted = [schema.field(column) for column in columns]
        arrays = [as_arrow(rows[field.name], field.type) for field in wanted]
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(wanted))
    numbers = [schema.get_field_index(column) for column in columns]
    matrix = rows.reshape(len(rows), -1)
    if numbers != list(range(matrix.shape[1])):
        matrix = matrix[:, numbers]
    return matrix_batch(matrix.T, pa.schema([schema.field(number) for number in numbers]))


def matrix_batch(values: np.ndarray, schema: pa.Schema) -> pa.RecordBatch:
    """A batch from an array of shape (columns, rows); turned over as a whole, which is faster than column by column."""
    values = values if isinstance(values, np.ma.MaskedArray) else np.ascontiguousarray(values)
    arrays = [as_arrow(column, type_) for column, type_ in zip(values, schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def as_arrow(values: np.ndarray, type_: pa.DataType) -> pa.Array:
    """The values of one column; masked ones and NaT are null, NaN stays what it is."""
    mask = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    values = np.ma.getdata(values)
    if values.dtype.kind == "S":
        # Bytes are texts here, padded with zeros that NumPy cuts off; text that is not UTF-8 is an error.
        return pa.array(values, pa.binary(), mask=mask).cast(type_)
    native = values if values.dtype.kind == "U" else values.astype(type_.to_pandas_dtype(), copy=False)
    if native.dtype.kind in "Mm":
        native = values.astype(_with_unit(values.dtype), copy=False)
    return pa.array(native, type_, mask=mask)


def _arrow_type(dtype, name):
    """The Arrow type for the values of a NumPy type."""
    if dtype.kind in "US":
        return pa.string()
    if dtype.kind == "c":
        raise InputError(
            f"{name} holds complex numbers. Give real ones, such as their real and imaginary parts."
        )
    if dtype.kind not in "biufMm":
        raise NotNumbersError(
            f"{name} has dtype {dtype}, which is no column of numbers, text or dates. Convert it, or give a data frame."
        )
    if dtype.kind == "f":
        return pa.float32() if dtype.itemsize <= 4 else pa.float64()
    if dtype.kind in "Mm":
        return pa.from_numpy_dtype(_with_unit(dtype))
    return pa.from_numpy_dtype(dtype.newbyteorder("="))


def _with_unit(dtype):
    """A type of dates or durations with a unit that Arrow has, too."""
    unit = np.datetime_data(dtype)[0]
    known = {"s", "ms", "us", "ns"} | ({"D"} if dtype.kind == "M" else set())
    return np.dtype(
        f"{dtype.kind}8[{unit if unit in known else 'us' if unit in {'ps', 'fs', 'as'} else 's'}]"
    )
