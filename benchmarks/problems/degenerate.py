"""Data with something amiss that is common: columns that depend on one another, rare classes, rows in order."""

from __future__ import annotations

import numpy as np

from problems.dense import Recipe, generate
from problems.problem import Problem, split


def collinear():
    """Copies and sums of columns, a column of ones and one of zeros."""
    X, y = generate(Recipe("log_loss", 20_000, 20, seed=30, condition=10, strength=2))
    ones = np.ones((len(X), 1))
    X = np.hstack([X, X[:, :5], X[:, 5:10] + X[:, 10:15], ones, 0 * ones])
    return Problem(*split(X, y), "log_loss", 1e-6)


def rare():
    """One row in a hundred is of the second class."""
    X, y = generate(Recipe("log_loss", 60_000, 30, seed=31, condition=1e2, strength=2))
    kept = (y == 0) | (np.random.default_rng(0).random(len(y)) < 0.01)
    return Problem(*split(X[kept], y[kept]), "log_loss", 1e-6)


def sorted_by_class():
    """All rows of the first class before those of the second."""
    X, y = generate(Recipe("log_loss", 40_000, 40, seed=32, condition=1e2, strength=2))
    order = np.argsort(y, kind="stable")
    return Problem(*split(X[order], y[order], keep_order=True), "log_loss", 1e-6, shuffle=False)


def sorted_by_number():
    """Rows in order of their target and one column."""
    X, y = generate(Recipe("squared_error", 40_000, 40, seed=33, condition=1e2))
    order = np.argsort(X[:, 0] + y, kind="stable")
    return Problem(*split(X[order], y[order], keep_order=True), "squared_error", 1e-6, shuffle=False)


PROBLEMS = {
    "log_collin": collinear,
    "log_rare": rare,
    "log_sorted": sorted_by_class,
    "lin_sorted": sorted_by_number,
}
