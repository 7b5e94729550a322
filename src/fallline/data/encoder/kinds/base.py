"""What every kind of column states.

A kind is two classes. One, of which there is a single instance, says what the kind is: its name, its options, which Arrow
types it takes, what it looks for in the first pass, and how that becomes a column ready to be encoded. The other is that
column: plain values found in the pass, kept in the model file, and the method that encodes.

A column of any kind becomes up to three sorts of features, which is all that the encoder knows of it:

- numbers, which are standardised, with a flag for missing ones;
- codes, each of which says which one of a group of features is 1, if any;
- lists of features and their values, as CSR.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from fallline.data.encoder.statistics import Moments, Statistic
from fallline.errors import ParameterError

__all__ = [
    "BadValue",
    "Column",
    "Encoded",
    "Found",
    "Kind",
    "ListOf",
    "Observed",
    "Option",
    "Scaled",
    "flagged",
    "whole_number",
    "yes_or_no",
]


class BadValue(Exception):  # noqa: N818 (it never leaves the encoder: who knows the file makes an InputError of it)
    """A value that cannot be used.

    Parameters
    ----------
    position : int
        Of its row in the array.
    reason : str
        What is wrong and what to do, without a full stop.
    """

    def __init__(self, position: int, reason: str):
        super().__init__(reason)
        self.position, self.reason = position, reason


class Option(NamedTuple):
    """A setting that users may edit in a plan.

    Parameters
    ----------
    default : object
        What it is when nobody says otherwise; None stands for what the kind chooses from the data.
    check : callable
        Takes the name and a value, and raises `ParameterError` for one it cannot take.
    """

    default: Any
    check: Any


class Observed(NamedTuple):
    """What a kind looks at in a column of a batch.

    Parameters
    ----------
    numbers : sequence of Array
        Whose moments are wanted; of types that kernels read.
    statistics : sequence of Statistic
        Of this batch.
    """

    numbers: Sequence[pa.Array] = ()
    statistics: Sequence[Statistic] = ()


class Found(NamedTuple):
    """What the pass found out about a column.

    Parameters
    ----------
    rows, missing : int
        Rows that were read, and how many of them have no value.
    moments : Moments
        Of the numbers of `Observed`.
    statistics : sequence of Statistic
        Those of `Observed`, merged.
    warn : list of str
        Where to say what users should know, in sentences.
    """

    rows: int
    missing: int
    moments: Moments
    statistics: Sequence[Any]
    warn: list[str]


class Scaled(NamedTuple):
    """A feature that is a number: (value - mean) / deviation.

    Parameters
    ----------
    name : str
    mean, deviation : float
        In units of the column.
    flag : str or None
        The name of the feature that is 1 where the number is missing, if there is to be one.
    """

    name: str
    mean: float
    deviation: float
    flag: str | None = None


class ListOf(NamedTuple):
    """Features of which a row lists those that are not zero.

    Parameters
    ----------
    columns : int
        How many there are.
    entries : float
        How many a row lists, on average.
    name : str
        With `{}` where the number of the feature belongs.
    scales : ndarray or None
        What a unit of each feature becomes; None for 1.
    """

    columns: int
    entries: float
    name: str
    scales: np.ndarray | None = None


class Encoded(NamedTuple):
    """A column of a batch, encoded: as many of each sort as the column has features for.

    Parameters
    ----------
    numbers : sequence of Array
        As they are, to be standardised; of types that kernels read.
    codes : sequence of ndarray, int32
        The place in its group of the feature that is 1, or -1.
    lists : sequence of (indptr, indices, values)
        CSR, of int64, int32 (ascending in a row) and float32.
    """

    numbers: Sequence[pa.Array] = ()
    codes: Sequence[np.ndarray] = ()
    lists: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]] = ()


class Column(ABC):
    """A column as the pass found it; a subclass is a frozen dataclass of numbers, text, lists of text and arrays.

    Attributes
    ----------
    name : str
        In the data.
    becomes : str
        What is made of it, in a few words for people.
    as_it_is : bool
        Whether encoding is nothing but handing the column over as one number.
    """

    name: str
    as_it_is: ClassVar[bool] = False

    @property
    @abstractmethod
    def becomes(self) -> str:
        """What is made of the column, in a few words."""

    @property
    def numbers(self) -> Sequence[Scaled]:
        """The features that are numbers."""
        return ()

    @property
    def groups(self) -> Sequence[Sequence[str]]:
        """The names of the features in each group that a code chooses from."""
        return ()

    @property
    def lists(self) -> Sequence[ListOf]:
        """The features that are listed."""
        return ()

    @property
    def share(self) -> Sequence[float]:
        """The share of rows in which each group's code chooses a feature; by default all."""
        return [1.0] * len(self.groups)

    @abstractmethod
    def encode(self, array: pa.Array) -> Encoded:
        """The column of a batch; of a type that the kind takes, not always the one of the pass."""

    def strangers(self, array: pa.Array) -> tuple[list[str], list[str]] | None:  # noqa: ARG002
        """Values of a batch and those of the pass, where that is worth a word: not one is in both."""
        return None


class Kind(ABC):
    """What can be done with a column."""

    name: ClassVar[str]
    options: ClassVar[Mapping[str, Option]] = {}
    column: ClassVar[type[Column]]

    @abstractmethod
    def accepts(self, type_: pa.DataType) -> bool:
        """Whether columns of this type can be treated so."""

    @abstractmethod
    def observe(self, array: pa.Array, options: Mapping[str, Any]) -> Observed:
        """What to look at in a batch."""

    @abstractmethod
    def fit(self, name: str, found: Found, options: Mapping[str, Any]) -> Column | None:
        """The column, ready to encode; None if nothing is left of it, with a warning that says why."""


def flagged(name: str) -> str:
    """The name of the feature that tells that a column's value is missing."""
    return f"{name} is missing"


def whole_number(lowest: int, highest: int, *, automatic: bool = False) -> Any:
    """A check for whole numbers within limits; with `automatic`, None is one more choice."""

    def check(name, value):
        whole = isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest
        if not (whole or (automatic and value is None)):
            or_none = ", or null to have it chosen" if automatic else ""
            raise ParameterError(
                f"{name} is {value!r}, but a whole number from {lowest} to {highest} is wanted{or_none}."
            )

    return check


def yes_or_no(name: str, value: Any) -> None:
    """A check for true and false."""
    if not isinstance(value, bool):
        raise ParameterError(f"{name} is {value!r}, but true or false is wanted.")
