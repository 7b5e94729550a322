"""How good predictions are, added up part by part, so that data may be larger than memory."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["ClassMetrics", "NumberMetrics"]

# Log odds are counted in so many bins between these limits, to find the area under the ROC curve without sorting: exact to about
# 1e-5, however rare one of the classes.
_BINS, _FAR = 2**18, 32.0


class ClassMetrics:
    """Accuracy, log loss and, for two classes, the area under the ROC curve.

    Parameters
    ----------
    n_classes : int
        How many classes there are.
    """

    def __init__(self, n_classes: int):
        self._rows = self._unknown = 0
        self._weight = self._right = self._known = self._log_loss = 0.0
        self._histogram = np.zeros((2, _BINS)) if n_classes == 2 else None

    def add(
        self, truth: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray | None, weight: np.ndarray
    ) -> None:
        """Take some rows into account.

        Parameters
        ----------
        truth, predicted : ndarray of shape (n,), integers
            Numbers of classes; -1 is a class that the model does not know, always predicted wrong.
        probabilities : ndarray of shape (n, classes) or None
            None where the model has none.
        weight : ndarray of shape (n,)
        """
        known = truth >= 0
        self._rows += len(truth)
        self._unknown += int((~known).sum())
        self._weight += float(weight.sum())
        self._right += float(weight[truth == predicted].sum())
        if probabilities is None:
            self._log_loss = math.nan
            return
        own = np.take_along_axis(probabilities, np.maximum(truth, 0)[:, np.newaxis], axis=1)[:, 0]
        own = np.clip(own[known].astype(np.float64), np.finfo(probabilities.dtype).eps, 1.0)
        self._known += float(weight[known].sum())
        self._log_loss -= _summed(weight[known], np.log(own))
        if self._histogram is not None:
            bins = _binned(probabilities)
            for number in (0, 1):
                rows = truth == number
                self._histogram[number] += np.bincount(bins[rows], weight[rows], _BINS)

    def results(self) -> dict[str, float]:
        """Every metric by name; those that the rows or the model do not allow are left out."""
        found = {"rows": self._rows, "accuracy": _ratio(self._right, self._weight)}
        if self._unknown:
            found["rows_of_unknown_classes"] = self._unknown
        found["log_loss"] = _ratio(self._log_loss, self._known)
        if self._histogram is not None:
            found["roc_auc"] = _area(*self._histogram)
        return {name: value for name, value in found.items() if not math.isnan(value)}


class NumberMetrics:
    """Root mean squared error, mean absolute error, and the share of the variance explained."""

    def __init__(self) -> None:
        self._rows = 0
        self._weight = self._squared = self._absolute = self._mean = self._spread = 0.0

    def add(self, truth: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> None:
        """Take some rows into account: arrays of shape (n,)."""
        self._rows += len(truth)
        if not weight.any():
            return
        truth, weight = truth.astype(np.float64), weight.astype(np.float64)
        error = truth - predicted
        self._squared += _summed(weight, np.square(error))
        self._absolute += _summed(weight, np.abs(error))
        # Means and sums of squares of two parts make those of both (Chan, Golub and LeVeque, 1979).
        total, mean = float(weight.sum()), float(np.average(truth, weights=weight))
        away = mean - self._mean
        both = self._weight + total
        self._spread += _summed(weight, np.square(truth - mean)) + away**2 * self._weight * total / both
        self._mean += away * total / both
        self._weight = both

    def results(self) -> dict[str, float]:
        """Every metric by name."""
        found = {
            "rows": self._rows,
            "rmse": math.sqrt(_ratio(self._squared, self._weight)),
            "mae": _ratio(self._absolute, self._weight),
            "r2": 1.0 - _ratio(self._squared, self._spread),
        }
        return {name: value for name, value in found.items() if not math.isnan(value)}


def _summed(weight, values):
    """The sum of weight times value, in one order: BLAS's depends on the number of its threads."""
    return float((weight * values).sum())


def _binned(probabilities):
    """The bin of each row's log odds; they are spread evenly where probabilities crowd near 0 or 1."""
    with np.errstate(divide="ignore"):
        odds = np.log(probabilities[:, 1]) - np.log(probabilities[:, 0])
    shares = (np.clip(odds, -_FAR, _FAR) + _FAR) / (2 * _FAR)
    return np.minimum((shares * _BINS).astype(np.intp), _BINS - 1)


def _area(zeros, ones):
    """The probability that a row of class 1 scores above one of class 0, ties counted half; from a histogram of each."""
    below = np.cumsum(zeros) - zeros / 2
    return _ratio(_summed(ones, below), float(ones.sum() * zeros.sum()))


def _ratio(part, whole):
    return part / whole if whole else math.nan
