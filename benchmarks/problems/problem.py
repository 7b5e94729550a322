"""What a problem is, and how weights are judged on it.

Numbers are float64 and weights (outputs, columns + 1) in the caller's coordinates, their last column the intercept:

    F(w) = mean over the rows of loss(x · w + b, y) + alpha / 2 |w|²

The intercept is free. A problem without one has `intercept=False`, and may have a column of ones instead.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from problems.losses import LOSSES


class Problem(NamedTuple):
    """An objective, and rows to test on.

    Parameters
    ----------
    X, X_test : ndarray or CSR matrix of shape (rows, columns)
    y, y_test : ndarray of shape (rows,)
        Numbers; 0 and 1 for two classes; the numbers of the classes for "multinomial".
    loss : str
        A name in `LOSSES`, which is fallline's name, too.
    alpha : float
        Strength of the penalty.
    outputs : int
        Scores a row has: the number of classes for "multinomial".
    epsilon : float
        Where "huber" turns linear.
    shuffle : bool
        Otherwise the rows come in the order they are in, as from a file that is sorted.
    intercept : bool
        Whether there is one.
    """

    X: Any
    y: np.ndarray
    X_test: Any
    y_test: np.ndarray
    loss: str
    alpha: float
    outputs: int = 1
    epsilon: float = 1.0
    shuffle: bool = True
    intercept: bool = True

    @property
    def coefficients(self):
        """How many numbers are looked for, intercepts left out."""
        return self.X.shape[1] * self.outputs

    @property
    def smooth(self):
        """Whether the loss has a derivative everywhere."""
        return self.loss != "hinge"

    def objective(self, weights):
        """F at these weights; infinity where it is beyond all numbers."""
        return self._mean(self.X, self.y, weights) + 0.5 * self.alpha * np.sum(weights[:, :-1] ** 2)

    def test_loss(self, weights):
        """The mean loss over the rows to test on."""
        return self._mean(self.X_test, self.y_test, weights)

    def _mean(self, X, y, weights):
        weights = np.asarray(weights, np.float64)
        with np.errstate(all="ignore"):
            scores = X @ weights[:, :-1].T + weights[:, -1]
            mean = LOSSES[self.loss](scores, y, self.epsilon)[0].mean()
        return mean if np.isfinite(mean) else np.inf


def split(X, y, keep_order=False, seed=0):
    """Four fifths to train on and one to test on, picked at random: X, y, X_test, y_test."""
    shuffled = np.random.default_rng(seed).permutation(X.shape[0])
    held_out = X.shape[0] // 5
    test, train = shuffled[:held_out], shuffled[held_out:]
    if keep_order:
        train = np.sort(train)
    return X[train], y[train], X[test], y[test]
