"""Classes, and sets of labels, as targets of a network; and its scores as these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.special import expit, softmax

from fallline.data.arrays import as_array, one_a_row, require_finite
from fallline.data.classes import as_labels, class_numbers
from fallline.errors import InputError, TargetError

__all__ = ["Labels"]

_REGRESSOR = "MLPRegressor"


@dataclass(frozen=True)
class Labels:
    """What a classifier tells apart.

    Parameters
    ----------
    classes : ndarray of shape (classes,)
        Labels, sorted.
    several : bool
        Whether a row may have any number of them (a column each, 0 or 1), and not just one.
    """

    classes: np.ndarray
    several: bool = False

    @classmethod
    def found_in(cls, y: Any, n: int) -> Labels:
        """Those of n rows.

        Raises
        ------
        InputError
            If `y` has not one row a row of X, or values are missing.
        TargetError
            If it holds no labels.
        """
        if _is_table(y):
            return cls(np.arange(_indicators(y, n).shape[1]), several=True)
        return cls(np.unique(as_labels(y, n, _REGRESSOR)))

    @classmethod
    def announced(cls, classes: Any, y: Any) -> Labels:
        """Those that `partial_fit` is told of, with its first targets.

        Raises
        ------
        InputError
            If `classes` is no list.
        """
        if not hasattr(classes, "__len__"):
            raise InputError(
                f"classes={classes!r} is not a list of classes. Give all of them, e.g. np.unique(y)."
            )
        return cls(np.unique(as_labels(classes, len(classes), _REGRESSOR)), _is_table(y))

    @property
    def outputs(self) -> int:
        """How many scores a row has."""
        return 1 if len(self.classes) <= 2 and not self.several else len(self.classes)

    @property
    def activation(self) -> str:
        """What makes probabilities of scores: 'softmax' where one of several classes is right, otherwise 'logistic'."""
        return "logistic" if self.several or self.outputs == 1 else "softmax"

    def same(self, other: Labels) -> bool:
        """Whether they are the same."""
        return self.several == other.several and np.array_equal(self.classes, other.classes)

    def encode(self, y: Any, n: int) -> np.ndarray:
        """Targets (n, targets): the number of the class, or 0 and 1 for every label.

        Raises
        ------
        TargetError
            For a label that is none of the classes.
        """
        if self.several != _is_table(y):
            wanted, got = ("a column for each label", "one label a row")[:: 1 if self.several else -1]
            raise InputError(
                f"Training began with {wanted}, but y now has {got}. Pass the same kind of targets."
            )
        if not self.several:
            return class_numbers(as_labels(y, n, _REGRESSOR), self.classes).reshape(-1, 1)
        indicators = _indicators(y, n)
        if indicators.shape[1] != len(self.classes):
            raise InputError(
                f"y has {indicators.shape[1]} columns, but there are {len(self.classes)} labels. Give a column for each."
            )
        return indicators

    def numbers(self, scores: np.ndarray) -> np.ndarray:
        """The number of the likeliest class of each row (n,), or which labels are likelier than not (n, labels)."""
        if self.several:
            return (scores > 0).astype(int)
        if self.outputs > 1:
            return scores.argmax(axis=1)
        # Where there is one class only, it is the only answer.
        return ((scores[:, 0] > 0) & (len(self.classes) > 1)).astype(int)

    def decode(self, scores: np.ndarray) -> np.ndarray:
        """The likeliest class of each row (n,), or which labels are likelier than not (n, labels)."""
        numbers = self.numbers(scores)
        return numbers if self.several else self.classes[numbers]

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Of every class, (n, classes), in their order; or of every label."""
        if self.activation == "softmax":
            return softmax(scores, axis=1)
        likely = expit(scores)
        if self.several:
            return likely
        return np.ones_like(scores) if len(self.classes) == 1 else np.hstack([expit(-scores), likely])

    def strata(self, targets: np.ndarray, share: float) -> np.ndarray | None:
        """By which classes (n,) a share of the rows is to be held out; None for at random.

        Of two classes each is always held out in that share; of more, where there are rows enough.
        """
        if self.several or len(self.classes) == 1:
            return None
        numbers = targets[:, 0]
        if len(self.classes) == 2:
            # A column, of which the splitter makes the same words as of scikit-learn's, should there be too few of one.
            return targets.astype(bool)
        held = share * len(numbers)
        enough = min(held, len(numbers) - held) >= len(self.classes) and np.bincount(numbers).min() > 1
        return numbers if enough else None


def _is_table(y):
    """Whether targets have several columns."""
    shape = getattr(y, "shape", None)
    if shape is None and isinstance(y, (list, tuple)):
        shape = np.shape(y[:1]) if len(y) else ()
    return shape is not None and len(shape) == 2 and shape[1] > 1


def _indicators(y, n):
    """A matrix of 0 and 1, (n, labels)."""
    array = y.toarray() if sp.issparse(y) else as_array(y, "y")
    array = one_a_row(array, n, "y", (2,))
    if array.dtype.kind not in "biuf" or not np.isin(require_finite(array, "y"), (0, 1)).all():
        raise TargetError(
            f"y has {array.shape[1]} columns that are not all 0 and 1. For one class a row give one column; for several labels a "
            "row, a column of 0 and 1 for each (multiclass-multioutput targets are not supported)."
        )
    return array.astype(np.int64)
