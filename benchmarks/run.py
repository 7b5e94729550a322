"""Speed, side by side with the rivals in one run; prints Markdown.

    scripts/bench                    everything, as in docs/benchmarks.md (about ten minutes, 6 GB of memory)
    scripts/bench --rows 100000      a quick look

Times are medians over rounds in which all contenders take turns, so that a machine that drifts drifts for all. The cost
of an epoch is that of the later epochs of one fit, (time of 1 + k epochs - time of 1 epoch) / k: what comes before the
first epoch, which is the same in every library or compiled once, is shown apart.
"""

from __future__ import annotations

import os

# One thread for all, set before any library starts its own.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from numba import njit
from scipy.sparse import csr_matrix
from sklearn import linear_model

import fallline
import rivals
from fallline.kernels.blocks import DenseBlock, fetch_row

COLUMNS = 100


def data(rows):
    """Normal columns and labels that a linear model half explains; float32, row-major."""
    generator = np.random.default_rng(0)
    X = np.empty((rows, COLUMNS), np.float32)
    for start in range(0, rows, 100_000):
        X[start : start + 100_000] = generator.standard_normal(
            (len(X[start : start + 100_000]), COLUMNS), np.float32
        )
    w = generator.standard_normal(COLUMNS, np.float32)
    return X, (X @ w + 10 * generator.standard_normal(rows, np.float32) > 0).astype(np.int64)


def seconds(function, *arguments):
    """Wall-clock seconds of one call."""
    began = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began


def epoch_seconds(rival, X, y, batch_size, shuffle, more=1):
    """Seconds of a later epoch, and of a fit of one epoch."""
    one = seconds(rival.fit, X, y, batch_size, shuffle, 1)
    several = seconds(rival.fit, X, y, batch_size, shuffle, 1 + more)
    return (several - one) / more, one


def table(header, rows):
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    print("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines), flush=True)


def against_rivals(rows, rounds):
    """One epoch of every contender, reshuffled and in order; and the bandwidth of memory."""
    X, y = data(rows)
    present, absent = rivals.available()
    contests = [(rival, shuffle) for rival in present for shuffle in rival.ORDERS]
    for rival, shuffle in contests:
        rival.fit(X[:5000], y[:5000], 32, shuffle, 1)
    found = {contest: [] for contest in contests}
    sums = []
    for round_ in range(rounds):
        for rival, shuffle in contests:
            slow = rival.__name__.endswith(("loader", "index"))
            if slow and round_ >= 2:
                continue
            found[rival, shuffle].append(epoch_seconds(rival, X, y, 32, shuffle, more=1 if slow else 4))
        sums.append(seconds(X.sum))
    ours = next(rival for rival in present if rival.NAME == "fallline")
    medians = {
        contest: [statistics.median(column) for column in zip(*times, strict=True)]
        for contest, times in found.items()
    }
    print(f"\n### One epoch, {rows:,} x {COLUMNS} float32, log loss, batch 32, one thread\n")
    table(
        [
            "contender",
            "rows",
            "ns a row, later epochs",
            "times fallline's",
            "a fit of one epoch, ms",
            "times fallline's",
        ],
        [
            [
                rival.NAME,
                "reshuffled" if shuffle else "in order",
                f"{1e9 * epoch / rows:.1f}",
                f"{epoch / medians[ours, shuffle][0]:.1f}",
                f"{1e3 * one:.0f}",
                f"{one / medians[ours, shuffle][1]:.1f}",
            ]
            for (rival, shuffle), (epoch, one) in sorted(
                medians.items(), key=lambda item: (not item[0][1], item[1][0])
            )
        ],
    )
    read = statistics.median(sums)
    in_order = medians[ours, False][0]
    print(f"\nA sum over the array (`X.sum()`) takes {1e9 * read / rows:.1f} ns a row, {X.nbytes / read / 1e9:.1f} GB/s. "
          f"fallline's epoch in order reads at {X.nbytes / in_order / 1e9:.1f} GB/s, {read / in_order:.2f} of that.")  # fmt: skip
    if absent:
        print(f"\nLeft out, because not installed: {', '.join(absent)}.")


@njit
def touched(X, rows):
    """Read a number of every cache line of the rows, in this order, fetched ahead as in training: what memory alone takes."""
    total, block = np.float32(0), DenseBlock(X, X, X[0], rows)
    for i in range(len(rows)):
        fetch_row(block, i)
        for j in range(0, X.shape[1], 16):
            total += X[rows[i], j]
    return total


def flatness(rows, rounds):
    """The cost of a row against the number of rows, and against the batch size."""
    ours = next(rival for rival in rivals.available()[0] if rival.NAME == "fallline")
    X, y = data(max(rows * 10, 10_000))
    sizes = [size for size in (10_000, 100_000, 1_000_000, 10_000_000) if size <= len(X)]

    def cost(size, batch_size, shuffle):
        more = max(2, 3_000_000 // size)
        times = [epoch_seconds(ours, X[:size], y[:size], batch_size, shuffle, more)[0] for _ in range(rounds)]
        return f"{1e9 * statistics.median(times) / size:.1f}"

    print("\n### Cost of a row in ns against the number of rows, batch 32\n")

    def least(n):
        order = np.random.default_rng(0).permutation(n).astype(np.uint64)
        times = [seconds(touched, X[:n], order) for _ in range(rounds + 1)]
        return f"{1e9 * statistics.median(times[1:]) / n:.1f}"

    table(
        ["rows", "in order", "reshuffled", "touched at random, nothing else"],
        [[f"{n:,}", cost(n, 32, False), cost(n, 32, True), least(n)] for n in sizes],
    )
    print(f"\n### Cost of a row in ns against the batch size, {rows:,} rows\n")
    batches = [1, 8, 32, 128, 1024, 32_768, "full"]
    table(
        ["batch size", "in order", "reshuffled"],
        [[b, cost(rows, b, False), cost(rows, b, True)] for b in batches],
    )


NON_ZEROS = 75
SPARSE_COLUMNS = 47_000


def sparse_data(rows, *, often):
    """Rows of 75 non-zeros and numbers that a linear model explains. `often`: few columns come often, as words do."""
    generator = np.random.default_rng(0)
    place = generator.random((rows, NON_ZEROS)) ** (3 if often else 1)
    indices = np.sort((SPARSE_COLUMNS * place).astype(np.int32), axis=1).ravel()
    values = generator.random(rows * NON_ZEROS, np.float32) / np.float32(NON_ZEROS**0.5)
    indptr = np.arange(0, len(values) + 1, NON_ZEROS, dtype=np.int32)
    X = csr_matrix((values, indices, indptr), shape=(rows, SPARSE_COLUMNS))
    X.sum_duplicates()
    w = generator.standard_normal(SPARSE_COLUMNS, np.float32)
    return X, X @ w + generator.standard_normal(rows, np.float32) / 10


def on_sparse_rows(rows, rounds):
    """One epoch on sparse rows beside scikit-learn's, for two penalties, reshuffled and in order."""
    settings = {"learning_rate": "constant", "eta0": rivals.RATE, "alpha": 1e-5, "tol": None, "random_state": 0}  # fmt: skip
    makers = {
        "fallline": lambda **more: fallline.SGDRegressor(batch_size=32, **settings, **more),
        "scikit-learn": lambda **more: linear_model.SGDRegressor(**settings, **more),
    }
    lines = []
    for often, penalty in itertools.product((False, True), ("l2", "l1")):
        X, y = sparse_data(rows, often=often)
        found = {contest: [] for contest in itertools.product(makers, (True, False))}
        for round_ in range(rounds + 1):
            for (name, shuffle), times in found.items():
                one, nine = (
                    seconds(makers[name](penalty=penalty, shuffle=shuffle, max_iter=k).fit, X, y)
                    for k in (1, 9)
                )
                # The first round compiles.
                if round_:
                    times.append(1e9 * (nine - one) / 8 / X.nnz)
        medians = {contest: statistics.median(times) for contest, times in found.items()}
        for shuffle in (True, False):
            ours, theirs = (medians[name, shuffle] for name in makers)
            which = ["few often, most seldom" if often else "all as often", penalty]
            which.append("reshuffled" if shuffle else "in order")
            ratios = [f"{other / ours:.1f}" for other in (theirs, medians["scikit-learn", True])]
            lines.append([*which, f"{ours:.2f}", f"{theirs:.2f}", *ratios])
    print(f"\n### One sparse epoch, {rows:,} rows x {NON_ZEROS} non-zeros of {SPARSE_COLUMNS:,} columns, float32, squared error, "
          "batch 32 (scikit-learn: 1), one thread\n")  # fmt: skip
    header = ["columns", "penalty", "rows", "fallline, ns a non-zero", "scikit-learn", "times as fast"]
    table([*header, "times, theirs reshuffled"], lines)


# Linux keeps the highest resident size, and sets it back when asked to: what a fit needs is counted from just before it.
_MEMORY = """
import pathlib, re, sys, numpy as np
from fallline import SGDClassifier
model = SGDClassifier(loss="log_loss", learning_rate="constant", batch_size=32, max_iter=2, tol=None, random_state=0)
X = np.load(sys.argv[1]); y = np.load(sys.argv[2])
model.fit(X[:1000], y[:1000])
def megabytes(which):
    return int(re.search(which + r":\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1024
pathlib.Path("/proc/self/clear_refs").write_text("5")
before = megabytes("VmRSS")
model.fit(X, y)
print(megabytes("VmHWM") - before)
"""

_FIRST_FIT = """
import time, numpy as np
from fallline import SGDClassifier
X = np.random.default_rng(0).standard_normal((1000, 20), dtype=np.float32); y = (X[:, 0] > 0).astype(int)
began = time.perf_counter()
SGDClassifier(loss="log_loss", batch_size=32, max_iter=5, tol=None).fit(X, y)
print(time.perf_counter() - began)
"""

_IMPORT = "import time; began = time.perf_counter(); import fallline; print(time.perf_counter() - began)"


def in_fresh_process(code, *arguments, **environment):
    """The number that a fresh interpreter prints."""
    command = [sys.executable, "-c", code, *arguments]
    return float(
        subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True).stdout
    )


def start_up(rows):
    """Import, first fit and memory, each in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        X, y = data(rows)
        np.save(f"{folder}/X.npy", X)
        np.save(f"{folder}/y.npy", y)
        memory = in_fresh_process(_MEMORY, f"{folder}/X.npy", f"{folder}/y.npy")
        cold = in_fresh_process(_FIRST_FIT, NUMBA_CACHE_DIR=folder)
    warm = statistics.median(in_fresh_process(_FIRST_FIT) for _ in range(5))
    imported = statistics.median(in_fresh_process(_IMPORT) for _ in range(5))
    print("\n### Start and memory\n")
    table(
        ["what", "measured"],
        [
            [f"peak memory of a fit beyond the array of {rows:,} x {COLUMNS} float32", f"{memory:.0f} MB"],
            ["`import fallline`", f"{imported:.3f} s"],
            ["first fit of a process, kernels in the cache", f"{warm:.3f} s"],
            ["first fit of a process, everything to be compiled", f"{cold:.2f} s"],
        ],
    )


def main():
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "parts", nargs="*", choices=["rivals", "flatness", "sparse", "start", []], help="by default all"
    )
    options = parser.parse_args()
    parts = options.parts or ["rivals", "flatness", "sparse", "start"]
    if "rivals" in parts:
        against_rivals(options.rows, options.rounds)
    if "flatness" in parts:
        flatness(options.rows, options.rounds)
    if "sparse" in parts:
        on_sparse_rows(options.rows // 5, options.rounds)
    if "start" in parts:
        start_up(options.rows)


if __name__ == "__main__":
    main()
