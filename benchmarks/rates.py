"""SGD and Adam with the rate that they find themselves, against the best of a grid of 30 settings each; prints Markdown.

    FALLLINE_DATA=... python benchmarks/rates.py             every data set at hand: a quarter of an hour
    FALLLINE_DATA=... python benchmarks/rates.py adult a9a   these

Rows are encoded as `fallline train` does it. The grid of an optimizer is five rates, three schedules and batches of 32 and 256
rows; its best is picked by the loss on test rows, which no user could. Data of more than 60,000 rows are sampled, and all runs
make as many visits to rows.
"""

from __future__ import annotations

import os

# One thread, set before any library starts its own: the machine may be shared.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import gzip
import itertools
import math
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import quality
from fallline.data.budget import Budget
from fallline.data.encoder import make_plan
from fallline.data.order import Order
from fallline.data.part import ALL
from fallline.data.prepared import Preparing, encoded, prepare
from fallline.data.sources import open_source
from fallline.data.sources.options import ReadOptions
from fallline.engines.descent import DescentEngine
from fallline.engines.work import work_a_row
from fallline.errors import DivergenceError
from fallline.monitors.base import Run
from fallline.objective.domains import ANY_NUMBER
from fallline.objective.penalties import L2
from fallline.optim.optimizers import OPTIMIZERS
from fallline.settings import make_schedule
from fallline.training.losses import class_loss, regression_loss
from fallline.tuning import LEARNING_RATE, train_tuned
from measuring import table

RATES = {"sgd": (0.003, 0.01, 0.03, 0.1, 0.3), "adam": (0.0003, 0.001, 0.003, 0.01, 0.03)}
SCHEDULES = ("constant", "cosine", "one_cycle")
BATCH_SIZES = (32, 256)
_MOST_ROWS, _VISITS = 60_000, 2_000_000


def frames(one):
    """What reads a table of `quality`: its target, and a function to files to train and to test on."""

    def read(folder, scratch):
        paths = quality.written(one, folder, scratch, _MOST_ROWS)
        return [(path, None) for path in paths]

    return one.target, read


def libsvm(*paths):
    """The same of files of libsvm."""
    return None, lambda folder, _scratch: [(folder / path, None) for path in paths]


def digits(folder, _scratch):
    """The images and labels of MNIST."""

    def bytes_of(name, header):
        return np.frombuffer(gzip.decompress((folder / "mnist" / f"{name}-ubyte.gz").read_bytes()), np.uint8)[
            header:
        ]

    return [
        (bytes_of(f"{part}-images-idx3", 16).reshape(-1, 784).astype(np.float32),
         bytes_of(f"{part}-labels-idx1", 8))
        for part in ("train", "t10k")
    ]  # fmt: skip


SETS = {
    **{one.name: frames(one) for one in quality.SETS},
    "ijcnn1": libsvm("ijcnn1/ijcnn1.trn.bz2", "ijcnn1/ijcnn1.tst.bz2"),
    "a9a": libsvm("a9a/a9a", "a9a/a9a.t"),
    "MNIST": (None, digits),
}


def opened(data, target):
    """A source of a file, or of arrays."""
    if target is not None:
        return open_source(data, target_values=target)
    kind = None if data.suffix == ".csv" else "libsvm"
    return open_source(data, options=ReadOptions(format=kind))


def sources(name, folder):
    """Encoded rows to train and to test on, their loss, and the number of scores."""
    target, read = SETS[name]
    with tempfile.TemporaryDirectory() as scratch:
        return encoded_rows(*(opened(*given) for given in read(folder, Path(scratch))), target)


def encoded_rows(training, test, target):
    """Those of two sources, and what goes with them."""
    how = Preparing(Budget(4 * 10**9), None, True, ANY_NUMBER, "", lambda *_: None)
    # Of arrays the target comes last; a file of libsvm has its label first.
    names = training.schema.names
    chosen = target or (names[0] if len(names) == 2 else names[-1])
    task = None if target else "multiclass"
    prepared = prepare(training, make_plan(training, target=chosen, task=task), how)
    judging = encoded(test, prepared.encoder, how).source(ALL, how.budget)
    classes = prepared.encoder.classes
    loss = class_loss(None, len(classes)) if classes else regression_loss(None)
    outputs = len(classes) if classes and len(classes) > 2 else 1
    return prepared.source(ALL, how.budget), judging, loss, outputs


def trained(data, optimizer, rate, schedule, batch_size):
    """The run, and its loss on test rows; infinite where it diverged. A rate or size of None is found."""
    training, judging, loss, outputs = data
    epochs = min(max(math.ceil(_VISITS / training.n_rows), 5), 100)

    def engine_for(highest, size, updates):
        given = {"eta0": highest, "warmup": None}
        develops = make_schedule(schedule, loss, given, epochs, updates / epochs)
        return DescentEngine(loss, OPTIMIZERS[optimizer](), develops, size, L2(1 / training.n_rows))

    begin = engine_for(1.0, 1, epochs)
    state = begin.start(training.n_columns, outputs, training.dtype)
    run = Run(begin, training, Order(0), state, epochs)
    cost = work_a_row(training, outputs, begin.optimizer)
    try:
        train_tuned(run, engine_for=engine_for, rate=rate, batch_size=batch_size, cost=cost)
    except DivergenceError:
        return run, math.inf
    return run, begin.measure(judging, run.engine.weights(run.state))


def compare(name, optimizer, data):
    """A line of the table."""
    began = time.perf_counter()
    grid = {
        setting: trained(data, optimizer, *setting)[1]
        for setting in itertools.product(RATES[optimizer], SCHEDULES, BATCH_SIZES)
    }
    best = min(grid, key=grid.get)
    line = [
        name,
        optimizer,
        f"{grid[best]:.5g}",
        f"{best[0]:g} {best[1]} {best[2]}",
        above(np.median(list(grid.values())), grid[best]),
    ]
    for batch_size in (*BATCH_SIZES, None):
        run, loss = trained(data, optimizer, None, "cosine", batch_size)
        note = run.state.notes[LEARNING_RATE]
        line += [above(loss, grid[best]), f"{note['value']:.2g}"]
    line += [run.engine.batch_size, f"{note['visits'] / run.state.rows:.1%}"]
    print(*line, f"{time.perf_counter() - began:.0f} s", sep=" | ", file=sys.stderr, flush=True)
    return line


def above(loss, aim):
    """By how much a loss is above what is aimed at."""
    return f"{100 * (loss / aim - 1):+.1f}%" if math.isfinite(loss) else "diverged"


def main():
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="data set", help="beginnings of names; by default all")
    options = parser.parse_args()
    if not os.environ.get("FALLLINE_DATA"):
        raise SystemExit("Name the folder of data sets in FALLLINE_DATA.")
    folder = Path(os.environ["FALLLINE_DATA"])
    chosen = [name for name in SETS if not options.names or name.startswith(tuple(options.names))]
    lines = []
    for name in chosen:
        data = sources(name, folder)
        lines += [compare(name, optimizer, data) for optimizer in RATES]
    print("\n### Loss on test rows with the rate found, against the best of 30 settings\n")
    found = [what for size in (*BATCH_SIZES, "auto") for what in (f"batch {size}", "its rate")]
    table(
        [
            "data set",
            "optimizer",
            "best of grid",
            "which",
            "median of grid",
            *found,
            "batch found",
            "visits of the probe",
        ],
        lines,
    )


if __name__ == "__main__":
    main()
