"""Seconds to within 0.1% of the optimum, beside the solvers a user would pick instead; prints Markdown.

    python benchmarks/wall.py               900,000 x 100 and 20,000 x 20, one thread and two: half an hour, 4 GB of memory
    python benchmarks/wall.py --quick       90,000 x 100 and 20,000 x 20, one round: some minutes
    python benchmarks/wall.py small         one of: small, independent, correlated

Logistic regression on float32 columns whose scales lie over four decades. fallline gets them as they are and no parameter; its
seconds are those from the call of `fit` to the first block after which its weights are within 0.1%, which another fit has told
beforehand. The others get columns standardised first, which counts, and exactly as many iterations as 0.1% takes (found by
trying, beforehand): their own stopping rules cost them nothing. The penalty is too weak to tell raw columns from standardised.

Every contender has a process of its own, bound to as many cores as it has threads, and has made a fit before: the rivals on a
few rows, fallline the one that tells. Contenders take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

ALPHA = 1e-9
TARGET = 1e-3
_MOST = 4096
_CHUNK = 2**16


class Setting(NamedTuple):
    """Data to be fitted.

    Parameters
    ----------
    rows, columns : int
    condition : float
        Of the columns' correlations, once standardised; 1 for independent columns.
    """

    rows: int
    columns: int
    condition: float


SETTINGS = {
    "small": Setting(20_000, 20, 1e2),
    "independent": Setting(900_000, 100, 1.0),
    "correlated": Setting(900_000, 100, 1e2),
}


# ---------------------------------------------------------------------------------------------------------- data


def write_data(setting, folder):
    """X.npy, y.npy, and in known.json the optimum and the objective of the model of an intercept alone."""
    generator = np.random.default_rng(0)
    directions, _ = np.linalg.qr(generator.standard_normal((setting.columns, setting.columns)))
    mix = np.geomspace(1, setting.condition**-0.5, setting.columns)[:, None] * directions.T
    scales = 10 ** generator.uniform(-2, 2, setting.columns)
    truth = generator.standard_normal(setting.columns) * 2 / np.sqrt(setting.columns)
    X = np.empty((setting.rows, setting.columns), np.float32)
    y = np.empty(setting.rows, np.int64)
    for first in range(0, setting.rows, _CHUNK):
        white = generator.standard_normal((len(X[first : first + _CHUNK]), setting.columns))
        X[first : first + _CHUNK] = white @ mix * scales
        y[first : first + _CHUNK] = generator.random(len(white)) < 1 / (1 + np.exp(-white @ truth))
    np.save(folder / "X.npy", X)
    np.save(folder / "y.npy", y)
    from problems import Problem
    from problems.optimum import find

    target = y.astype(float)
    known = find(Problem(X.astype(float), target, X[:0], target[:0], "log_loss", ALPHA))
    (folder / "known.json").write_text(json.dumps({"best": known.best, "null": known.null}))


def gap(weights, X, y, known):
    """How far weights (columns + 1) are from the optimum, relative to the model of an intercept alone."""
    total = 0.0
    for first in range(0, len(X), _CHUNK):
        scores = X[first : first + _CHUNK].astype(float) @ weights[:-1] + weights[-1]
        total += np.sum(np.logaddexp(0, scores) - y[first : first + _CHUNK] * scores)
    objective = total / len(X) + ALPHA / 2 * np.sum(weights[:-1] ** 2)
    return (objective - known["best"]) / (known["null"] - known["best"])


# -------------------------------------------------------------------------------------------------------- rivals


def scikit_learn(solver):
    """scikit-learn's LogisticRegression behind its StandardScaler."""

    def fit(X, y, iterations):
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler()
        Z = scaler.fit_transform(X)
        strength = 1 / (ALPHA * len(X))
        model = LogisticRegression(C=strength, solver=solver, max_iter=iterations, tol=1e-12, random_state=0)
        return unscaled(model.fit(Z, y).coef_[0], model.intercept_[0], scaler.mean_, scaler.scale_)

    return fit


def pytorch(X, y, iterations):
    """PyTorch's L-BFGS with a strong Wolfe line search, on columns standardised by PyTorch."""
    import torch

    X, y = torch.from_numpy(X), torch.from_numpy(y).float()
    deviation, mean = torch.std_mean(X, dim=0)
    Z = (X - mean) / deviation
    w = torch.zeros(X.shape[1] + 1, requires_grad=True)
    loss = torch.nn.BCEWithLogitsLoss()
    settings = {
        "max_iter": iterations,
        "max_eval": 10 * iterations,
        "tolerance_grad": 0,
        "tolerance_change": 0,
    }
    optimizer = torch.optim.LBFGS([w], line_search_fn="strong_wolfe", history_size=10, **settings)

    def closure():
        optimizer.zero_grad()
        objective = loss(Z @ w[:-1] + w[-1], y) + ALPHA / 2 * w[:-1].square().sum()
        objective.backward()
        return objective

    optimizer.step(closure)
    found = w.detach().numpy().astype(float)
    return unscaled(found[:-1], found[-1], mean.numpy(), deviation.numpy())


def unscaled(coef, intercept, mean, scale):
    """Weights for the columns as they were."""
    coef = np.asarray(coef, float) / scale
    return np.append(coef, intercept - coef @ mean)


_SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga", "liblinear")
RIVALS = {f"scikit-learn, {solver}": scikit_learn(solver) for solver in _SOLVERS} | {
    "PyTorch, L-BFGS": pytorch
}


# ----------------------------------------------------------------------------------- in a process of its own


def load(folder):
    """X, y and what is known."""
    known = json.loads((folder / "known.json").read_text())
    return np.load(folder / "X.npy"), np.load(folder / "y.npy"), known


def iterations_needed(rival, folder):
    """The fewest iterations with which a rival comes within the target, or None for too many."""
    X, y, known = load(folder)

    def enough(iterations):
        return gap(RIVALS[rival](X, y, iterations), X, y, known) <= TARGET

    high = 1
    while not enough(high):
        high *= 2
        if high > _MOST:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def rival_seconds(rival, folder, iterations):
    """Seconds of a fit."""
    X, y, _ = load(folder)
    RIVALS[rival](X[:2000], y[:2000], 2)

    def once():
        began = time.perf_counter()
        RIVALS[rival](X, y, iterations)
        return {"seconds": time.perf_counter() - began}

    return medians([once() for _ in range(repeats(X))])


def repeats(X):
    """How often a fit is made in a process: more often where it is short."""
    return 9 if len(X) <= 20_000 else 1


def medians(runs):
    """The median of each measure over some runs."""
    return {what: statistics.median(run[what] for run in runs) for what in runs[0]}


def fallline_seconds(folder):
    """Seconds to 0.1%, of which before the first row was visited, and of the whole fit; passes to 0.1%; the gap at the end.

    One fit is looked at after every block, for the rows that 0.1% takes; those that are timed make the same steps, and only
    their clock is read there: looking would take rows out of the processor's cache.
    """
    from fallline import SGDClassifier
    from fallline.monitors.base import Monitor
    from solvers import watched

    X, y, known = load(folder)

    class Look(Monitor):
        """Notes the rows that were visited when the target was reached."""

        mark, reached = 0.0, np.inf

        def after_block(self, run):
            passes = run.state.rows / len(X)
            if self.reached == np.inf and passes >= self.mark:
                self.mark = passes + 0.02
                if gap(run.weights[0].astype(float), X, y, known) <= TARGET:
                    self.reached = run.state.rows

    class Clock(Monitor):
        """Notes when so many rows were visited."""

        def __init__(self, rows):
            self.rows, self.before, self.reached = rows, 0.0, np.inf

        def after_block(self, run):
            if run.state.rows >= self.rows and self.reached == np.inf:
                self.reached = time.perf_counter()

    def fitted(monitor):
        with watched(monitor, fine=False):
            return SGDClassifier(loss="log_loss", alpha=ALPHA, random_state=0).fit(X, y)

    def once(rows):
        clock = Clock(rows)
        began = time.perf_counter()
        fitted(clock)
        whole = time.perf_counter() - began
        return {"seconds": clock.reached - began, "before": clock.before - began, "whole": whole}

    look = Look()
    model = fitted(look)
    weights = np.append(model.coef_[0], model.intercept_[0]).astype(float)
    taken = medians([once(look.reached) for _ in range(repeats(X))])
    return taken | {"passes": look.reached / len(X), "end": gap(weights, X, y, known)}


def child(task, folder, threads, *arguments):
    """What a task comes to in a process with so many threads and cores."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    command = [sys.executable, __file__, "--task", json.dumps([task, str(folder), threads, *arguments])]
    environment = os.environ | dict.fromkeys(names, str(threads))
    return json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)


def work(task, folder, threads, *arguments):
    """The other side of `child`."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    warnings.simplefilter("ignore")
    if task == "fallline":
        found = fallline_seconds(Path(folder))
    elif task == "needed":
        found = iterations_needed(arguments[0], Path(folder))
    else:
        found = rival_seconds(arguments[0], Path(folder), arguments[1])
    print(json.dumps(found))


# --------------------------------------------------------------------------------------------------------- tables


def contest(name, setting, options):
    """All contenders on one setting."""
    from measuring import table

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary, "wall-{}-{}-{:g}".format(*setting))
        if not (folder / "known.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_data(setting, folder)
        needed = {rival: child("needed", folder, 2, rival) for rival in RIVALS}
        for threads in (1, 2):
            found = {"fallline": [], **{rival: [] for rival, iterations in needed.items() if iterations}}
            for _ in range(options.rounds):
                for contender, runs in found.items():
                    runs.append(
                        child("fallline", folder, threads)
                        if contender == "fallline"
                        else child("rival", folder, threads, contender, needed[contender])
                    )
            typical = {contender: medians(runs) for contender, runs in found.items()}
            ours = typical["fallline"]
            print(
                f"\n### {setting.rows:,} x {setting.columns}, {name}: seconds to 0.1%, {threads} thread{'s' * (threads > 1)}\n"
            )
            table(
                ["contender", "s", "times fallline's", "iterations"],
                [
                    [contender, f"{took['seconds']:.4f}", f"{took['seconds'] / ours['seconds']:.1f}", needed.get(contender, "")]
                    for contender, took in sorted(typical.items(), key=lambda item: item[1]["seconds"])
                ],
            )  # fmt: skip
            print(f"\nfallline: {ours['before']:.4f} s before the first row; 0.1% after {ours['passes']:.2f} passes; ended "
                  f"by itself after {ours['whole']:.4f} s, {ours['end']:.0e} from the optimum.")  # fmt: skip
            absent = [rival for rival, iterations in needed.items() if not iterations]
            if absent:
                print(f"\nNot there after {_MOST:,} iterations: {', '.join(absent)}.")


def main():
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("settings", nargs="*", choices=[*SETTINGS, []], help="by default all")
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the rows where they are many, one round"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep the data there (0.4 GB each), for the next time")
    parser.add_argument("--task", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        work(*options.task)
        return
    if options.quick:
        options.rounds = 1
    for name in options.settings or SETTINGS:
        setting = SETTINGS[name]
        if options.quick and setting.rows > 100_000:
            setting = setting._replace(rows=setting.rows // 10)
        contest(name, setting, options)


if __name__ == "__main__":
    main()
