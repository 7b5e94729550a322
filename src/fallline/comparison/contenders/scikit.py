"""scikit-learn's SGDClassifier and SGDRegressor: one row at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fallline.comparison.contenders.base import Contender, Snapshot, Stopwatch, marks
from fallline.comparison.problem import Problem
from fallline.errors import DivergenceError

__all__ = ["Scikit", "scikit"]


class Scikit(Contender):
    """`partial_fit`, an epoch a call, at a constant rate."""

    def trace(
        self, problem: Problem, rate: float, seed: int, epochs: int, records: int
    ) -> Iterator[Snapshot]:
        """Train; see `Contender.trace`."""
        watch = Stopwatch()
        model, more = _model(problem, rate, seed)
        epoch = 0
        for mark in marks(epochs * problem.n, records, grain=problem.n):
            with watch.running():
                while epoch * problem.n < mark:
                    _fit_an_epoch(model, problem, more)
                    epoch += 1
            yield Snapshot(mark, mark, watch.seconds, _weights(model))


def _fit_an_epoch(model, problem, more):
    try:
        model.partial_fit(problem.X, problem.y, **more)
    except ValueError as error:  # how scikit-learn reports an overflow
        raise DivergenceError(str(error)) from error


def _model(problem, rate, seed):
    """The estimator, and what else its `partial_fit` needs."""
    from sklearn.linear_model import SGDClassifier, SGDRegressor

    # A generator and not a number: a number would repeat the same order in every call.
    common = {
        "alpha": problem.alpha,
        "learning_rate": "constant",
        "eta0": rate,
        "random_state": np.random.RandomState(seed),
    }
    if problem.task == "regression":
        return SGDRegressor(loss="squared_error", **common), {}
    # All of them: a part of the rows need not have every class.
    classes = np.arange(problem.outputs) if problem.task == "multiclass" else np.array([-1, 1])
    return SGDClassifier(loss="log_loss", **common), {"classes": classes}


def _weights(model):
    coefficients = np.atleast_2d(model.coef_).astype(np.float64)
    return np.column_stack([coefficients, np.asarray(model.intercept_, np.float64)])


def scikit() -> Scikit:
    """The contender."""
    return Scikit("scikit-learn", "scikit-learn SGD (1 row)", "rival", 1)
