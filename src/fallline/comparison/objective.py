r"""What every contender minimises, in NumPy and float64: the judge, which shares no code with those it judges.

.. math:: F(W) = \frac1n \sum_i \sum_k \ell(s_{ik}, t_{ik}) + \frac\alpha2 \|W\|^2, \qquad s_{ik} = w_k \cdot x_i + b_k

with the intercepts :math:`b` left out of the penalty. For several classes there is one output k a class, with
:math:`t_{ik} = 1` for the rows of class k and -1 for the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit

__all__ = ["LOG_LOSS", "SQUARED_ERROR", "Objective", "Pointwise"]

_CHUNK = 2**14


class Pointwise(NamedTuple):
    """A loss by scores and targets of any one shape, with its first and second derivative by the score."""

    value: Callable
    slope: Callable
    curvature: Callable


def _logistic_loss(s, t):
    m = t * s
    return np.log1p(np.exp(-np.abs(m))) - np.minimum(m, 0.0)


def _logistic_curvature(s, _):
    share = expit(s)
    return share * (1.0 - share)


LOG_LOSS = Pointwise(_logistic_loss, lambda s, t: -t * expit(-t * s), _logistic_curvature)
SQUARED_ERROR = Pointwise(lambda s, t: 0.5 * (s - t) ** 2, lambda s, t: s - t, lambda s, _: np.ones_like(s))


@dataclass(frozen=True)
class Objective:
    """F, on given rows.

    Parameters
    ----------
    X : ndarray of shape (n, columns), float64
    targets : ndarray of shape (n, outputs)
    loss : Pointwise
    alpha : float

    Weights are (outputs, columns + 1), the intercepts last.
    """

    X: np.ndarray
    targets: np.ndarray
    loss: Pointwise
    alpha: float

    @property
    def shape(self) -> tuple[int, int]:
        """Of the weights."""
        return self.targets.shape[1], self.X.shape[1] + 1

    def value(self, weights: np.ndarray) -> float:
        """F(W)."""
        total = sum(
            self.loss.value(self._scores(rows, weights), self.targets[rows]).sum() for rows in self._chunks()
        )
        return float(total / len(self.X) + self._penalty(weights))

    def value_and_gradient(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """F(W) and its gradient, of the weights' shape."""
        total, gradient = 0.0, np.zeros_like(weights)
        for rows in self._chunks():
            scores = self._scores(rows, weights)
            total += self.loss.value(scores, self.targets[rows]).sum()
            gradient += self._outer(self.loss.slope(scores, self.targets[rows]), rows)
        gradient /= len(self.X)
        gradient[:, :-1] += self.alpha * weights[:, :-1]
        return float(total / len(self.X) + self._penalty(weights)), gradient

    def batch_gradient(self, weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The gradient that a mini-batch of these rows gives."""
        gradient = self._outer(self.slopes(weights, rows), rows) / len(rows)
        gradient[:, :-1] += self.alpha * weights[:, :-1]
        return gradient

    def slopes(self, weights: np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
        """Derivatives of the rows' losses by their scores, (rows, outputs)."""
        return self.loss.slope(self._scores(rows, weights), self.targets[rows])

    def hessian(self, weights: np.ndarray, k: int) -> np.ndarray:
        """Second derivatives by the weights of output k, (columns + 1, columns + 1); outputs share none."""
        width = self.X.shape[1] + 1
        total = np.zeros((width, width))
        for rows in self._chunks():
            x = np.column_stack([self.X[rows], np.ones(len(self.X[rows]))])
            curvature = self.loss.curvature(x @ weights[k], self.targets[rows, k])
            total += x.T @ (curvature[:, np.newaxis] * x)
        total /= len(self.X)
        total[np.arange(width - 1), np.arange(width - 1)] += self.alpha
        return total

    def _chunks(self):
        return [slice(start, start + _CHUNK) for start in range(0, len(self.X), _CHUNK)]

    def _scores(self, rows, weights):
        # Contiguous: NumPy multiplies a view with gaps without BLAS, 30 times slower.
        return self.X[rows] @ np.ascontiguousarray(weights[:, :-1].T) + weights[:, -1]

    def _outer(self, slopes, rows):
        return np.column_stack([slopes.T @ self.X[rows], slopes.sum(axis=0)])

    def _penalty(self, weights):
        return 0.5 * self.alpha * np.square(weights[:, :-1]).sum()
