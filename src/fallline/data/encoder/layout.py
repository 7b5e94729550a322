"""Where in an encoded row the features of each column stand.

::

    | numbers: columns as they are, then computed ones | flags | groups of codes | lists |

Numbers come first because every row has them all: they are written at once, and a sparse row begins with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from fallline.data.encoder.kinds.base import Column, ListOf, Scaled

__all__ = ["Layout"]

_INDEX_AND_VALUE, _POINTER, _NUMBER = 8, 8, 4


class Layout:
    """The features of some columns.

    Parameters
    ----------
    columns : sequence of Column
    missing : sequence of float
        The share of missing values in each.

    Attributes
    ----------
    direct, computed : list of Column
        Those that are one number as they are, and the others, in the order in which they are encoded.
    n_numbers, n_flags, n_columns : int
    means, scales : ndarray of shape (numbers,), float64
        A number x becomes (x - mean) * scale.
    flags : ndarray of shape (numbers,), int64
        The feature that tells whether a number is missing, or -1.
    firsts : ndarray of shape (groups,), int64
        The first feature of each group.
    list_firsts : ndarray of shape (lists,), int64
        The first feature of each list.
    entries : float
        How many features of a row are not zero, on average.
    """

    def __init__(self, columns: Sequence[Column], missing: Sequence[float]):
        self.direct = [column for column in columns if column.as_it_is]
        self.computed = [column for column in columns if not column.as_it_is]
        ordered = self.direct + self.computed
        self._numbers = [(column, number) for column in ordered for number in column.numbers]
        self._groups = [(column, names) for column in ordered for names in column.groups]
        self._lists = [(column, features) for column in ordered for features in column.lists]
        numbers = [number for _, number in self._numbers]
        self.n_numbers = len(numbers)
        self.means = np.array([number.mean for number in numbers], np.float64)
        self.scales = np.array([1 / number.deviation for number in numbers], np.float64)
        flagged = np.array([number.flag is not None for number in numbers], bool)
        self.n_flags = int(flagged.sum())
        self.flags = np.where(flagged, self.n_numbers + np.cumsum(flagged) - 1, -1)
        sizes = [len(names) for _, names in self._groups] + [features.columns for _, features in self._lists]
        firsts = np.cumsum([self.n_numbers + self.n_flags, *sizes], dtype=np.int64)
        self.firsts, self.list_firsts = firsts[: len(self._groups)], firsts[len(self._groups) : -1]
        self.n_columns = int(firsts[-1])
        shares = dict(zip([column.name for column in columns], missing, strict=True))
        self.entries = self.n_numbers + sum(
            chain(
                (shares[column.name] for column, number in self._numbers if number.flag is not None),
                chain.from_iterable(column.share for column in ordered),
                (features.entries for _, features in self._lists),
            )
        )

    @property
    def sparse(self) -> bool:
        """Whether rows take fewer bytes as CSR than as numbers for all features."""
        return self.entries * _INDEX_AND_VALUE + _POINTER < self.n_columns * _NUMBER

    @property
    def groups(self) -> list[tuple[str, int, int]]:
        """Of each group its column, its first feature and the one after its last: of them, one at most is not 0, and is 1."""
        return [
            (column.name, int(first), int(first) + len(names))
            for first, (column, names) in zip(self.firsts, self._groups, strict=True)
        ]

    @property
    def bytes_a_row(self) -> float:
        """Of the features, on average."""
        return self.entries * _INDEX_AND_VALUE + _POINTER if self.sparse else self.n_columns * _NUMBER

    def names(self) -> Iterator[str]:
        """The names of all features, in order."""
        return (name for name, _, _ in self.features())

    def features(self) -> Iterator[tuple[str, Column, Scaled | None]]:
        """Name and column of each feature, in order; and, of numbers, how they are scaled."""
        for column, number in self._numbers:
            yield number.name, column, number
        for column, number in self._numbers:
            if number.flag is not None:
                yield number.flag, column, None
        for column, names in self._groups:
            for name in names:
                yield name, column, None
        for column, features in self._lists:
            for place in range(features.columns):
                yield features.name.format(place), column, _unit(features, place)

    def counts(self) -> dict[str, int]:
        """How many features each column has, by its name."""
        found = {column.name: 0 for column in self.direct + self.computed}
        for column, number in self._numbers:
            found[column.name] += 1 + (number.flag is not None)
        for column, names in self._groups:
            found[column.name] += len(names)
        for column, features in self._lists:
            found[column.name] += features.columns
        return found


def _unit(features: ListOf, place: int) -> Scaled | None:
    """How a listed feature is scaled, as a number that is not centred."""
    if features.scales is None or features.scales[place] == 0:
        return None
    return Scaled(features.name.format(place), 0.0, 1 / float(features.scales[place]))
