"""Sources: where rows come from, a page a format.

::

    open_source(data)
      ├── paths, patterns, folders ── find.py ──▶ files.py ──▶ one format for all ──▶ joined.py
      │        formats.py says what a format does;  parquet.py  arrow_ipc.py  npy.py  csv.py  json_lines.py  libsvm.py do it
      └── what is in memory ──▶ memory.py: tables, arrays, sparse matrices;  streams.py: results of queries
"""

from __future__ import annotations

import os
from typing import Any

from fallline.data.sources.base import Source
from fallline.data.sources.detect import FORMATS, one_format
from fallline.data.sources.find import find_files
from fallline.data.sources.joined import JoinedSource
from fallline.data.sources.memory import MemorySource, columns_of, target_columns
from fallline.data.sources.options import ReadOptions
from fallline.data.sources.streams import StreamSource, is_stream
from fallline.errors import InputError

__all__ = ["FORMATS", "ReadOptions", "open_source"]


def open_source(data: Any, *, target_values: Any = None, options: ReadOptions = ReadOptions()) -> Source:
    """The rows of whatever users pass as data.

    Parameters
    ----------
    data : path, pattern, folder or list of them, array, sparse matrix, data frame, table, or anything with an Arrow C stream
        Paths may begin with s3:// or gs://.
    target_values : array-like of shape (n,), optional
        One value a row, for data in memory; the column is called "target", or "y" if there is one of that name.
    options : ReadOptions
        How to read files.

    Raises
    ------
    InputError
        If there is nothing to read, or it cannot be read.
    ParameterError
        If an option has no meaning.
    """
    if _is_place(data):
        if target_values is not None:
            raise InputError(
                "The rows are in files, the target is not. Name the column of the files that is to be predicted."
            )
        return _open_files(data, options.checked())
    if is_stream(data):
        if target_values is not None:
            raise InputError(
                f"The target is apart from the rows, a {type(data).__name__}. Make it one of their columns, and name that."
            )
        return StreamSource(data)
    columns = columns_of(data)
    if target_values is None:
        return MemorySource(columns)
    return MemorySource(columns, target_columns(target_values, columns))


def _is_place(data):
    if isinstance(data, (list, tuple)):
        return all(isinstance(place, (str, os.PathLike)) for place in data)
    return isinstance(data, (str, os.PathLike))


def _open_files(places, options):
    several = isinstance(places, (list, tuple))
    places = [os.fspath(place) for place in places] if several else os.fspath(places)
    files, file_format = one_format(find_files(places, options.keys), options)
    name = (
        f"{places[0]} and {len(places) - 1} more"
        if several and len(places) > 1
        else places[0]
        if several
        else places
    )
    return JoinedSource(name, files, file_format, options)
