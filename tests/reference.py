"""Plain float64 NumPy versions of what the kernels compute, written from the formulas alone."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit, softmax

from fallline.objective.domains import ANY_NUMBER, CLASSES, NON_NEGATIVE, POSITIVE, TWO_CLASSES
from fallline.objective.losses import LOSSES


def _sign(z):
    return np.where(z > 0, 1.0, np.where(z < 0, -1.0, 0.0))


# How rows may be held in memory: each from a dense array.
LAYOUTS = {"dense": np.ascontiguousarray, "csr": csr_array}

# For each loss: its derivative by the score s at the target y.
DERIVATIVES = {
    "squared_error": lambda s, y: s - y,
    "huber": lambda s, y: np.clip(s - y, -0.1, 0.1),
    "epsilon_insensitive": lambda s, y: np.where(abs(s - y) > 0.1, _sign(s - y), 0.0),
    "squared_epsilon_insensitive": lambda s, y: 2 * _sign(s - y) * np.maximum(abs(s - y) - 0.1, 0),
    "quantile": lambda s, y: np.where(s > y, 0.5, np.where(s < y, -0.5, 0.0)),
    "poisson": lambda s, y: np.exp(s) - y,
    "gamma": lambda s, y: 1 - y * np.exp(-s),
    "tweedie": lambda s, y: np.exp(0.5 * s) - y * np.exp(-0.5 * s),
    "log_loss": lambda s, y: expit(s) - (y > 0),
    "hinge": lambda s, y: np.where(y * s <= 1, -y, 0.0),
    "squared_hinge": lambda s, y: -2 * y * np.maximum(1 - y * s, 0),
    "modified_huber": lambda s, y: np.where(y * s >= -1, -2 * y * np.maximum(1 - y * s, 0), -4 * y),
    "perceptron": lambda s, y: np.where(y * s <= 0, -y, 0.0),
    "multinomial": lambda s, y: softmax(s, axis=1) - np.eye(s.shape[1])[y[:, 0].astype(int)],
}


def data_for(loss, n=53, columns=5, seed=0):
    """Features and targets that suit a loss: numbers, counts, amounts, signs or classes, as its domain says."""
    generator = np.random.default_rng(seed)
    X = generator.standard_normal((n, columns))
    score = X @ generator.standard_normal(columns) / 2 + generator.standard_normal(n) / 4
    domain = LOSSES[loss]().domain
    targets = {
        ANY_NUMBER: score,
        NON_NEGATIVE: generator.poisson(np.exp(score)).astype(float),
        POSITIVE: generator.gamma(2.0, np.exp(score)),
        TWO_CLASSES: np.where(score > 0, 1.0, -1.0),
        CLASSES: np.digitize(score, [-0.5, 0.5]).astype(float),
    }
    return X, targets[domain]


def with_zeros(X, seed=0):
    """A copy in which about half of the numbers are zero, all of every eleventh row and of the second column among them."""
    zeroed = np.where(np.random.default_rng(seed).random(X.shape) < 0.5, 0.0, X).astype(X.dtype)
    zeroed[::11] = 0.0
    zeroed[:, 1] = 0.0
    return zeroed


def plain_descent(loss, X, y, batch_size, learning_rate, epochs):
    """The textbook loop, rows in order, in float64; weights (columns, outputs) and intercepts (outputs,).

    `learning_rate` is a number, or a function of the number of an update, from 1 on.
    """
    X, y = X.astype(np.float64), y.astype(np.float64).reshape(len(y), -1)
    outputs = len(np.unique(y)) if loss == "multinomial" else y.shape[1]
    w, b = np.zeros((X.shape[1], outputs)), np.zeros(outputs)
    for epoch in range(epochs):
        for update, start in enumerate(range(0, len(X), batch_size), 1 + epoch * -(-len(X) // batch_size)):
            eta = learning_rate(update) if callable(learning_rate) else learning_rate
            rows, targets = X[start : start + batch_size], y[start : start + batch_size]
            slopes = DERIVATIVES[loss](rows @ w + b, targets)
            w, b = w - eta * rows.T @ slopes / len(rows), b - eta * slopes.mean(axis=0)
    return w, b
