"""The loss on test rows of `fallline.train` with nothing set, against the best of 30 settings of SGD and Adam; prints Markdown.

    FALLLINE_DATA=FOLDER python benchmarks/train_defaults.py [NAME ...] [--model linear] [--seeds N]

The model is a network, `model="mlp"`, or linear. The grid is the same model on the same encoded rows: two optimizers,
five rates, and batches of 32 at a constant rate, of 32 and of 256 along a cosine, with a penalty of 1 / rows; ten epochs, or more
where that makes fewer than 100,000 visits of rows. Each is trained from so many seeds, and counts with the mean of its losses;
the best is picked by the test rows themselves, which no user could. At most 20,000 rows to train on, and as many to test.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import warnings

import numpy as np
import pandas as pd
import torch

import fallline
import problems
from fallline.errors import DivergenceError
from measuring import table

SETS = ("bc_log", "digits_soft", "wine_soft", "diab_sq", "heart_log", "higgs_log", "bike_sq", "adult_log", "ijcnn_log",
        "cov_soft", "fl_sq", "mnist_soft")  # fmt: skip
RATES = {"sgd": (0.003, 0.01, 0.03, 0.1, 0.3), "adam": (0.0003, 0.001, 0.003, 0.01, 0.03)}
PLANS = ((32, "constant"), (32, "cosine"), (256, "cosine"))
_EPOCHS, _VISITS, _MOST_ROWS = 10, 100_000, 20_000


def rows_of(problem):
    """Tables and targets, to train on and to test on; a random part of them where they are many."""
    generator = np.random.default_rng(0)
    parts = []
    for X, y in ((problem.X, problem.y), (problem.X_test, problem.y_test)):
        taken = generator.permutation(len(y))[:_MOST_ROWS]
        rows = X[taken] if isinstance(X, np.ndarray) else X[taken].toarray()
        frame = pd.DataFrame({f"x{column}": rows[:, column] for column in range(X.shape[1])})
        parts += [frame, y[taken].astype(float if problem.loss == "squared_error" else int)]
    return parts


def loss_of(problem, rows, model, seeds, **settings):
    """The mean over the seeds of the loss on the test rows; infinite where training diverged."""
    frame, y, test, y_test = rows
    found = []
    for seed in range(seeds):
        try:
            trained = fallline.train(
                frame, target=y, model=model, loss=problem.loss, seed=seed, cache=False, **settings
            )
        except DivergenceError:
            return np.inf
        found.append(own_loss(problem, trained, test, y_test))
    return np.mean(found)


def own_loss(problem, model, test, y_test):
    """The mean loss of predictions."""
    if problem.loss == "squared_error":
        return np.mean((model.predict(test) - y_test) ** 2) / 2
    chances = np.clip(model.predict_proba(test), 1e-15, 1)
    places = np.searchsorted(np.sort(np.unique(problem.y)), y_test)
    return -np.mean(np.log(chances[np.arange(len(places)), places]))


def compare(name, model, seeds):
    """A line of the table."""
    problem = problems.make(name)
    rows = rows_of(problem)
    began = time.perf_counter()
    end = loss_of(problem, rows, model, seeds)
    seconds = (time.perf_counter() - began) / seeds
    epochs, grid = max(_EPOCHS, -(-_VISITS // len(rows[0]))), {}
    for optimizer, rates in RATES.items():
        for rate, (batch_size, schedule) in itertools.product(rates, PLANS):
            settings = {
                "learning_rate": rate,
                "batch_size": batch_size,
                "schedule": schedule,
                "alpha": 1 / len(rows[0]),
            }
            words = f"{optimizer} {rate:g}, batch {batch_size}, {schedule}"
            grid[words] = loss_of(problem, rows, model, seeds, optimizer=optimizer, epochs=epochs, **settings)
    best = min(grid, key=grid.get)
    line = [
        name,
        len(rows[0]),
        f"{end:.5g}",
        f"{grid[best]:.5g}",
        f"{100 * (end / grid[best] - 1):+.2g}%",
        best,
    ]
    line += [f"{100 * (np.median(list(grid.values())) / grid[best] - 1):+.2g}%", f"{seconds:.2f}"]
    print(*line, sep=" | ", file=sys.stderr, flush=True)
    return line


def main():
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="problem", help="by default twelve")
    parser.add_argument("--model", choices=["mlp", "linear"], default="mlp")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    lines = [compare(name, options.model, options.seeds) for name in problems.choose(options.names or SETS)]
    title = "Networks" if options.model == "mlp" else "Linear models"
    print(
        f"\n### {title}: loss on test rows with defaults, against the best of 30 settings of SGD and Adam\n"
    )
    table(
        [
            "problem",
            "rows",
            "defaults",
            "best of the grid",
            "defaults against it",
            "which",
            "its median",
            "seconds",
        ],
        lines,
    )


if __name__ == "__main__":
    main()
