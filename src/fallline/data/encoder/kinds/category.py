"""Categories: one feature for each frequent value, buckets for the others.

Every value that is frequent enough has a feature of its own. What becomes of the others depends on how many they are:

- If there are no more distinct values than may have features, rare ones share one: an effect estimated from a handful of
  rows is mostly noise. How many rows a value needs is a thousandth of all, but never more than 10 or fewer than 2.
- If there are more, the others are hashed into buckets: a power of two, about as many as there are values left, at most
  2**12. Values share a bucket by chance, but most buckets hold mostly one value (Weinberger, Dasgupta, Langford, Smola
  and Attenberg, Feature hashing for large scale multitask learning, 2009).

A value that the pass has not seen goes where the rare ones are: into their feature or a bucket; where there are none of
either, no feature is 1. Missing values have a feature if the pass saw any; otherwise, again, no feature is 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.types as is_

from fallline.data.encoder.arrow import as_strings, bytes_of, is_text, missing, positions_in
from fallline.data.encoder.kinds.base import (
    Column,
    Encoded,
    Found,
    Kind,
    Observed,
    Option,
    whole_number,
    yes_or_no,
)
from fallline.data.encoder.kinds.boolean import without_variation
from fallline.data.encoder.statistics import Counts
from fallline.kernels.hashing import hash_strings
from fallline.names import listed

__all__ = ["Category", "CategoryColumn"]

_MOST_BUCKETS, _FEWEST_BUCKETS = 2**12, 2**4
# Fewer rows are too few to say that a column's values hardly ever come twice.
_FEW_ROWS = 50
# So many numbers, and so few other values, are no categories by intention.
_MANY_NUMBERS, _FEW_MARKS = 20, 3
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class CategoryColumn(Column):
    """A column with features for some of its values.

    Parameters
    ----------
    name : str
    values : list of str
        Those with features of their own, the most frequent first.
    rare : bool
        Whether all others share one feature.
    buckets : int
        Features that all others are hashed into; 0 for none.
    flag : bool
        Whether missing ones have a feature.
    set_share : float
        The share of rows of the pass with a feature that is 1.
    """

    name: str
    values: list[str]
    rare: bool
    buckets: int
    flag: bool
    set_share: float

    @property
    def becomes(self) -> str:
        """See `Column`."""
        parts = [f"one-hot of {len(self.values):,} values"]
        parts += ["the rare ones together"] * self.rare + ["missing ones"] * self.flag
        parts += [f"others hashed into {self.buckets:,}"] * (self.buckets > 0)
        return ", ".join(parts)

    @property
    def groups(self) -> Sequence[Sequence[str]]:
        """See `Column`."""
        names = [f"{self.name}={value}" for value in self.values]
        names += [f"{self.name} (rare)"] * self.rare + [f"{self.name} (missing)"] * self.flag
        return [names + [f"{self.name} #{bucket}" for bucket in range(self.buckets)]]

    @property
    def share(self) -> Sequence[float]:
        """See `Column`."""
        return [self.set_share]

    @cached_property
    def _vocabulary(self):
        return pa.array(self.values, pa.large_string())

    def encode(self, array: pa.Array) -> Encoded:
        """See `Column`."""
        codes = positions_in(array, self._vocabulary)
        other = np.flatnonzero(codes < 0)
        if len(other):
            codes = codes.copy()
            codes[other] = self._codes_of_others(array.take(pa.array(other)))
        return Encoded(codes=[codes])

    def strangers(self, array: pa.Array) -> tuple[list[str], list[str]] | None:
        """See `Column`. Of a few rows, or where most values have no feature of their own, it means nothing."""
        there = array.filter(pa.array(~missing(array)))
        if self.buckets or len(there) < _FEW_ROWS or (positions_in(there, self._vocabulary) >= 0).any():
            return None
        return as_strings(there).unique().to_pylist(), self.values

    def _codes_of_others(self, array):
        """For values without a feature of their own."""
        known = len(self.values)
        absent = missing(array)
        if self.buckets:
            texts = as_strings(array)
            hashes = np.empty(len(texts), np.uint32)
            hash_strings(prefix_of(self.name), *bytes_of(texts), hashes)
            codes = (hashes % np.uint32(self.buckets)).astype(np.int32) + np.int32(known + self.flag)
        else:
            codes = np.full(len(array), known if self.rare else -1, np.int32)
        codes[absent] = known + self.rare if self.flag else -1
        return codes


def prefix_of(name: str) -> np.ndarray:
    """The bytes before each value or word that is hashed, so that columns do not share their features."""
    return np.frombuffer(f"{name}=".encode(), np.uint8)


class Category(Kind):
    """Text, or values of other types that stand for themselves and not for an amount."""

    name = "category"
    column = CategoryColumn
    options: ClassVar[Mapping[str, Option]] = {
        "most_values": Option(2**15, whole_number(1, 2**15)),
        "rare_below": Option(None, whole_number(1, 2**31, automatic=True)),
        "buckets": Option(None, whole_number(0, 2**24, automatic=True)),
        "drop_if_unique": Option(default=True, check=yes_or_no),
    }

    def accepts(self, type_: pa.DataType) -> bool:
        """See `Kind`."""
        if is_.is_dictionary(type_):
            type_ = type_.value_type
        plain = is_.is_primitive(type_) and not is_.is_interval(type_)
        return plain or is_text(type_) or is_.is_decimal(type_) or is_.is_null(type_)

    def observe(self, array: pa.Array, options: Mapping[str, Any]) -> Observed:  # noqa: ARG002
        """See `Kind`."""
        return Observed(statistics=[Counts.of(array)])

    def fit(self, name: str, found: Found, options: Mapping[str, Any]) -> Column | None:
        """See `Kind`."""
        counts: Counts = found.statistics[0]
        distinct = counts.distinct()
        if options["drop_if_unique"] and counts.total >= _FEW_ROWS and 2 * distinct > counts.total:
            found.warn.append(_nearly_unique(name, distinct, counts))
            return None
        values, often = counts.most_common()
        if options["drop_if_unique"]:
            found.warn.extend(_numbers_but_for(name, values))
        if distinct < 2:
            return without_variation(name, found, repr(values[0]) if values else "")
        enough = options["rare_below"] or min(10, max(2, found.rows // 1000))
        own = min(int((often >= enough).sum()), options["most_values"])
        buckets = self._buckets(distinct, distinct - own, options)
        rare = own < distinct and not buckets
        covered = counts.total if rare or buckets else int(often[:own].sum())
        set_share = (covered + found.missing) / found.rows
        return CategoryColumn(name, values[:own], rare, buckets, found.missing > 0, set_share)

    @staticmethod
    def _buckets(distinct, others, options):
        """How many buckets there are for the values without features of their own."""
        if options["buckets"] is not None:
            return options["buckets"] if others else 0
        if distinct <= options["most_values"]:
            return 0
        return min(max(1 << (others - 1).bit_length(), _FEWEST_BUCKETS), _MOST_BUCKETS)


def _numbers_but_for(name, values):
    """A sentence in a list, if all values but a few look like numbers: the few may be marks for missing ones."""
    others = [value for value in values if not _NUMBER.fullmatch(value)]
    if not others or len(others) > _FEW_MARKS or len(values) < _MANY_NUMBERS:
        return []
    found = f"Column {name!r} holds numbers but for {listed(others)}, and was taken as categories."
    return [f"{found} If that means a missing value, say so (--missing {others[0]!r})."]


def _nearly_unique(name, distinct, counts):
    about = "" if counts.exact() else "about "
    return (
        f"Column {name!r} has {about}{distinct:,} distinct values in {counts.total:,} rows, so hardly any is met again, and was "
        "left out. If they are categories nevertheless, name it in categorical; if they are sentences, in text."
    )
