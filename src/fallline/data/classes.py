"""Classes and their numbers."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from fallline.data.arrays import as_array, one_a_row, require_finite
from fallline.errors import InputError, TargetError

__all__ = ["as_labels", "class_numbers", "find_classes", "signs"]


def as_labels(y: Any, n: int, regressor: str = "SGDRegressor") -> np.ndarray:
    """Labels as an array (n,) of numbers, booleans or strings; for what are none, there is the regressor of this name.

    Raises
    ------
    InputError
        If there is not one label a row, or labels are missing.
    TargetError
        If they are continuous numbers.
    """
    array = as_array(y, "y")
    if array.ndim == 2 and array.shape[1] == 1:
        from sklearn.exceptions import DataConversionWarning

        warnings.warn(
            "A column-vector y was passed when a 1d array was expected. Pass y.ravel() to say that you mean it.",
            DataConversionWarning,
            stacklevel=2,
        )
        array = array[:, 0]
    array = one_a_row(array, n, "y", (1,))
    if array.dtype.kind == "O":
        return _one_type(array)
    if array.dtype.kind == "f" and not (require_finite(array, "y") == np.floor(array)).all():
        row = int(np.argmax(array != np.floor(array)))
        raise TargetError(
            f"Unknown label type: continuous. The label in row {row} is {array[row]:g}; a classifier takes classes "
            f"(whole numbers or strings). For numbers use {regressor}."
        )
    return array


def _one_type(array):
    """An array of Python objects as one of numbers or of strings."""
    missing = [
        row
        for row, label in enumerate(array)
        if label is None or (isinstance(label, float) and math.isnan(label))
    ]
    if missing:
        raise InputError(f"Input y contains NaN in row {missing[0]} (a missing label). Leave such rows out.")
    if len({type(label) for label in array}) == 1 or all(not isinstance(label, str) for label in array):
        return np.array(array.tolist())
    raise TargetError(
        "The labels in y mix strings and numbers. Make them all strings, e.g. with y.astype(str)."
    )


def find_classes(labels: np.ndarray) -> np.ndarray:
    """The distinct labels, sorted.

    Raises
    ------
    TargetError
        If there is only one.
    """
    classes = np.unique(labels[:1000])
    # Two classes are the usual case, and comparing is far faster than sorting.
    if len(classes) != 2 or not ((labels == classes[0]) | (labels == classes[1])).all():
        classes = np.unique(labels)
    if len(classes) < 2:
        only = classes.tolist()[0]
        raise TargetError(
            f"y holds 1 class only ({only!r} in every row), and two are needed to tell apart. Check the target, or how "
            "the rows were selected."
        )
    return classes


def class_numbers(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The number of each label's class.

    Raises
    ------
    TargetError
        For a label that is none of the classes.
    """
    if len(classes) == 2:
        second = labels == classes[1]
        numbers, strange = second.view(np.int8), ~(second | (labels == classes[0]))
    else:
        numbers = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
        strange = classes[numbers] != labels
    if strange.any():
        row = int(np.argmax(strange))
        raise TargetError(
            f"The label {labels[row : row + 1].tolist()[0]!r} in row {row} of y is not one of the classes {classes!r}."
        )
    return numbers


def signs(numbers: np.ndarray, dtype: Any) -> np.ndarray:
    """-1 for class 0 and 1 for class 1: what losses of margins take."""
    return (2 * numbers - 1).astype(dtype)
