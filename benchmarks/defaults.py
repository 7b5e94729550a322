"""The loss on test rows with nothing set, against the best of a grid of 30 settings of SGD and Adam; prints Markdown.

    python benchmarks/defaults.py                     every data set at hand, as in docs/benchmarks.md: half an hour
    python benchmarks/defaults.py --quick             those with up to 2,000,000 numbers: some minutes
    python benchmarks/defaults.py adult_log news_soft  these

What is set is the loss; the strength of the penalty is the default. The grid is fallline's own mini-batch descent: two
optimizers, five rates, and batches of 32 at a constant rate, of 32 and of 256 along a cosine; ten epochs, or more where that
makes fewer than 100,000 visits of rows. The best is picked by the test rows themselves, which no user could. The grid is run
on the columns as they come, which is what the defaults get, and once more on dense columns (and targets of least squares)
standardised by hand: another objective, since a penalty means another thing for other columns.

Losses are those above a model that predicts every test row perfectly, so that "1% more" means something for counts, too.
"""

from __future__ import annotations

import os

# One thread, set before any library starts its own: the machine may be shared.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import itertools
import sys
import time
import warnings
from typing import NamedTuple

import numpy as np
from scipy.special import xlogy

import problems
from fallline import SGDClassifier, SGDRegressor
from fallline.errors import FalllineError
from fallline.monitors.base import Monitor
from measuring import table
from solvers import watched

SETS = ("bc_log", "digits_soft", "wine_soft", "diab_sq", "diab_poi", "heart_log", "higgs_log", "bike_sq", "bike_poi",
        "adult_log", "a9a_log", "ijcnn_log", "cov_soft", "china_log", "kdd_log", "fl_sq", "fl_log",
        "news_soft", "txt_log", "txt_soft", "mnist_soft")  # fmt: skip
RATES = {"sgd": (0.003, 0.01, 0.03, 0.1, 0.3), "adam": (0.0003, 0.001, 0.003, 0.01, 0.03)}
PLANS = ((32, "constant"), (32, "cosine"), (256, "cosine"))
_EPOCHS, _VISITS = 10, 100_000
_QUICK = 2_000_000


class Setting(NamedTuple):
    """A point of the grid."""

    optimizer: str
    rate: float
    batch_size: int
    schedule: str


GRID = [
    Setting(optimizer, rate, *plan)
    for optimizer, rates in RATES.items()
    for rate, plan in itertools.product(rates, PLANS)
]


class Path(Monitor):
    """Notes the loss on test rows along a run."""

    def __init__(self, problem):
        self.losses = []
        self._problem, self._mark = problem, 0.0

    def after_block(self, run):
        """Note the loss, if it is time."""
        passes = run.state.rows / self._problem.X.shape[0]
        if passes >= self._mark:
            self._mark = max(1.1 * passes, passes + 0.02)
            self.losses.append(self._problem.test_loss(run.weights))


def estimator(problem, **settings):
    """fallline's estimator for the loss of a problem."""
    kind = SGDClassifier if problem.loss in ("log_loss", "multinomial") else SGDRegressor
    return kind(loss=problem.loss, random_state=0, **settings)


def weights_of(model):
    """Coefficients and intercepts, (outputs, columns + 1)."""
    intercepts = np.atleast_1d(model.intercept_)
    return np.column_stack([np.reshape(model.coef_, (len(intercepts), -1)), intercepts])


def perfect(problem):
    """The mean loss over the test rows of a model that predicts each perfectly."""
    y = problem.y_test
    return np.mean(y - xlogy(y, y)) if problem.loss == "poisson" else 0.0


def by_default(problem, **settings):
    """Loss on test rows with nothing set (or these settings), the best along the way there, and seconds."""
    path, began = Path(problem), time.perf_counter()
    with watched(path):
        model = estimator(problem, **settings).fit(problem.X, problem.y)
    end = problem.test_loss(weights_of(model))
    return end, min([end, *path.losses]), time.perf_counter() - began


def standardised(problem):
    """The same, dense columns and targets of least squares scaled by hand; and what its losses are to be multiplied by."""
    X, X_test, y, y_test, unit = problem.X, problem.X_test, problem.y, problem.y_test, 1.0
    if isinstance(X, np.ndarray):
        mean, deviation = X.mean(axis=0), X.std(axis=0)
        deviation[deviation < 1e-9 * np.maximum(1, np.abs(mean))] = 1.0
        X, X_test = (X - mean) / deviation, (X_test - mean) / deviation
    if problem.loss == "squared_error":
        unit = y.std()
        y, y_test = (y - y.mean()) / unit, (y_test - y.mean()) / unit
    return problem._replace(X=X, X_test=X_test, y=y, y_test=y_test), unit**2


def of_grid(problem, unit=1.0):
    """Loss on test rows of every setting of the grid; infinite where training diverged."""
    epochs = max(_EPOCHS, -(-_VISITS // problem.X.shape[0]))
    X, found = problem.X.astype(np.float32), {}
    for setting in GRID:
        model = estimator(
            problem, solver="descent", optimizer=setting.optimizer, learning_rate=setting.schedule, eta0=setting.rate,
            batch_size=setting.batch_size, max_iter=epochs, tol=None,
        )  # fmt: skip
        try:
            found[setting] = unit * problem.test_loss(weights_of(model.fit(X, problem.y)))
        except FalllineError:
            found[setting] = np.inf
    return found


def compare(name, options):
    """A line of the table, in a list that is empty where the data are too large for --quick."""
    problem = problems.make(name)
    dense = isinstance(problem.X, np.ndarray)
    if options.quick and (problem.X.size if dense else problem.X.nnz) > _QUICK:
        return []
    floor = perfect(problem)
    end, best, seconds = by_default(problem)
    others = [by_default(problem, optimizer=optimizer)[0] for optimizer in RATES] if options.rates else []
    began = time.perf_counter()
    grids = [of_grid(problem)]
    if dense:
        grids.append(of_grid(*standardised(problem)))
    winners = [min(grid, key=grid.get) for grid in grids]
    aims = [grid[winner] - floor for grid, winner in zip(grids, winners, strict=True)]
    line = [name, "dense" if dense else "sparse", f"{end - floor:.5g}", f"{best - floor:.5g}"]
    for grid, winner, aim in zip(grids, winners, aims, strict=True):
        words = f"{winner.optimizer} {winner.rate:g}, batch {winner.batch_size}, {winner.schedule}"
        median = percent(np.median(list(grid.values())) - floor, aim)
        line += [f"{aim:.5g}", percent(end - floor, aim), percent(best - floor, aim), words, median]
    line += [""] * 5 * (not dense)
    line += [percent(loss - floor, aims[0]) for loss in others]
    line += [f"{seconds:.2f}", f"{time.perf_counter() - began:.1f}"]
    print(*line, sep=" | ", file=sys.stderr, flush=True)
    return [line]


def percent(loss, aim):
    """By how much a loss is above what is aimed at."""
    return f"{100 * (loss / aim - 1):+.2g}%" if np.isfinite(loss) else "diverged"


def main():
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="problem", help="by default all data sets")
    parser.add_argument("--quick", action="store_true", help="small data sets only")
    parser.add_argument(
        "--rates", action="store_true", help="SGD and Adam with the rates that they find themselves, too"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = [line for name in problems.choose(options.names or SETS) for line in compare(name, options)]
    print("\n### Loss on test rows with defaults, against the best of 30 settings of SGD and Adam\n")
    compared = ["its best", "defaults against it", "best on the way", "which", "its median"]
    own_rates = (
        [f"{optimizer}, its own rate, against the first grid" for optimizer in RATES] if options.rates else []
    )
    table(
        ["problem", "X", "defaults", "best on the way", *(f"grid: {what}" for what in compared),
         *(f"grid, standardised: {what}" for what in compared), *own_rates, "defaults, s", "grids, s"],
        lines,
    )  # fmt: skip


if __name__ == "__main__":
    main()
