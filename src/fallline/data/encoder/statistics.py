"""What one pass finds out about columns. Each statistic is taken of a batch alone, and merges with that of the batches before.

=============  ====================================================================================
`Moments`      of columns of numbers: count, mean, squared deviations, lowest and highest
`Counts`       how often each value occurs: exactly for few values, the frequent ones for many
`Distinct`     how many distinct values there are, about
`RowSample`    the numbers of some rows, the same ones however the rows are cut: quantiles
`Largest`      the largest magnitude in each column of a sparse matrix, and how many entries it has
`Average`      an amount a row
=============  ====================================================================================

Merging in the order of the rows gives the same bits whatever the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_

from fallline.data.encoder.arrow import NumberColumns, as_strings, bytes_of
from fallline.kernels.encode import moments, pick, raise_to
from fallline.kernels.hashing import hash_strings

__all__ = ["Average", "Counts", "Distinct", "Largest", "Moments", "RowSample", "Statistic"]

# Distinct values of a column that are counted; beyond, counts may fall short by one in so many rows.
CAPACITY = 2**15
# Smallest hashes that are kept: the estimate of how many values there are has a standard error of 1/32.
_HASHES = 1024
# Rows that are kept for quantiles: between half as many and as many as this, once there are more.
_SAMPLED = 4096
# Columns of a sparse matrix for which a batch may take memory whether they have entries or not.
_NARROW = 2**20
# What strings are hashed behind: nothing, and for a second hash a byte.
_PREFIXES = np.zeros(0, np.uint8), np.ones(1, np.uint8)


class Moments:
    """Count, mean, sum of squared deviations, lowest and highest of columns of numbers; missing values count for nothing.

    Parts merge by the formulas of Chan, Golub and LeVeque (Updating formulae and a pairwise algorithm for computing sample
    variances, 1982).

    Parameters
    ----------
    count, mean, m2, low, high : ndarray of shape (columns,), float64
        Of no numbers: 0, 0, 0, infinity and -infinity.
    """

    def __init__(self, count, mean, m2, low, high):
        self.count, self.mean, self.m2, self.low, self.high = count, mean, m2, low, high

    @classmethod
    def of(cls, columns: NumberColumns, shifts: np.ndarray) -> Moments:
        """Those of a batch; `shifts` are numbers near the means."""
        sums = np.empty((len(shifts), 5))
        moments(columns.address, columns.kinds, shifts, sums)
        count, total, squares, low, high = sums.T
        with np.errstate(over="ignore", invalid="ignore"):
            offset = total / np.maximum(count, 1)
            m2 = np.maximum(squares - total * offset, 0)
            return cls(count, np.where(count > 0, shifts + offset, 0.0), m2, low, high)

    def merge(self, other: Moments) -> None:
        """Add those of the rows that follow."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1)
        with np.errstate(over="ignore", invalid="ignore"):
            apart = other.mean - self.mean
            # Where one side has no numbers, the other's mean is taken as it is, not computed.
            mean = np.where(self.count > 0, self.mean + apart * share, other.mean)
            m2 = self.m2 + other.m2 + apart * apart * share * self.count
        self.mean, self.m2, self.count = mean, m2, count
        self.low, self.high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)

    def deviation(self) -> np.ndarray:
        """Standard deviations; 0 for constant columns and those without numbers."""
        varies = (self.high > self.low) & (self.count > 0)
        return np.where(varies, np.sqrt(self.m2 / np.maximum(self.count, 1)), 0.0)

    def part(self, columns: slice) -> Moments:
        """Those of some of the columns."""
        return Moments(*(array[columns] for array in self._arrays()))

    @classmethod
    def together(cls, parts: Sequence[Moments]) -> Moments:
        """Those of the columns of all parts."""
        if not parts:
            return cls(*np.zeros((5, 0)))
        return cls(*map(np.concatenate, zip(*(part._arrays() for part in parts), strict=True)))

    def _arrays(self):
        return self.count, self.mean, self.m2, self.low, self.high


class Distinct:
    """About how many distinct strings there are: exact for few, by the smallest hashes for many.

    If the k-th smallest of hashes spread over [0, 1) is h, there are about (k - 1) / h (Bar-Yossef, Jayram, Kumar, Sivakumar
    and Trevisan, Counting distinct elements in a data stream, 2002).

    Parameters
    ----------
    hashes : ndarray of uint32
        Of the strings of a batch, missing ones left out.
    """

    def __init__(self, hashes: np.ndarray):
        self._smallest = _smallest(hashes)

    def merge(self, other: Distinct) -> None:
        """Add the strings of the rows that follow."""
        self._smallest = _smallest(np.concatenate([self._smallest, other._smallest]))

    def estimate(self) -> int:
        """How many there are, about."""
        if len(self._smallest) < _HASHES:
            return len(self._smallest)
        return round((_HASHES - 1) / (float(self._smallest[-1]) / 2**32))


def _smallest(hashes):
    """The smallest distinct ones, ascending."""
    ascending = np.sort(hashes)  # which is faster than looking for what is distinct among all
    return ascending[np.flatnonzero(_is_new(ascending))[:_HASHES]]


def _is_new(ascending):
    """Which of ascending numbers are not the one before."""
    new = np.ones(len(ascending), bool)
    np.not_equal(ascending[1:], ascending[:-1], out=new[1:])
    return new


def _hashed(values, prefix):
    """The hash of each string behind a prefix (uint32)."""
    hashes = np.empty(len(values), np.uint32)
    hash_strings(prefix, *bytes_of(values), hashes)
    return hashes


class _Counted(NamedTuple):
    """Strings, a hash of 64 bits of each, and how often it was met."""

    values: pa.LargeStringArray
    hashes: np.ndarray
    counts: np.ndarray


class Counts:
    """How often each value occurs, values being taken as text.

    They are told apart by 64 bits of hash: of 2**15 values, two have the same once in 2**35 columns. Up to `CAPACITY` distinct
    values, counts are exact. Beyond, those of rare values are given up, and no count falls short
    by more than `short`: the summaries of Misra and Gries (Finding repeated elements, 1982) as merged by Agarwal, Cormode,
    Huang, Phillips, Wei and Yi (Mergeable summaries, 2012).

    Parameters
    ----------
    values : LargeStringArray
        Without missing ones; a value may come more than once.
    counts : ndarray of shape (values,), int64
    """

    def __init__(self, values: pa.LargeStringArray, counts: np.ndarray):
        # To compare numbers takes a fifth of the time that comparing strings does.
        hashes, others = (_hashed(values, prefix) for prefix in _PREFIXES)
        self._parts = [_Counted(values, (others.astype(np.uint64) << np.uint64(32)) | hashes, counts)]
        self._pending = len(values)
        self._distinct = Distinct(hashes)
        self.short = 0
        self.total = int(counts.sum())

    @classmethod
    def of(cls, array: pa.Array) -> Self:
        """Of an array of any type that `as_strings` takes; missing values are not counted."""
        values, counts = _counted(array.indices if is_.is_dictionary(array.type) else array)
        if is_.is_dictionary(array.type):
            values = array.dictionary.take(values)
        values = as_strings(values)
        there = values.is_valid()
        return cls(values.filter(there), counts[there.to_numpy(zero_copy_only=False)])

    def merge(self, other: Counts) -> None:
        """Add the counts of the rows that follow."""
        self._parts += other._parts
        self._pending += sum(len(part.values) for part in other._parts)
        self._distinct.merge(other._distinct)
        self.short += other.short
        self.total += other.total
        # Adding up costs as much as there are values, so it waits until as many have come.
        if self._pending > max(len(self._parts[0].values), 4096):
            self._add_up()

    def distinct(self) -> int:
        """How many distinct values there are: exact where all are counted, else an estimate."""
        known = len(self._add_up().values)
        return known if self.short == 0 else max(self._distinct.estimate(), known)

    def exact(self) -> bool:
        """Whether every value is counted."""
        self._add_up()
        return self.short == 0

    def most_common(self) -> tuple[list[str], np.ndarray]:
        """Values and their counts, the most frequent first, equally frequent ones in the order of their text."""
        values, _, counts = self._add_up()
        texts = np.array(values.to_pylist(), object)
        order = np.lexsort((texts, -counts)) if len(texts) else np.zeros(0, np.int64)
        return texts[order].tolist(), counts[order]

    def _add_up(self) -> _Counted:
        """Every value once; at most `CAPACITY` of them: each count loses what the first one too many has."""
        if self._pending:
            hashes = np.concatenate([part.hashes for part in self._parts])
            counts = np.concatenate([part.counts for part in self._parts])
            order = np.argsort(hashes)
            firsts = np.flatnonzero(_is_new(hashes[order]))
            places, total = order[firsts], np.add.reduceat(counts[order], firsts)
            loss = np.partition(total, -CAPACITY - 1)[-CAPACITY - 1] if len(total) > CAPACITY else 0
            kept = total > loss
            values = pa.concat_arrays([part.values for part in self._parts]).take(pa.array(places[kept]))
            self._parts = [_Counted(values, hashes[places[kept]], total[kept] - loss)]
            self._pending = 0
            self.short += int(loss)
        return self._parts[0]


def _counted(array):
    """Distinct values of an array, and how often each occurs."""
    if is_.is_integer(array.type) and len(array) > array.null_count:
        bounds = pc.min_max(array).as_py()
        # Counting small numbers takes a tenth of the time that looking them up does.
        if bounds["min"] >= 0 and bounds["max"] < max(len(array), 256):
            counts = np.bincount(array.drop_null().to_numpy())
            return pa.array(np.flatnonzero(counts)), counts[counts > 0]
    found = pc.value_counts(array)
    return found.field("values"), found.field("counts").to_numpy()


class RowSample:
    """The numbers of some rows, for quantiles: those whose hashed row number begins with enough zero bits.

    How many bits follows from how many rows there are, so the sample is the same however rows are cut into batches.

    Parameters
    ----------
    hashes : ndarray of shape (rows,), uint64
    numbers : ndarray of shape (rows, columns), float64
        NaN for missing ones.
    rows : int
        How many rows have been seen, from the first one.
    """

    def __init__(self, hashes: np.ndarray, numbers: np.ndarray, rows: int):
        self._parts = [(hashes, numbers)]
        self.rows = rows

    @classmethod
    def of(cls, columns: NumberColumns, numbered: np.ndarray, stop: int) -> Self:
        """Of a batch: `numbered` (uint64) counts its rows, from the first one of all, and `stop` is the next number."""
        hashes = _mixed(numbered)
        # Rows that the level at the batch's end leaves out are not looked at.
        chosen = np.flatnonzero(hashes < _limit(stop))
        numbers = np.empty((len(chosen), len(columns.kinds)))
        pick(columns.address, columns.kinds, chosen, numbers)
        return cls(hashes[chosen], numbers, stop)

    def merge(self, other: RowSample) -> None:
        """Add the rows that follow."""
        self.rows = max(self.rows, other.rows)
        self._parts += other._parts
        if sum(len(hashes) for hashes, _ in self._parts) > 2 * _SAMPLED or len(self._parts) > 256:
            self._parts = [self._left()]

    def _left(self):
        hashes = np.concatenate([hashes for hashes, _ in self._parts])
        numbers = np.concatenate([numbers for _, numbers in self._parts])
        kept = hashes < _limit(self.rows)
        return hashes[kept], numbers[kept]

    def quantiles(self, shares: tuple[float, ...]) -> np.ndarray:
        """Quantiles (shares, columns) of the sampled rows; NaN for columns without numbers."""
        _, numbers = self._left()
        found = np.full((len(shares), numbers.shape[1]), np.nan)
        for j, column in enumerate(numbers.T):
            there = column[~np.isnan(column)]
            if len(there):
                found[:, j] = np.quantile(there, shares, method="nearest")
        return found


def _limit(rows):
    """Hashes below it are sampled when there are so many rows."""
    level = max(0, math.ceil(math.log2(max(rows, 1) / _SAMPLED)))
    return np.uint64((1 << (64 - level)) - 1)


def _mixed(numbers):
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014)."""
    z = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class Largest:
    """The largest magnitude in each column of a sparse matrix, and how many entries there are.

    Parameters
    ----------
    columns : ndarray of shape (used,), int64
        Those with entries, ascending.
    magnitudes : ndarray of shape (used,), float32
    entries : int
    """

    def __init__(self, columns: np.ndarray, magnitudes: np.ndarray, entries: int):
        self.columns, self.magnitudes, self.entries = columns, magnitudes, entries

    @classmethod
    def of(cls, indices: np.ndarray, values: np.ndarray) -> Self:
        """Of entries in any order."""
        last = int(indices.max(initial=-1))
        # A number for every column is quick, but takes as much memory as there are columns; so few are few.
        columns, places = (None, indices) if last < _NARROW else np.unique(indices, return_inverse=True)
        magnitudes = np.full(last + 1 if columns is None else len(columns), -1, np.float32)
        raise_to(places, values, magnitudes)
        if columns is None:
            columns = np.flatnonzero(magnitudes >= 0)
            magnitudes = magnitudes[columns]
        return cls(columns.astype(np.int64), magnitudes, len(indices))

    def merge(self, other: Largest) -> None:
        """Add the entries of the rows that follow."""
        self.entries += other.entries
        places = np.searchsorted(self.columns, other.columns)
        known = np.append(self.columns, -1)[places] == other.columns
        self.magnitudes[places[known]] = np.maximum(self.magnitudes[places[known]], other.magnitudes[known])
        self.columns = np.insert(self.columns, places[~known], other.columns[~known])
        self.magnitudes = np.insert(self.magnitudes, places[~known], other.magnitudes[~known])


class Average:
    """An amount a row, of some rows.

    Parameters
    ----------
    amount, rows : int
    """

    def __init__(self, amount: int, rows: int):
        self.amount, self.rows = amount, rows

    def merge(self, other: Average) -> None:
        """Add other rows."""
        self.amount += other.amount
        self.rows += other.rows

    def value(self) -> float:
        """The amount a row; 0 without rows."""
        return self.amount / max(self.rows, 1)


Statistic = Counts | Largest | Average
