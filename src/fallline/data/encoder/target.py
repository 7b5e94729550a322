"""The target: what is to be predicted, and which task that makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_

from fallline.data.encoder.arrow import NumberColumns, as_strings, is_text, missing, positions_in
from fallline.data.encoder.kinds.base import BadValue
from fallline.data.encoder.kinds.number import as_number
from fallline.data.encoder.statistics import Counts, Moments
from fallline.errors import TargetError
from fallline.names import listed

__all__ = ["TASKS", "Target", "TargetSeen", "fit_target", "infer_task", "require_target_type"]

TASKS = ("binary", "multiclass", "regression")

# Distinct whole numbers up to which they are taken for classes, if each comes a few times.
_FEW_NUMBERS, _A_FEW_TIMES = 20, 5
# Of fewer rows, every one may well be another class.
_FEW_ROWS = 50
# Weights are kept for every class, and they all have to be told apart.
_MOST_CLASSES = 10_000
_NO_SHIFT = np.zeros(1)


class Inferred(NamedTuple):
    """A task, and why it is taken to be that."""

    task: str
    reason: str


class TargetSeen:
    """What the pass sees of a target. It merges as other statistics do.

    Parameters
    ----------
    sort : str
        "number", "text" or "boolean".
    counts : Counts or None
        Of its values; None once there are numbers that are not whole.
    moments : Moments or None
        Of numbers.
    """

    def __init__(self, sort: str, counts: Counts | None, moments: Moments | None):
        self.sort, self.counts, self.moments = sort, counts, moments

    @classmethod
    def of(cls, array: pa.Array, shift: np.ndarray = _NO_SHIFT) -> TargetSeen:
        """Of a batch without missing targets."""
        sort = sort_of(array.type)
        if sort != "number":
            return cls(sort, Counts.of(array), None)
        array = as_number(array)
        seen = Moments.of(NumberColumns.of([array]), shift)
        if (np.isinf(seen.low[0]) and len(array)) or (np.isinf(seen.high[0]) and len(array)):
            bad = np.isinf(array.to_numpy(zero_copy_only=False))
            raise BadValue(int(np.argmax(bad)), "the target is infinite. Correct it, or leave the row out")
        whole = not is_.is_floating(array.type) or pc.all(pc.equal(array, pc.floor(array))).as_py() in {
            True,
            None,
        }
        return cls(sort, Counts.of(array) if whole else None, seen)

    def merge(self, other: TargetSeen) -> None:
        """Add the rows that follow."""
        if self.counts is None or other.counts is None:
            self.counts = None
        else:
            self.counts.merge(other.counts)
        if self.moments is not None and other.moments is not None:
            self.moments.merge(other.moments)


@dataclass(frozen=True)
class Target:
    """A target as the pass found it.

    Parameters
    ----------
    name : str
    task : str
        One of `TASKS`.
    reason : str
        Why it is that one.
    sort : str
        "number", "text" or "boolean".
    texts : list of str
        The classes, as text, in order; empty for regression.
    mean, scale : float
        What numbers are standardised by, value = mean + scale * y; 0 and 1 for classes, and where that was not asked for.
    """

    name: str
    task: str
    reason: str
    sort: str
    texts: list[str]
    mean: float
    scale: float

    @property
    def classes(self) -> list[Any] | None:
        """The classes: numbers, text or booleans, as in the data; None for regression."""
        return [_CLASS[self.sort](text) for text in self.texts] if self.texts else None

    def doubts(self) -> list[str]:
        """What a user should look at, in sentences: classes that may have been meant as one."""
        spelled: dict[str, list[str]] = {}
        for text in self.texts:
            spelled.setdefault(" ".join(text.casefold().split()), []).append(text)
        alike = [text for texts in spelled.values() if len(texts) > 1 for text in texts]
        sentence = (
            f"The target {self.name!r} has classes that differ in capital letters or blanks only ({listed(alike, 6)}), which are "
            "taken for different ones. If they are not, spell them alike."
        )
        return [sentence] if alike else []

    @cached_property
    def _vocabulary(self):
        return pa.array(self.texts, pa.large_string())

    def encode(self, array: pa.Array, unseen: str = "error") -> np.ndarray:
        """Targets (n,) float32: -1 and 1, the numbers of classes, or standardised numbers; NaN for missing ones.

        Parameters
        ----------
        array : Array
        unseen : str
            "error", or "nan" for classes that were not in the pass to be NaN.

        Raises
        ------
        BadValue
            For a class that was not in the pass, and infinite numbers.
        """
        if not self.texts:
            return self._numbers(array)
        places = positions_in(as_number(array) if self.sort == "number" else array, self._vocabulary)
        y = (2 * places - 1 if self.task == "binary" else places).astype(np.float32)
        unknown = places < 0
        if unknown.any():
            y[unknown] = np.nan
            strange = unknown & ~missing(array)
            if strange.any() and unseen == "error":
                self._refuse(array, int(np.argmax(strange)))
        return y

    def _refuse(self, array, row):
        shown = ", ".join(self.texts[:5]) + (", ..." if len(self.texts) > 5 else "")
        raise BadValue(
            row,
            f"the class {as_strings(array[row : row + 1])[0].as_py()!r} in {self.name!r} is none of those trained on ({shown})",
        )

    def _numbers(self, array):
        if sort_of(array.type) == "text":
            raise TargetError(
                f"The target {self.name!r} holds {array.type} here, but numbers were trained on."
            )
        numbers = as_number(array).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        with np.errstate(over="ignore"):
            y = ((numbers - self.mean) / self.scale).astype(np.float32)
        if np.isinf(y).any():
            row = int(np.argmax(np.isinf(y)))
            raise BadValue(row, f"the target is {numbers[row]:g}. Correct it, or leave the row out")
        return y


def _whole_number(text):
    """Exactly, however large; of numbers such as 2.0 the whole part."""
    return int(text) if text.lstrip("-").isdigit() else int(float(text))


_CLASS: dict[str, Callable[[str], Any]] = {
    "number": _whole_number,
    "text": str,
    "boolean": lambda text: text == "true",
}


def sort_of(type_: pa.DataType) -> str:
    """Whether targets of a type are numbers, text or booleans."""
    inner = type_.value_type if is_.is_dictionary(type_) else type_
    if is_.is_boolean(inner):
        return "boolean"
    return "text" if is_text(type_) else "number"


def require_target_type(name: str, type_: pa.DataType) -> None:
    """Raise `TargetError` for what is neither numbers nor text nor booleans."""
    if sort_of(type_) == "number":
        inner = type_.value_type if is_.is_dictionary(type_) else type_
        if not (
            is_.is_integer(inner) or is_.is_floating(inner) or is_.is_decimal(inner) or is_.is_null(inner)
        ):
            raise TargetError(
                f"The target {name!r} is of type {type_}, but numbers, text or booleans are wanted. Convert it to one of them."
            )


def infer_task(seen: TargetSeen) -> Inferred:
    """Which task a target makes, and why."""
    if seen.counts is None:
        return Inferred("regression", "its numbers are not all whole")
    distinct, total = seen.counts.distinct(), seen.counts.total
    if seen.sort != "number":
        kind = "text" if seen.sort == "text" else "true and false"
        return Inferred(
            "binary" if distinct <= 2 else "multiclass", f"it is {kind}, with {distinct:,} distinct values"
        )
    if distinct <= 2:
        return Inferred("binary", "it takes two distinct whole numbers")
    if distinct <= _FEW_NUMBERS and total >= _A_FEW_TIMES * distinct:
        return Inferred("multiclass", f"it takes few distinct whole numbers ({distinct}), each several times")
    return Inferred("regression", f"it takes {distinct:,} distinct numbers in {total:,} rows")


def fit_target(name: str, task: str | None, seen: TargetSeen, *, standardise: bool) -> Target:
    """The target that the pass has seen.

    Parameters
    ----------
    name : str
    task : str or None
        One of `TASKS`; None to infer it.
    seen : TargetSeen
        At least one row.
    standardise : bool
        Whether numbers are standardised.

    Raises
    ------
    TargetError
        If there is nothing to tell apart, or the task does not fit.
    """
    chosen, reason = (task, "as asked for") if task else infer_task(seen)
    if chosen == "regression":
        return _regression(name, reason, seen, standardise)
    if seen.counts is None:
        raise TargetError(
            f"The target {name!r} holds numbers that are not whole, which are no classes ({chosen}). Use task='regression'."
        )
    texts = _classes(name, seen)
    if chosen == "binary" and len(texts) > 2:
        raise TargetError(
            f"The target {name!r} has {len(texts):,} distinct values, but task='binary' takes two. Use task='multiclass'."
        )
    return Target(name, "binary" if len(texts) == 2 else "multiclass", reason, seen.sort, texts, 0.0, 1.0)


def _regression(name, reason, seen, standardise):
    if seen.moments is None:
        raise TargetError(
            f"The target {name!r} is {seen.sort}, but task='regression' takes numbers. Use task='multiclass'."
        )
    mean, deviation = float(seen.moments.mean[0]), float(seen.moments.deviation()[0])
    if not deviation > 0:
        raise TargetError(
            f"The target {name!r} is {mean:g} in every row, so there is nothing to learn. Check which column it is."
        )
    if not deviation < 1e150:
        raise TargetError(
            f"The target {name!r} reaches {seen.moments.high[0]:g}. Scale it, or take its logarithm."
        )
    mean, deviation = (mean, deviation) if standardise else (0.0, 1.0)
    return Target(name, "regression", reason, seen.sort, [], mean, deviation)


def _classes(name, seen):
    """The classes as text, in order."""
    distinct = seen.counts.distinct()
    if distinct > _MOST_CLASSES or not seen.counts.exact():
        raise TargetError(
            f"The target {name!r} has about {distinct:,} distinct values, too many for classes (at most {_MOST_CLASSES:,}). "
            "Check which column it is; for numbers use task='regression'."
        )
    texts, _ = seen.counts.most_common()
    if seen.sort == "text" and seen.counts.total >= _FEW_ROWS and 2 * distinct > seen.counts.total:
        raise TargetError(
            f"The target {name!r} is text with {distinct:,} distinct values in {seen.counts.total:,} rows ({listed(texts, 3)}), "
            "so hardly any class is met again. Check which column it is; numbers are to be written as 1234.5."
        )
    if len(texts) < 2:
        raise TargetError(
            f"The target {name!r} is {texts[0]!r} in every row, so there is nothing to tell apart. Check which column it is, or "
            "how the rows were selected."
        )
    return sorted(texts, key=_CLASS[seen.sort])
