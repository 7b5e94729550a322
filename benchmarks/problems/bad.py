"""Worse data than the study's: what a solver without parameters meets sooner or later."""

from __future__ import annotations

import numpy as np

from problems.dense import Recipe, generate
from problems.problem import Problem, split


def extreme_scales():
    """Columns of 1e-12 and of 1e12."""
    X, y = generate(Recipe("log_loss", 20_000, 20, seed=40, condition=10, strength=2))
    X[:, :5] *= 1e-12
    X[:, 5:10] *= 1e12
    return Problem(*split(X, y), "log_loss", 0.0)


def near_constant():
    """Columns that vary by a part in a million, one in a few rows only, and constants."""
    X, y = generate(Recipe("log_loss", 20_000, 20, seed=41, strength=2))
    X[:, 0] = 1000 + 1e-3 * X[:, 0]
    X[:, 1] = np.arange(len(X)) < 20
    X[:, 2] = 5.0
    return Problem(*split(X, y), "log_loss", 1e-8)


def rarest():
    """Some ten rows of 60,000 are of the second class."""
    X, y = generate(Recipe("log_loss", 75_000, 10, seed=42, strength=2))
    kept = (y == 0) | (np.random.default_rng(0).random(len(y)) < 4e-4)
    return Problem(*split(X[kept], y[kept]), "log_loss", 1e-4)


def long_tailed_targets():
    """Least squares, with noise of Student's t with 1.5 degrees of freedom: no variance."""
    X, y = generate(Recipe("squared_error", 40_000, 30, seed=43, condition=1e2, noise=0))
    return Problem(*split(X, y + np.random.default_rng(0).standard_t(1.5, len(y))), "squared_error", 1e-8)


def one_class_first():
    """Nine tenths of the rows are of one class, and come first."""
    X, y = generate(Recipe("log_loss", 60_000, 20, seed=44, strength=2))
    kept = (y == 0) | (np.random.default_rng(0).random(len(y)) < 0.1)
    X, y = X[kept], y[kept]
    order = np.argsort(y, kind="stable")
    return Problem(*split(X[order], y[order], keep_order=True), "log_loss", 1e-8, shuffle=False)


def drifting():
    """Rows in order of time: columns and targets move slowly, as a seasonal series does."""
    X, y = generate(Recipe("squared_error", 40_000, 20, seed=45))
    time = np.linspace(0, 6 * np.pi, len(X))
    X += 3 * np.sin(time + np.arange(20)[:, None]).T
    return Problem(*split(X, y + 2 * np.cos(time), keep_order=True), "squared_error", 1e-8, shuffle=False)


def separable():
    """Classes that a plane separates, under a weak penalty: coefficients grow far before they stop."""
    X, y = generate(Recipe("log_loss", 10_000, 10, seed=46))
    y = (X @ np.ones(10) > 0).astype(float)
    return Problem(*split(X, y), "log_loss", 1e-8)


def large_counts():
    """Counts up to some hundred thousand, most of them small."""
    X, y = generate(Recipe("poisson", 40_000, 15, seed=47, strength=4))
    return Problem(*split(X, np.round(y**1.5)), "poisson", 1e-8)


PROBLEMS = {
    "log_extreme": extreme_scales,
    "log_nearconst": near_constant,
    "log_rarest": rarest,
    "lin_tails": long_tailed_targets,
    "log_onefirst": one_class_first,
    "lin_drift": drifting,
    "log_separable": separable,
    "poi_large": large_counts,
}
