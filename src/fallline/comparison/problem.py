"""One training problem, the same for every contender, and the rows kept aside to test on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from fallline.comparison.objective import LOG_LOSS, SQUARED_ERROR, Objective
from fallline.comparison.table import Table
from fallline.comparison.task import Target
from fallline.errors import InputError
from fallline.objective.losses.log_loss import LogLoss
from fallline.objective.losses.one_versus_rest import OneVersusRest
from fallline.objective.losses.squared_error import SquaredError

__all__ = ["Problem", "Test", "split"]

_FEWEST_ROWS = 20


@dataclass(frozen=True)
class Problem:
    """Rows to train on.

    Parameters
    ----------
    X : ndarray of shape (n, columns), float32
        Standardised.
    y : ndarray of shape (n,), float32
        -1 and 1, the numbers of the classes, or standardised amounts.
    task : str
        "binary", "multiclass" or "regression".
    outputs : int
        Scores a row: one a class for several classes, otherwise one.
    alpha : float
        Strength of the L2 penalty.
    """

    X: np.ndarray
    y: np.ndarray
    task: str
    outputs: int
    alpha: float

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.X)

    @property
    def loss(self) -> NamedTuple:
        """What fallline's engine minimises."""
        if self.task == "multiclass":
            return OneVersusRest(LogLoss(), np.ones(self.outputs))
        return LogLoss() if self.task == "binary" else SquaredError()

    @property
    def targets(self) -> np.ndarray:
        """One column an output: -1 and 1, or amounts."""
        if self.task == "multiclass":
            return np.where(self.y[:, np.newaxis] == np.arange(self.outputs), np.int8(1), np.int8(-1))
        return self.y[:, np.newaxis].astype(np.float64)

    @cached_property
    def objective(self) -> Objective:
        """The same in float64, to judge by."""
        loss = SQUARED_ERROR if self.task == "regression" else LOG_LOSS
        return Objective(self.X.astype(np.float64), self.targets, loss, self.alpha)

    def part(self, rows: int, seed: int = 0) -> Problem:
        """So many of the rows, drawn at random; the problem itself where it has no more."""
        if rows >= self.n:
            return self
        chosen = np.sort(np.random.default_rng(seed).permutation(self.n)[:rows])
        return replace(self, X=self.X[chosen], y=self.y[chosen])


@dataclass(frozen=True)
class Test:
    """Rows to test on, on the same scale.

    Parameters
    ----------
    X : ndarray of shape (n, columns), float32
    y : ndarray of shape (n,), float32
    task : str
    """

    X: np.ndarray
    y: np.ndarray
    task: str

    __test__ = False  # no test class of pytest's

    def score(self, weights: np.ndarray) -> float:
        """The share of rows predicted right; for regression, the share of the variance explained (R squared)."""
        scores = self.X.astype(np.float64) @ weights[:, :-1].T + weights[:, -1]
        if self.task == "multiclass":
            return float(np.mean(scores.argmax(axis=1) == self.y))
        if self.task == "binary":
            return float(np.mean(np.where(scores[:, 0] > 0, 1.0, -1.0) == self.y))
        spread = np.square(self.y - self.y.mean(dtype=np.float64)).sum()
        return float(1.0 - np.square(self.y - scores[:, 0]).sum() / spread) if spread > 0 else float("nan")


def split(
    table: Table, target: Target, test_fraction: float, alpha: float, seed: int
) -> tuple[Problem, Test]:
    """Part the rows at random, class by class, and standardise by what the training rows say."""
    n = len(target.numbers)
    if n < _FEWEST_ROWS:
        raise InputError(
            f"The data have {n} rows, but at least {_FEWEST_ROWS} are needed to train and test on. Give more."
        )
    testing = _chosen_for_testing(target, test_fraction, np.random.default_rng(seed))
    scale = _Standardiser.of(table.X[~testing])
    X = scale(table.X).astype(np.float32)
    y = target.numbers
    if target.task == "regression":
        if np.ptp(y[~testing]) == 0:
            raise InputError(
                f"The target {table.target!r} is the same in every training row. Choose another seed or target."
            )
        y = _Standardiser.of(y[~testing])(y)
    y = y.astype(np.float32)
    outputs = len(target.classes) if target.task == "multiclass" else 1
    return Problem(X[~testing], y[~testing], target.task, outputs, alpha), Test(
        X[testing], y[testing], target.task
    )


def _chosen_for_testing(target, fraction, generator):
    """A mask of the rows to test on: of each class so many, at least one and not all."""
    groups = (
        np.unique(target.numbers, return_inverse=True)[1]
        if target.classes
        else np.zeros(len(target.numbers), int)
    )
    testing = np.zeros(len(groups), bool)
    for group in range(groups.max() + 1):
        rows = generator.permutation(np.flatnonzero(groups == group))
        testing[rows[: min(max(1, round(fraction * len(rows))), len(rows) - 1)]] = True
    return testing


class _Standardiser(NamedTuple):
    """Makes the mean 0 and the standard deviation 1; columns that are constant become 0."""

    mean: np.ndarray
    deviation: np.ndarray
    constant: np.ndarray

    @classmethod
    def of(cls, values):
        # A constant's computed deviation is a rounding error, not a scale: so ask for the range.
        constant = np.ptp(values, axis=0) == 0
        deviation = np.where(constant, 1.0, values.std(axis=0, dtype=np.float64))
        return cls(values.mean(axis=0, dtype=np.float64), deviation, constant)

    def __call__(self, values):
        return np.where(self.constant, 0.0, (values - self.mean) / self.deviation)
