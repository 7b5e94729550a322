"""What becomes of parsed chunks of text: pieces with row numbers, rows left out, errors that name the row."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.types as is_

from fallline.data.ahead import THREADS, mapped_ahead
from fallline.data.sources.base import Skipped
from fallline.data.sources.files import File
from fallline.data.sources.formats import Piece, Reading
from fallline.data.sources.numbers import example
from fallline.data.sources.options import ReadOptions
from fallline.data.sources.text import Chunk
from fallline.errors import InputError

__all__ = ["Parsed", "all_but", "first_error", "misfit", "not_utf8", "parsed_in_order", "remedy"]

_NOUNS = (
    (is_.is_integer, "a whole number"),
    (is_.is_floating, "a number"),
    (is_.is_boolean, "true or false"),
    (is_.is_date, "a date (YYYY-MM-DD)"),
    (is_.is_timestamp, "a date and time"),
    (is_.is_time, "a time of day"),
    (is_.is_null, "missing"),
)


class Parsed(NamedTuple):
    """A chunk and its rows.

    Parameters
    ----------
    chunk : Chunk
    rows : RecordBatch
        Those that can be read.
    records : int
        How many rows there are, bad ones included.
    bad : dict
        Why rows cannot be read, by their numbers in the chunk, from 0, in ascending order.
    """

    chunk: Chunk
    rows: pa.RecordBatch
    records: int
    bad: dict[int, str]


def parsed_in_order(
    reading: Reading, stretches: Iterable[Chunk], parse: Callable[[Chunk], Parsed]
) -> Iterator[Piece]:
    """The pieces that stretches of a text are parsed to, on several threads.

    Raises
    ------
    InputError
        At the first row that cannot be read, unless such rows are to be skipped, and where nothing more can be read in any case.
    """
    file, row, skip = reading.file, reading.row, reading.options.on_error == "skip"
    threads = min(THREADS, reading.in_flight)
    with closing(mapped_ahead(parse, stretches, threads, reading.in_flight)) as parsed:
        for chunk, rows, records, bad in parsed:
            if bad and (chunk.fatal or not skip):
                raise first_error(file, row, bad)
            skipped = tuple(Skipped(file.name, row + number + 1, reason) for number, reason in bad.items())
            yield Piece(rows, row + 1, chunk.after, row + records, chunk.done, skipped)
            row += records


def first_error(file: File, before: int, bad: Mapping[int, str]) -> InputError:
    """What is wrong with the first bad row of a chunk, which so many rows come before."""
    number, reason = next(iter(bad.items()))
    return InputError(f"{file.name!r}, row {before + number + 1:,}: {reason}. {remedy(reason)}")


def all_but(rows: Collection[int], n: int) -> np.ndarray:
    """A mask of `n` rows without these."""
    kept = np.ones(n, bool)
    kept[list(rows)] = False
    return kept


def misfit(field: pa.Field, value: str, notations: Sequence[str], options: ReadOptions) -> str:
    """What to say of a value that is none of the column's type, or is not written as the others are."""
    noun = next((noun for fits, noun in _NOUNS if fits(field.type)), f"of type {field.type}")
    written = f" written as {example(notations[0]) or notations[0]!r}" if notations else ""
    known = any(field.name == column.name for column in options.known)
    where = _IN_TRAINING if known else _IN_THE_SAMPLE
    return f"column {field.name!r}: {value.strip()[:80]!r} is not {noun}{written}, as {where}"


def not_utf8(error: UnicodeDecodeError) -> str:
    """What to say of a line that is not UTF-8."""
    return f"the byte 0x{error.object[error.start]:02x} at character {error.start + 1:,} is not UTF-8"


_IN_THE_SAMPLE, _IN_TRAINING = "in the rows sampled", "in the rows that the model was trained on"


def remedy(reason: str) -> str:
    """What to do about a row that cannot be read."""
    for word, advice in _REMEDIES:
        if word in reason:
            return advice
    return "Correct the row, or leave such rows out (--on-error skip)."


_REMEDIES = (
    (
        _IN_THE_SAMPLE,
        "Correct it, read the column as text (--categorical), leave it out (--ignore), or leave out such rows (--on-error skip).",
    ),
    (
        "a quote opens",
        "Close it, read quotes as characters like any other (--no-quotes), or leave out such rows (--on-error skip).",
    ),
    (_IN_TRAINING, "Write it as there, or leave out such rows (--on-error skip)."),
    ("the compressed data", "Copy or download the file again."),
    (
        "is not UTF-8",
        "Give the encoding that the file has, such as --encoding latin-1, or leave out such rows (--on-error skip).",
    ),
    ("the text here", "Give the encoding that the file has, such as --encoding latin-1."),
)
