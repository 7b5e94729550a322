"""Models with an L1 penalty and many columns, beside coordinate descent; prints Markdown.

    python benchmarks/lasso.py                       made tables with more columns than rows, or nearly: half a minute
    FALLLINE_DATA=... python benchmarks/lasso.py     posts of newsgroups, too, as words: two minutes

Each fits the same objective, as it does by default but for scikit-learn's tolerance of 1e-5, on one thread. What it leaves is
its objective less the least of all, relative to what the best gains over intercepts alone.
"""

from __future__ import annotations

import os

# One thread, set before any library starts its own: the machine may be shared.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import statistics
import time
import warnings
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Lasso, LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from fallline import SGDClassifier, SGDRegressor
from measuring import table
from problems.opened import posts

# Rows, columns, correlation of neighbouring columns, whether of two classes, and the penalty.
MADE = [
    (200, 2000, 0.0, False, 0.1),
    (200, 2000, 0.9, False, 0.01),
    (200, 2000, 0.9, True, 1e-3),
    (100, 7000, 0.9, True, 1e-2),
    (1000, 5000, 0.9, False, 0.01),
    (5000, 2000, 0.9, True, 1e-3),
]
WORDS = [("computers or not", 1e-3), ("computers or not", 1e-4), ("20 groups", 1e-4)]
ROUNDS = 3


class Problem(NamedTuple):
    """Rows, targets, the penalty, and whether targets are classes."""

    name: str
    X: object
    y: np.ndarray
    alpha: float
    classes: bool


def made(rows, columns, alike, classes, alpha):
    """Columns like their neighbours, each in a unit of its own; ten of them count."""
    generator = np.random.default_rng(0)
    X = generator.standard_normal((rows, columns))
    for j in range(1, columns):
        X[:, j] = alike * X[:, j - 1] + np.sqrt(1 - alike**2) * X[:, j]
    counting = generator.choice(columns, 10, replace=False)
    y = X[:, counting] @ (3 * generator.standard_normal(10)) + 0.5 * generator.standard_normal(rows)
    X *= np.exp(0.3 * generator.standard_normal(columns))
    name = f"{rows:,} x {columns:,}, {'log loss' if classes else 'squared error'}, correlation {alike:g}"
    return Problem(name, X, np.where(y > 0, 1, -1) if classes else y, alpha, classes)


def words(task, alpha):
    """Posts as the weights of their words."""
    texts, groups, *_ = posts()
    X, y = TfidfVectorizer(min_df=2).fit_transform(texts), np.asarray(groups)
    if task != "20 groups":
        y = np.where(np.char.startswith(y, "comp"), 1, -1)
    return Problem(f"posts, {X.shape[0]:,} x {X.shape[1]:,}, {task}", X, y, alpha, classes=True)


def ours(problem):
    """What fallline takes by default."""
    kind = SGDClassifier(loss="log_loss") if problem.classes else SGDRegressor()
    return kind.set_params(penalty="l1", alpha=problem.alpha, random_state=0)


def theirs(problem):
    """Coordinate descent, whose intercept is penalised as little as can be where it is penalised."""
    if not problem.classes:
        return Lasso(alpha=problem.alpha, tol=1e-5, max_iter=100_000)
    strength = 1 / (problem.alpha * len(problem.y))
    one = LogisticRegression(
        l1_ratio=1, C=strength, solver="liblinear", tol=1e-5, max_iter=1000, intercept_scaling=100
    )
    return one if len(np.unique(problem.y)) == 2 else OneVsRestClassifier(one)


def objective(problem, coef, intercept):
    """The mean loss, of all classes that are set against the rest, and the penalty."""
    scores = np.asarray(problem.X @ coef.T) + intercept
    if not problem.classes:
        loss = 0.5 * np.mean((scores[:, 0] - problem.y) ** 2)
    else:
        labels = np.unique(problem.y)
        labels = labels[1:] if len(labels) == 2 else labels
        sides = np.where(problem.y[:, np.newaxis] == labels, 1, -1)
        loss = np.logaddexp(0, -sides * scores).mean(axis=0).sum()
    return loss + problem.alpha * np.abs(coef).sum()


def found(model):
    """Coefficients (outputs, columns) and intercepts."""
    parts = getattr(model, "estimators_", [model])
    coef = np.vstack([np.atleast_2d(part.coef_) for part in parts])
    return coef, np.concatenate([np.ravel(part.intercept_) for part in parts])


def timed(make, problem):
    """The median of some fits in seconds, the model, and its objective."""
    seconds = []
    for _ in range(ROUNDS):
        model, began = make(problem), time.perf_counter()
        model.fit(problem.X, problem.y)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds), model, objective(problem, *found(model))


def alone(problem):
    """The objective of intercepts alone."""
    y = problem.y
    if not problem.classes:
        return 0.5 * np.var(y)
    shares = np.unique(y, return_counts=True)[1] / len(y)
    shares = shares[1:] if len(shares) == 2 else shares
    return -np.sum(shares * np.log(shares) + (1 - shares) * np.log(1 - shares))


def compared(problem):
    """A row of the table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours(problem).fit(problem.X[::7], problem.y[::7])  # so that all is compiled
        (own, model, reached), (other, _, rival) = (timed(make, problem) for make in (ours, theirs))
    best = min(reached, rival)
    gained = alone(problem) - best
    return [
        problem.name,
        f"{problem.alpha:g}",
        f"{np.count_nonzero(model.coef_):,}",
        str(model.n_iter_),
        f"{own:.3f} s",
        f"{(reached - best) / gained:.0e}",
        f"{other:.3f} s",
        f"{(rival - best) / gained:.0e}",
    ]


def main():
    """Print the table."""
    problems = [lambda one=one: made(*one) for one in MADE]
    if "FALLLINE_DATA" in os.environ:
        problems += [lambda one=one: words(*one) for one in WORDS]
    names = ["problem", "alpha", "not zero", "passes", "fallline", "left", "coordinate descent", "left"]
    table(names, [compared(make()) for make in problems])


if __name__ == "__main__":
    main()
