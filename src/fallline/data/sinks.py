"""Sinks: where predictions are written to, a row in the table a format.

A sink is opened on a binary file and a schema, takes record batches, and is closed.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
from pyarrow import types

from fallline.errors import ParameterError
from fallline.files import written_whole

__all__ = ["SINKS", "writing"]


def _parquet(file: BinaryIO, schema: pa.Schema) -> Any:
    from pyarrow import parquet

    return parquet.ParquetWriter(file, schema)


def _csv(file: BinaryIO, schema: pa.Schema, delimiter: str = ",") -> Any:
    from pyarrow import csv

    _require_text(schema)
    return csv.CSVWriter(file, schema, write_options=csv.WriteOptions(delimiter=delimiter))


def _tsv(file: BinaryIO, schema: pa.Schema) -> Any:
    return _csv(file, schema, "\t")


class _JsonLines:
    """One JSON object a line."""

    def __init__(self, file: BinaryIO, schema: pa.Schema):
        _require_text(schema, nested=True)
        self._file = file

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def write_batch(self, batch):
        for row in batch.to_pylist():
            self._file.write(json.dumps(_plain(row), default=str, ensure_ascii=False).encode() + b"\n")


def _require_text(schema, nested=False):
    """Raise `ParameterError` for columns that a format of text does not hold."""
    for column in schema:
        type_ = column.type
        binary = types.is_binary(type_) or types.is_large_binary(type_) or types.is_fixed_size_binary(type_)
        if binary or (types.is_nested(type_) and not nested):
            raise ParameterError(
                f"The column {column.name!r} holds {type_}, which a file of text does not. Do not keep it, or write Parquet."
            )


def _plain(row):
    """The row without numbers that JSON does not have."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }


SINKS = {
    ".parquet": _parquet,
    ".pq": _parquet,
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": _JsonLines,
    ".ndjson": _JsonLines,
}


@contextmanager
def writing(path: str | os.PathLike, schema: pa.Schema) -> Iterator[Any]:
    """Open a sink by the file's ending; the file appears when all of it is written, or not at all."""
    with written_whole(path) as file, SINKS[Path(path).suffix.lower()](file, schema) as sink:
        yield sink
