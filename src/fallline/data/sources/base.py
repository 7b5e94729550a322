"""What every source of rows is: a resumable stream of Arrow record batches under one fixed schema."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from typing import NamedTuple

import pyarrow as pa

__all__ = ["Batch", "Cursor", "Skipped", "Source"]


class Cursor(NamedTuple):
    """Where a stream stands: plain numbers, to be kept and come back to.

    Parameters
    ----------
    part : int
        Which part of the source: a file, or a row group of one.
    offset : int
        Where in that part, in the source's own unit: bytes, rows or batches.
    row : int
        Rows of the part's file that come before, bad ones included.
    """

    part: int = 0
    offset: int = 0
    row: int = 0


class Skipped(NamedTuple):
    """A row that could not be read and was left out, as asked for; or several that follow each other.

    Parameters
    ----------
    file : str
        Where it is.
    row : int
        Its number in that file, or that of the first, from 1; a header does not count.
    reason : str
        What is wrong with it, in a few words.
    rows : int
        How many they are.
    """

    file: str
    row: int
    reason: str
    rows: int = 1


class Batch(NamedTuple):
    """Some consecutive rows of a source.

    Parameters
    ----------
    rows : RecordBatch
        Under the source's schema, or the part of it that was asked for, in the order asked for.
    file : str
        Where they come from, for messages.
    first : int
        The number in that file of the first row, from 1; a header does not count.
    cursor : Cursor
        Where the next batch begins.
    done : int
        How much of `Source.size` has been read by the end of this batch.
    skipped : tuple of Skipped
        Rows left out of this batch.
    """

    rows: pa.RecordBatch
    file: str
    first: int
    cursor: Cursor
    done: int
    skipped: tuple[Skipped, ...] = ()


class Source(ABC):
    """Rows under one schema, read in order, as often as wanted, within bounded memory.

    Where batches begin and end depends on the data and the format only: not on threads, memory or where reading began.

    Attributes
    ----------
    name : str
        What to call it in messages: a path, a pattern, or "your data".
    schema : Schema
        One for all parts, known before the first row is read.
    size : int
        Bytes to read, by which progress is told.
    n_rows : int or None
        How many rows there are; None where only reading all of it would tell.
    bytes_a_column : int
        Of memory that reading takes for each column that is asked for, whatever `in_flight`.
    places_for_names : bool
        Whether its columns are called x0, x1 and so on because a file of text was taken for one without a header.
    target : str or None
        The column to be predicted, where the format says which one that is.
    decimal : str or None
        The decimal point of its tables of text, where they tell.
    """

    name: str
    schema: pa.Schema
    size: int
    n_rows: int | None = None
    bytes_a_column: int = 0
    places_for_names: bool = False
    target: str | None = None
    decimal: str | None = None

    @property
    def notations(self) -> dict[str, str]:
        """How the dates and times of each column of text are written, where that had to be found out."""
        return {}

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Hexadecimal digits that change when the data or the way to read them change."""

    @abstractmethod
    def batches(
        self, columns: Sequence[str] | None = None, start: Cursor = Cursor(), in_flight: int = 4
    ) -> Generator[Batch, None, None]:
        """The rows from `start` on, in order. Close it where it may be left unfinished: see `mapped_ahead`.

        Parameters
        ----------
        columns : sequence of str, optional
            Which columns; by default all.
        start : Cursor
            That of a batch seen earlier; by default the beginning.
        in_flight : int
            Batches that may be in memory at once, decoded ahead or being decoded; changes speed and memory only.

        Raises
        ------
        InputError
            For what cannot be read, with file and row.
        """

    def require_unchanged(self) -> None:
        """Raise `InputError` if the rows are not those any more that were found. In memory, they always are."""
        return

    @abstractmethod
    def sample(self) -> pa.Table:
        """A few thousand rows from several places and files, under `schema`; always the same ones."""
