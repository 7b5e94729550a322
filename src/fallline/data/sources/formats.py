"""What a file format has to do, and nothing about any one of them: the contract between `JoinedSource` and the formats.

A format is asked in two rounds, because one schema has to hold for all files of a source before the first row is read::

    probe(file)                        each file: which columns, of which types, as far as a look at it tells
         │
         ▼  JoinedSource agrees on one schema: columns in the order of the first file, types wide enough for all;
            and on how dates are written
    sample(file, schema), pieces(reading)          rows under that schema
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa

from fallline.data.sources.base import Skipped
from fallline.data.sources.files import File
from fallline.data.sources.options import ReadOptions

__all__ = ["BATCH_BYTES", "FileFormat", "Piece", "Probe", "Reading", "rows_a_batch"]

BATCH_BYTES = 4 << 20
"""About how much data a batch holds."""

MOST_ROWS = 1 << 17
"""The most rows of a batch, however narrow: what else there is for each row has to stay small, too."""


class Probe(NamedTuple):
    """What a look at a file tells.

    Parameters
    ----------
    schema : Schema
        Its columns, in its own order. A column of which nothing but missing values were seen has type null.
    n_rows : int or None
        How many rows it has; None where only reading all of it would tell.
    sampled : int
        Rows that were looked at: 0 means that the file has none.
    details : object
        What the format wants to be told again when it reads the file, e.g. a delimiter. Small: there may be 100,000 files.
    notations : mapping of str to tuple of str
        How the dates and times of columns of text may be written, where not as in ISO 8601, and the numbers, where not in digits
        alone: all notations that fit, the likeliest first. When the file is read, the one agreed on for all files.
    decimal : str or None
        The decimal point of a table of text; None where nothing in it tells.
    certain : bool
        Whether it is no mere guess, which gives way to what other files tell.
    """

    schema: pa.Schema
    n_rows: int | None
    sampled: int
    details: Any = None
    notations: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    decimal: str | None = None
    certain: bool = False


class Piece(NamedTuple):
    """Some consecutive rows of a file.

    Parameters
    ----------
    rows : RecordBatch
        The columns asked for, in the order asked for, with the types of the agreed schema.
        May have no rows, to report skipped ones.
    first : int
        The number of its first row in the file, from 1.
    offset, row : int
        Where the next piece begins: what `FileFormat.pieces` takes to go on from there.
    done : int
        Bytes of the file read by the end of this piece.
    skipped : tuple of Skipped
        Rows left out of it.
    """

    rows: pa.RecordBatch
    first: int
    offset: int
    row: int
    done: int
    skipped: tuple[Skipped, ...] = ()


class Reading(NamedTuple):
    """What to read of a file, and how.

    Parameters
    ----------
    file : File
    probe : Probe
        What `probe` said about this file.
    schema : Schema
        The agreed one, of all columns.
    columns : sequence of str
        Those wanted, in the order wanted; never empty.
    options : ReadOptions
    offset, row : int
        Both 0 for the beginning, or those of a piece seen earlier; after those of the last piece nothing is left.
    in_flight : int
        Pieces that the format may have in memory beside those on their way, 1 or more.
    """

    file: File
    probe: Probe
    schema: pa.Schema
    columns: Sequence[str]
    options: ReadOptions
    offset: int
    row: int
    in_flight: int


class FileFormat(ABC):
    """A format of files that hold rows. Instances keep nothing: all a method needs comes as arguments.

    Methods may be called from several threads at once. They raise InputError, with file and row, for what cannot be read, and let
    an OSError of the world pass; that a file changes while it is read is for the caller to notice.

    Attributes
    ----------
    name : str
        As in `ReadOptions.format`.
    endings : tuple of str
        In lower case, with the dot.
    compressible : bool
        Whether an ending such as .gz may follow; `file.compression` then says which, and the format undoes it.
    guesses_types : bool
        Whether types are found by looking at values. A column in which none was seen may then hold any, as text.
    bytes_a_column : int
        Of memory that reading takes for each column, however few rows are read at a time.
    target : str or None
        The column to be predicted, in a format that says which one that is.
    """

    name: ClassVar[str]
    endings: ClassVar[tuple[str, ...]]
    compressible: ClassVar[bool] = False
    guesses_types: ClassVar[bool] = False
    bytes_a_column: ClassVar[int] = 0
    target: ClassVar[str | None] = None

    @abstractmethod
    def recognises(self, head: bytes) -> bool:
        """Whether a file of unknown ending that begins like this (up to 64 KiB, decompressed) is of this format."""

    @abstractmethod
    def probe(self, file: File, options: ReadOptions, rows: int) -> Probe:
        """Look at a file; where types have to be guessed, from about so many rows at several places."""

    @abstractmethod
    def sample(
        self, file: File, probe: Probe, schema: pa.Schema, options: ReadOptions, rows: int
    ) -> pa.Table:
        """About so many rows from several places of the file, all columns, under the agreed schema; always the same ones."""

    @abstractmethod
    def pieces(self, reading: Reading) -> Iterator[Piece]:
        """The rows of a file, in order, in pieces of about `BATCH_BYTES`.

        It is called on a thread of its own that works ahead of the consumer already; `reading.in_flight` is how many pieces
        the format may have in memory besides, should it work on several at once.
        """


def rows_a_batch(bytes_a_row: float) -> int:
    """How many rows make a batch of about `BATCH_BYTES`."""
    return max(1, min(MOST_ROWS, int(BATCH_BYTES / max(bytes_a_row, 1))))
