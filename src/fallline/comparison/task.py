"""What kind of prediction is wanted: classes or amounts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fallline.errors import InputError, ParameterError
from fallline.settings import choose

__all__ = ["Target", "understand"]

_FEW = 20
_MOST_CLASSES = 50


class Target(NamedTuple):
    """A target made into numbers.

    Parameters
    ----------
    task : str
        "binary", "multiclass" or "regression".
    numbers : ndarray of shape (n,), float64
        -1 and 1; the numbers of the classes from 0; or the amounts.
    classes : list of str
        Names of the classes; empty for regression.
    why : str
        How the task was decided, for people.
    """

    task: str
    numbers: np.ndarray
    classes: list[str]
    why: str


def understand(y: np.ndarray, name: str, task: str | None) -> Target:
    """Decide the task, unless told, and check that the target fits it."""
    if task is not None:
        kind, why = choose("task", task, ("classification", "regression")), "as asked"
    else:
        kind, why = _infer(y)
    return _classes(y, name, why) if kind == "classification" else _amounts(y, name, why)


def _infer(y):
    if y.dtype.kind not in "iuf":
        return "classification", "its values are " + ("true or false" if y.dtype.kind == "b" else "words")
    distinct = np.unique(y)
    if len(distinct) <= _FEW and (distinct == np.round(distinct)).all():
        return "classification", f"it takes {len(distinct)} whole values"
    return "regression", f"it takes {len(distinct):,} different values"


def _classes(y, name, why):
    labels, numbers, counts = np.unique(
        y.astype(str) if y.dtype.kind == "O" else y, return_inverse=True, return_counts=True
    )
    if len(labels) > _MOST_CLASSES:
        remedy = (
            "Use task='regression'."
            if y.dtype.kind in "iuf"
            else "Choose a target with fewer values, or join rare ones."
        )
        raise InputError(
            f"The target {name!r} has {len(labels):,} classes; at most {_MOST_CLASSES} can be compared. {remedy}"
        )
    _require_variety(labels, name)
    if counts.min() < 2:
        lone = str(labels[np.argmin(counts)])
        raise InputError(
            f"Class {lone!r} of the target {name!r} has a single row, but one is needed to train on and one to test on. "
            "Leave that row out, or give more rows."
        )
    names = [f"{label:g}" if y.dtype.kind == "f" else str(label) for label in labels]
    if len(names) == 2:
        return Target("binary", 2.0 * numbers - 1.0, names, why)
    return Target("multiclass", numbers.astype(np.float64), names, why)


def _amounts(y, name, why):
    if y.dtype.kind not in "biuf":
        raise ParameterError(
            f"task='regression' needs numbers, but the target {name!r} holds words. Use task='classification'."
        )
    y = y.astype(np.float64)
    if not np.isfinite(y).all():
        raise InputError(f"The target {name!r} holds infinite values. Every value has to be a finite number.")
    _require_variety(np.unique(y), name)
    return Target("regression", y, [], why)


def _require_variety(values, name):
    if len(values) < 2:
        raise InputError(
            f"The target {name!r} is {str(values[0])!r} in every row, so there is nothing to learn. Choose another."
        )
