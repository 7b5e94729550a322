"""Text: its words and pairs of neighbouring words, hashed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_

from fallline.data.encoder.arrow import as_strings, bytes_of, is_text
from fallline.data.encoder.kinds.base import (
    Column,
    Encoded,
    Found,
    Kind,
    ListOf,
    Observed,
    Option,
    whole_number,
)
from fallline.data.encoder.kinds.boolean import FlagColumn
from fallline.data.encoder.kinds.category import prefix_of
from fallline.data.encoder.statistics import Average
from fallline.kernels.hashing import hash_words

__all__ = ["Text", "TextColumn"]

# Rows of a batch whose words are counted in the pass, to know how long rows will be.
_LOOKED_AT = 64


@dataclass(frozen=True)
class TextColumn(Column):
    """A column of sentences.

    Parameters
    ----------
    name : str
    words : int
        Longest run of neighbouring words that is a feature.
    buckets : int
        Features that they are hashed into.
    entries : float
        Features a row, on average.
    flag : bool
        Whether texts were missing in the pass; those that are have no words.
    missing_share : float
    """

    name: str
    words: int
    buckets: int
    entries: float
    flag: bool
    missing_share: float

    @property
    def becomes(self) -> str:
        """See `Column`."""
        runs = "words" if self.words == 1 else f"runs of up to {self.words} words"
        return f"{runs}, hashed into {self.buckets:,}"

    @property
    def groups(self) -> Sequence[Sequence[str]]:
        """See `Column`."""
        return FlagColumn(self.name, self.missing_share).groups if self.flag else []

    @property
    def share(self) -> Sequence[float]:
        """See `Column`."""
        return [self.missing_share] * self.flag

    @property
    def lists(self) -> Sequence[ListOf]:
        """See `Column`."""
        return [ListOf(self.buckets, self.entries, f"{self.name} #{{}}")]

    def encode(self, array: pa.Array) -> Encoded:
        """See `Column`."""
        codes = FlagColumn(self.name, self.missing_share).encode(array).codes if self.flag else []
        return Encoded(codes=codes, lists=[_hashed(self.name, array, self.words, self.buckets)])


def _hashed(name, array, words, buckets):
    """Each row's words, in lower case, as CSR."""
    offsets, data = bytes_of(pc.utf8_lower(pc.fill_null(as_strings(array), "")))
    indptr = np.empty(len(array) + 1, np.int64)
    room = words * int(offsets[-1] - offsets[0])
    indices, values = np.empty(room, np.int32), np.empty(room, np.float32)
    hash_words(prefix_of(name), offsets, data, words, buckets, indptr, indices, values)
    return indptr, indices[: indptr[-1]], values[: indptr[-1]]


class Text(Kind):
    """Sentences, on request only: columns of text are taken for categories otherwise."""

    name = "text"
    column = TextColumn
    options: ClassVar[Mapping[str, Option]] = {
        "words": Option(2, whole_number(1, 5)),
        "buckets": Option(2**16, whole_number(2, 2**26)),
    }

    def accepts(self, type_: pa.DataType) -> bool:
        """See `Kind`."""
        return is_text(type_) or is_.is_null(type_)

    def observe(self, array: pa.Array, options: Mapping[str, Any]) -> Observed:
        """See `Kind`."""
        indptr, _, _ = _hashed("", array[:_LOOKED_AT], options["words"], options["buckets"])
        return Observed(statistics=[Average(int(indptr[-1]), len(indptr) - 1)])

    def fit(self, name: str, found: Found, options: Mapping[str, Any]) -> Column | None:
        """See `Kind`."""
        entries = found.statistics[0].value()
        if entries == 0:
            found.warn.append(f"Column {name!r} holds no words and was left out.")
            return None
        share = found.missing / found.rows
        return TextColumn(name, options["words"], options["buckets"], entries, share > 0, share)
