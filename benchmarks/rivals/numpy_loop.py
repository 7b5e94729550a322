"""The loop people write by hand: NumPy, one Python step a batch."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from rivals import RATE

NAME = "NumPy loop"
ORDERS = (True, False)


def fit(X, y, batch_size, shuffle, epochs):
    """Gather, two products and an update a batch."""
    generator = np.random.default_rng(0)
    w, b = np.zeros(X.shape[1], X.dtype), X.dtype.type(0)
    order = np.arange(len(X))
    for _ in range(epochs):
        if shuffle:
            order = generator.permutation(len(X))
        for start in range(0, len(X), batch_size):
            rows = order[start : start + batch_size] if shuffle else slice(start, start + batch_size)
            slopes = expit(X[rows] @ w + b) - y[rows]
            w -= X.dtype.type(RATE) * (X[rows].T @ slopes / len(slopes) + X.dtype.type(1e-4) * w)
            b -= X.dtype.type(RATE) * slopes.mean()
