"""How many passes fallline's solver needs, no parameter set, on every problem whose optimum is known; prints Markdown.

    python benchmarks/solvers.py                    all problems, as in docs/benchmarks.md: some minutes once optima are known
    python benchmarks/solvers.py --quick            those with up to 2,000,000 numbers: a minute
    python benchmarks/solvers.py log_k4 a9a_log     these
    python benchmarks/solvers.py --family sparse    of these families (see benchmarks/problems)
    python benchmarks/solvers.py --optima           only find the optima that are not in the user's cache yet: ten minutes

A pass is n rows' worth of gradient work, as the solver counts it (`rows` of its state): every visit of a row, also by batches
that are iterated on and by passes that only search along a line. The gap is (F - F*) / (F_null - F*) in the objective as stated,
at the weights that the model would have if training ended with this block.

Beside it runs L-BFGS (SciPy's, from the model of intercepts alone) on columns scaled by hand; an evaluation is a pass.

The families `real` and `sparse` read the folder that FALLLINE_DATA names.
"""

from __future__ import annotations

import os

# One thread, set before any library starts its own: the machine may be shared.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import json
import statistics
import sys
import time
import warnings
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
from scipy.optimize import minimize

import fallline.tuning.methods
import problems
from fallline import SGDClassifier, SGDRegressor
from fallline.loop import train
from fallline.monitors.base import Monitor, Run, Stop
from measuring import table
from problems.optimum import Scaled, null_weights, optimum

TARGETS = (1e-2, 1e-3, 1e-6)
_QUICK = 2_000_000
_NEVER = float("inf")
_SMALL, _HINGE, _LARGE, _LARGE_HINGE, _BAD = GROUPS = (
    "smooth, up to 1,500 coefficients",
    "hinge",
    "sparse or large, smooth",
    "sparse or large, hinge",
    "bad data",
)


def group_of(family, problem):
    """Which of the groups a problem is counted in."""
    if family == "bad":
        return _BAD
    if problem.coefficients <= 1500 and isinstance(problem.X, np.ndarray):
        return _SMALL if problem.smooth else _HINGE
    return _LARGE if problem.smooth else _LARGE_HINGE


class Point(NamedTuple):
    """Where training stood after some passes: the gap to the optimum, the loss on test rows, seconds."""

    passes: float
    gap: float
    test: float
    seconds: float


class Course(Monitor):
    """Notes the gap along a run, at every epoch's end and about every twelfth further pass between; ends it at a limit."""

    def __init__(self, problem, known, limit):
        self.points = []
        self.before = None
        self._problem, self._known, self._limit = problem, known, limit
        self._mark, self._seen = 0.0, None

    def after_block(self, run):
        """Note where training stands, if it is time; end it after as many passes as are allowed."""
        passes = run.state.rows / self._problem.X.shape[0]
        if passes >= self._mark:
            self._note(run, passes)
        return Stop("updates", "the benchmark allows no more") if passes >= self._limit else None

    def after_epoch(self, run):
        """Note where training stands."""
        self._note(run, run.state.rows / self._problem.X.shape[0])

    def finish(self, run, stop):  # noqa: ARG002 (why is of no interest)
        """Note where training ended."""
        self._note(run, run.state.rows / self._problem.X.shape[0])

    def _note(self, run, passes):
        self._mark = max(1.08 * passes, passes + 0.01)
        if self._seen is None or not np.array_equal(run.weights, self._seen):
            self._seen = run.weights.copy()
            self.points.append(point(self._problem, self._known, self._seen, passes, run.state.seconds))


def point(problem, known, weights, passes, seconds):
    """Where weights stand."""
    return Point(passes, known.gap(problem.objective(weights)), problem.test_loss(weights), seconds)


class _FineRun(Run):
    """A run whose blocks are small, so that it is looked at often. Results do not depend on where blocks end."""

    def block_rows(self):
        return min(super().block_rows(), max(64, self.source.n_rows // 64))


def watched(monitor, fine=True):
    """While this lasts, the estimators' runs are watched by one more monitor; its `before` is when the loop began."""

    def loop(run, monitors=()):
        monitor.before = time.perf_counter()
        return train((_FineRun if fine else Run)(**vars(run)), [monitor, *monitors])

    return mock.patch.object(fallline.tuning.methods, "train", loop)


def estimator(problem, **settings):
    """fallline's estimator for a problem: what says the problem is set, and nothing else."""
    kind = SGDClassifier if problem.loss in ("log_loss", "multinomial", "hinge") else SGDRegressor
    stated = {
        "loss": problem.loss,
        "alpha": problem.alpha,
        "fit_intercept": problem.intercept,
        "shuffle": problem.shuffle,
    }
    if problem.loss == "huber":
        stated["epsilon"] = problem.epsilon
    return kind(**stated, random_state=0, **settings)


def fallline_course(problem, known, options):
    """fallline's solver: the points, and the fitted model."""
    course = Course(problem, known, options.passes)
    settings = {} if options.solver is None else {"solver": options.solver}
    with warnings.catch_warnings(), watched(course):
        warnings.simplefilter("ignore")
        model = estimator(problem, **settings).fit(problem.X, problem.y)
    return course.points, model


def lbfgs_course(problem, known, options):
    """L-BFGS on scaled columns: the points."""
    scaled, points = Scaled(problem, null_weights(problem)), []

    def value(v):
        objective, gradient = scaled.value(v)
        points.append(Point(len(points) + 1, known.gap(objective), np.nan, np.nan))
        return objective, gradient

    limits = {"maxfun": options.passes, "maxiter": options.passes, "maxcor": 10, "ftol": 0.0, "gtol": 1e-12}
    minimize(value, scaled.start, jac=True, method="L-BFGS-B", options=limits)
    return points


def reached(points, gap):
    """After how many passes the gap was first so small."""
    return next((point.passes for point in points if point.gap <= gap), _NEVER)


def measure(name, options):
    """What is to be said about a problem: a dictionary in a list, which is empty where the problem is too large for --quick."""
    problem = problems.make(name)
    if options.quick and problem.X.size > _QUICK:
        return []
    family = next(family for family, makers in problems.FAMILIES.items() if name in makers)
    known = optimum(name, problem)
    began = time.perf_counter()
    try:
        points, model = fallline_course(problem, known, options)
    except Exception as error:  # noqa: BLE001 (whatever it is, the other problems are wanted)
        print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
        points, model = [], None
    found = {
        "problem": name,
        "group": group_of(family, problem),
        "size": f"{problem.X.shape[0]:,} x {problem.X.shape[1]:,}" + (f" x {problem.outputs}" if problem.outputs > 1 else ""),
        "fallline": [reached(points, gap) for gap in TARGETS],
        "passes": points[-1].passes if points else _NEVER,
        "gap": points[-1].gap if points else _NEVER,
        "claimed": getattr(model, "optimality_", None),
        "stop": model.history_.stop.reason if model else "error",
        "test best": min((point.test for point in points), default=_NEVER),
        "test end": points[-1].test if points else _NEVER,
        "test optimum": problem.test_loss(known.weights),
        "seconds": time.perf_counter() - began,
    }  # fmt: skip
    if problem.smooth and options.beside:
        points = lbfgs_course(problem, known, options)
        found["L-BFGS"] = [reached(points, gap) for gap in TARGETS]
    print(
        name,
        *(f"{count:.3g}" for count in found["fallline"]),
        f"end {found['gap']:.1e}",
        file=sys.stderr,
        flush=True,
    )
    return [found]


def passes_in_words(passes):
    """A number of passes, or that it never came to that."""
    return "never" if passes == _NEVER else f"{passes:.2f}" if passes < 10 else f"{passes:.0f}"


def print_group(group, lines):
    """The problems of a group."""
    print(f"\n### {group[0].upper()}{group[1:]}\n")
    beside = "L-BFGS" in lines[0]
    table(
        ["problem", "rows x columns", "1%", "0.1%", "1e-6", "passes in all", "gap then", "by its own account", "why it ended",
         "test loss: best, at the end, at the optimum", *(["L-BFGS: 1%", "0.1%", "1e-6"] if beside else [])],
        [
            [line["problem"], line["size"], *map(passes_in_words, line["fallline"]), passes_in_words(line["passes"]),
             f"{line['gap']:.0e}", "" if line["claimed"] is None else f"{line['claimed']:.0e}", line["stop"],
             " ".join(f"{line[f'test {when}']:.4g}" for when in ("best", "end", "optimum")),
             *map(passes_in_words, line["L-BFGS"] if beside else [])]
            for line in lines
        ],
    )  # fmt: skip


def print_summary(lines):
    """How many problems of each group reached what, after how many passes in the median and at worst."""
    print("\n### Reached: problems (passes in the median, at worst)\n")
    rows = []
    for group in GROUPS:
        here = [line for line in lines if line["group"] == group]
        for solver in ("fallline", "L-BFGS"):
            found = [line[solver] for line in here if solver in line]
            if found:
                rows.append([group, len(found), solver, *map(reached_in_words, zip(*found, strict=True))])
    table(["problems", "number", "solver", "1%", "0.1%", "1e-6"], rows)


def reached_in_words(passes):
    """How many of some problems came to a target, and after how many passes in the median and at worst."""
    there = sum(count < _NEVER for count in passes)
    return f"{there} ({passes_in_words(statistics.median(passes))}, {passes_in_words(max(passes))})"


def main():
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="problem", help="by default all")
    parser.add_argument("--family", action="append", choices=list(problems.FAMILIES), default=[])
    parser.add_argument("--quick", action="store_true", help="small problems only")
    parser.add_argument("--passes", type=int, default=100, help="allowed to each solver (default 100)")
    parser.add_argument("--solver", help="a solver by its name, instead of fallline's own choice")
    parser.add_argument("--alone", dest="beside", action="store_false", help="leave L-BFGS out")
    parser.add_argument("--optima", action="store_true", help="only find the optima")
    parser.add_argument("--json", type=Path, help="write what was found to this file, too")
    options = parser.parse_args()
    lines = []
    for name in problems.choose(options.names, options.family):
        if options.optima:
            find_optimum(name)
        else:
            lines += measure(name, options)
    for group in GROUPS:
        here = [line for line in lines if line["group"] == group]
        if here:
            print_group(group, here)
    if lines:
        print_summary(lines)
    if options.json:
        options.json.write_text(json.dumps(lines, indent=1))


def find_optimum(name):
    """Find the optimum of a problem, unless it is known; say what it is."""
    problem, began = problems.make(name), time.perf_counter()
    known = optimum(name, problem)
    print(
        f"{name:14} {problem.X.shape[0]:7,} x {problem.X.shape[1]:7,} x {problem.outputs:2}  optimum {known.best:.10g}  "
        f"null {known.null:.6g}  off by at most {known.off:.0e}  {time.perf_counter() - began:.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
