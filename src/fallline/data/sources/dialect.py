"""How a file of delimited text is written: what lies between fields, what ends lines, whether columns are named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import csv

from fallline.kernels.text import NO_QUOTE, cut, split, squeeze

__all__ = [
    "Dialect",
    "Records",
    "as_bytes",
    "cut_records",
    "ends_with_delimiter",
    "find_records",
    "guess_delimiter",
    "split_fields",
    "texts",
]

# Tried in this order; the first that splits every line alike is it.
_DELIMITERS = ("\t", ";", "|", ",")
_QUOTE = ord('"')


class Dialect(NamedTuple):
    """How the text of a file is to be read.

    Parameters
    ----------
    encoding : str or None
        As `find_encoding` says it.
    begin : int
        Where the first row begins, in bytes of UTF-8.
    delimiter : str
    quotes : bool
        Whether a field may be quoted.
    runs : bool
        Whether any number of blanks is one delimiter.
    end : int
        The byte that ends lines.
    trim : bool
        Whether text has blanks around it that do not belong to it.
    dashes : bool
        Whether numbers and dates are missing in more ways than text is: a dash, a dot.
    decimal : str
        The decimal point.
    size : int
        Bytes of text that make a batch.
    beyond : tuple of str
        A name for what comes after the last delimiter, where rows end with one that the header does not have: nothing.
    """

    encoding: str | None = None
    begin: int = 0
    delimiter: str = ","
    quotes: bool = True
    runs: bool = False
    end: int = ord("\n")
    trim: bool = False
    dashes: bool = False
    decimal: str = "."
    size: int = 0
    beyond: tuple[str, ...] = ()

    @property
    def quote(self) -> int:
        """The byte that quotes fields."""
        return _QUOTE if self.quotes else NO_QUOTE


class Records(NamedTuple):
    """The records of a stretch of text.

    Parameters
    ----------
    data : ndarray of uint8
    starts, stops : ndarray of int64
        Where they begin and end.
    fields : ndarray of int32
        How many fields each has.
    """

    data: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    fields: np.ndarray

    def take(self, which: np.ndarray) -> Records:
        """Those records only."""
        return Records(self.data, self.starts[which], self.stops[which], self.fields[which])

    def lines(self) -> list[bytes]:
        """Each record's bytes."""
        whole = self.data.tobytes()
        return [whole[a:b] for a, b in zip(self.starts.tolist(), self.stops.tolist(), strict=True)]


def as_bytes(data: bytes | memoryview | pa.Buffer) -> np.ndarray:
    """The bytes as an array that cannot be written to; nothing is copied."""
    array = np.frombuffer(data, np.uint8)
    array.flags.writeable = False
    return array


def cut_records(dialect: Dialect, data: memoryview) -> tuple[int, int]:
    """Where the last complete record ends, and where a quote is open: a `text.Cutter`."""
    delimiter = ord(" ") if dialect.runs else ord(dialect.delimiter)
    after, opened = cut(as_bytes(data), delimiter, dialect.quote, dialect.end)
    return int(after), int(opened)


def find_records(dialect: Dialect, data: bytes | memoryview, columns: int) -> Records:
    """The records of text that begins with one. A table of one column may have rows of nothing but blanks."""
    array = as_bytes(squeezed(dialect, data))
    most = int(np.count_nonzero((array == 10) | (array == 13))) + 1
    starts, stops, fields = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int32)
    n = split(array, ord(dialect.delimiter), dialect.quote, columns == 1, starts, stops, fields)
    return Records(array, starts[:n].copy(), stops[:n].copy(), fields[:n].copy())


def squeezed(dialect: Dialect, data: bytes | memoryview) -> bytes | memoryview:
    """The text with one delimiter between fields."""
    if not dialect.runs:
        return data
    array = as_bytes(data)
    out = np.empty(array.size, np.uint8)
    return memoryview(out[: squeeze(array, dialect.quote, out)].data)


def texts(dialect: Dialect, records: Records, names: Sequence[str], include: Sequence[str]) -> pa.RecordBatch:
    """Columns of records, which have one field a name and are valid UTF-8, as the text that they are."""
    if not len(records.starts) or not include:
        return pa.RecordBatch.from_arrays(
            [pa.array([], pa.string())] * len(include),
            schema=pa.schema([(name, pa.string()) for name in include]),
        )
    data = b"\n".join(records.lines())
    table = csv.read_csv(
        pa.BufferReader(data),
        read_options=csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
        parse_options=parse_options(dialect),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(include, pa.string()),
            include_columns=include,
            strings_can_be_null=False,
        ),
    )
    return table.combine_chunks().to_batches()[0]


def parse_options(dialect: Dialect) -> csv.ParseOptions:
    """The dialect in Arrow's words."""
    return csv.ParseOptions(
        delimiter=dialect.delimiter, quote_char='"' if dialect.quotes else False, newlines_in_values=True
    )


def ends_with_delimiter(dialect: Dialect, records: Records) -> np.ndarray:
    """Which records have nothing in their last field, of several."""
    return records.data[records.stops - 1] == ord(dialect.delimiter)


def split_fields(dialect: Dialect, records: Records, number: int) -> list[str]:
    """The fields of one of the records, however many it has."""
    names = [str(column) for column in range(int(records.fields[number]))]
    row = texts(dialect, records.take(np.array([number])), names, names)
    return [column[0].as_py() for column in row.columns]


def guess_delimiter(dialect: Dialect, head: bytes, given: str | None) -> Dialect:
    """The dialect with what lies between the fields of `head`, whole records from the beginning of the text.

    It is the one that splits all lines into the same number of fields, or most of them. Blanks are considered last, for they are
    in most texts.
    """
    if given is not None:
        return dialect._replace(delimiter=given)
    marks = [dialect._replace(delimiter=delimiter) for delimiter in _DELIMITERS]
    blanks = [dialect._replace(delimiter=" "), dialect._replace(delimiter=" ", runs=True)]
    return _best(marks, head) or _best(blanks, head) or dialect


def _best(candidates, head):
    shares = [_share_alike(candidate, head) for candidate in candidates]
    for wanted in (1.0, 0.9, 0.5):
        for candidate, share in zip(candidates, shares, strict=True):
            if share >= wanted:
                return candidate
    return None


def _share_alike(dialect, head):
    """The share of lines that have the most frequent number of fields, if that is 2 or more."""
    fields = find_records(dialect, head, 2).fields[:1000]
    if not len(fields):
        return 0.0
    counts = np.bincount(fields)
    # A few lines before the table do not count against it.
    return counts.max() / len(fields) if counts.argmax() > 1 else 0.0
