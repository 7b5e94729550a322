"""One training problem, the same for every contender, and the rows kept aside to test on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from fallline.comparison.draw import FEWEST_ROWS
from fallline.comparison.objective import LOG_LOSS, SQUARED_ERROR, Objective
from fallline.comparison.table import Table
from fallline.errors import InputError
from fallline.objective.losses.log_loss import LogLoss
from fallline.objective.losses.one_versus_rest import OneVersusRest
from fallline.objective.losses.squared_error import SquaredError

__all__ = ["Problem", "Test", "split"]

_CHUNK = 2**14


@dataclass(frozen=True)
class Problem:
    """Rows to train on.

    Parameters
    ----------
    X : ndarray of shape (n, columns), float32
        Numbers standardised, other features as the encoder made them.
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

    @cached_property
    def constant(self) -> np.ndarray:
        """Weights that look at no feature, and so predict the mean or the most frequent class of the training rows."""
        weights = np.zeros((self.outputs, self.X.shape[1] + 1))
        weights[:, -1] = self.targets.mean(axis=0)
        return weights

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
        errors = self._errors(weights)
        if self.task != "regression":
            return float(np.mean(errors == 0))
        spread = np.square(self.y - self.y.mean(dtype=np.float64)).sum()
        return float(1.0 - errors.sum() / spread) if spread > 0 else float("nan")

    def clearly_better(self, weights: np.ndarray, than: np.ndarray) -> bool:
        """Whether these weights err less than the others, by more than two standard errors of the difference, row by row."""
        gains = self._errors(than) - self._errors(weights)
        return bool(gains.mean() > 2 * gains.std() / np.sqrt(len(gains)))

    def _errors(self, weights):
        """Of each row: 1 where the wrong class is predicted, otherwise 0; for regression, the square of the error."""
        scores = self.X.astype(np.float64) @ weights[:, :-1].T + weights[:, -1]
        if self.task == "regression":
            return np.square(self.y - scores[:, 0])
        predicted = (
            scores.argmax(axis=1) if self.task == "multiclass" else np.where(scores[:, 0] > 0, 1.0, -1.0)
        )
        return (predicted != self.y).astype(np.float64)


def split(table: Table, test_fraction: float, alpha: float, seed: int) -> tuple[Problem, Test]:
    """Part the rows at random, class by class, and standardise numbers by what the training rows say.

    Features that are no numbers (ones and zeros for categories, sparse ones) stay as the encoder made them: brought to
    deviation 1, those that are rarely not zero would become huge where they are not.
    """
    n = len(table.X)
    if n < FEWEST_ROWS:
        raise InputError(
            f"The data have {n} rows with a target, but at least {FEWEST_ROWS} are needed to train and test on. Give more."
        )
    testing = _chosen_for_testing(table, test_fraction, np.random.default_rng(seed))
    training, held_out = (_Rows(table.X[part], table.y[part]) for part in (~testing, testing))
    numbers = table.encoder.layout.n_numbers
    _standardise(training.X[:, :numbers], held_out.X[:, :numbers])
    if table.task == "regression":
        if np.ptp(training.y) == 0:
            raise InputError(
                f"The target {table.encoder.target.name!r} is the same in every training row. Choose another seed or target."
            )
        _standardise(training.y[:, np.newaxis], held_out.y[:, np.newaxis])
    outputs = len(table.classes) if table.task == "multiclass" else 1
    return Problem(*training, table.task, outputs, alpha), Test(*held_out, table.task)


class _Rows(NamedTuple):
    X: np.ndarray
    y: np.ndarray


def _chosen_for_testing(table, fraction, generator):
    """A mask of the rows to test on: of each class so many, at least one and not all; of a class's only row none."""
    n = len(table.y)
    groups = np.unique(table.y, return_inverse=True)[1] if table.classes else np.zeros(n, int)
    testing = np.zeros(n, bool)
    for group in range(groups.max() + 1):
        rows = generator.permutation(np.flatnonzero(groups == group))
        testing[rows[: min(max(1, round(fraction * len(rows))), len(rows) - 1)]] = True
    return testing


def _standardise(training, held_out):
    """Bring training columns to mean 0 and standard deviation 1, in place, and the others along. Constant ones become 0."""
    # In chunks: in float64 all of it would be several times as much.
    chunks = [training[start : start + _CHUNK] for start in range(0, len(training), _CHUNK)]
    mean = sum(chunk.sum(axis=0, dtype=np.float64) for chunk in chunks) / len(training)
    variance = sum(np.square(chunk - mean).sum(axis=0) for chunk in chunks) / len(training)
    # A constant's computed deviation is a rounding error, not a scale: so ask for the range.
    varies = training.min(axis=0) < training.max(axis=0)
    deviation = np.where(varies, np.sqrt(variance), 1.0)
    for values in (training, held_out):
        for start in range(0, len(values), _CHUNK):
            chunk = values[start : start + _CHUNK]
            chunk[:] = np.where(varies, (chunk - mean) / deviation, 0.0)
