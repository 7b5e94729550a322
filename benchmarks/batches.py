"""How fast batches come, beside PyTorch's ways, and what reading them from files costs a module; prints Markdown.

    python benchmarks/batches.py            rows in memory: one epoch of batches, with nothing done to them
    python benchmarks/batches.py stream     a module fed from a Parquet file larger than its memory, and from memory

Contenders take turns in one process; times are medians of the rounds, and the least in brackets. On a machine that is busy
with other work, only the last column says much: what the processors did, worker processes left out. `stream` writes 300 MB to a
temporary folder, and as much to the cache there; the module is 784-128-10 with a fused Adam, in a loop written by hand and in
`fallline.torch.fit`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

import fallline.torch
from fallline.monitors.base import Monitor
from measuring import table

SETTINGS = ((60_000, 784, 128), (200_000, 20, 32))


def fallline_batches(X, y, size):
    """Ours."""
    return fallline.torch.batches((X, y), size)


def indexed(X, y, size):
    """Epochs as most loops without a loader make them."""
    while True:
        order = torch.randperm(len(X))
        yield ((X[rows], y[rows]) for rows in order.split(size))


def selected(X, y, size):
    """The same by the function that is made for it."""
    while True:
        order = torch.randperm(len(X))
        yield ((X.index_select(0, rows), y.index_select(0, rows)) for rows in order.split(size))


def loader(X, y, size, **settings):
    """PyTorch's own."""
    return DataLoader(TensorDataset(X, y), size, shuffle=True, **settings)


CONTENDERS = {
    "`fallline.torch.batches`": fallline_batches,
    "`X[rows]`, `torch.randperm`": lambda *data: Epochs(indexed(*data)),
    "`X.index_select(0, rows)`": lambda *data: Epochs(selected(*data)),
    "`DataLoader(TensorDataset)`": loader,
    "the same, two workers": lambda *data: loader(*data, num_workers=2, persistent_workers=True),
}


class Epochs:
    """The next of some iterators, every time that it is iterated over."""

    def __init__(self, epochs):
        self._epochs = epochs

    def __iter__(self):
        return next(self._epochs)


def seconds(work):
    """How long a work takes, and how long processors work on it in this process."""
    began = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began[0], time.process_time() - began[1]


def in_turns(works, rounds):
    """Seconds of each work in each round, after one that is not counted."""
    for work in works.values():
        work()
    found = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found[name].append(seconds(work))
    return found


def lines(found, of):
    """A line a contender: milliseconds, the least, how many times as long as the first's, and the least of the processors'."""
    first = statistics.median(wall for wall, _ in found[next(iter(found))])
    for name, times in found.items():
        walls, busy = zip(*times, strict=True)
        median = statistics.median(walls)
        yield [
            of, name, f"{median * 1e3:,.0f} [{min(walls) * 1e3:,.0f}]", f"{median / first:.2f}", f"{min(busy) * 1e3:,.0f}"
        ]  # fmt: skip


HEADER = ["rows", "batches from", "ms an epoch", "times", "of processors, ms"]


def in_memory(rounds):
    """All contenders on rows in memory."""
    rows = []
    for n, columns, size in SETTINGS:
        X, y = torch.randn(n, columns), torch.randint(10, (n,))
        works = {}
        for name, make in CONTENDERS.items():
            if "workers" in name and columns < 100:
                continue  # a minute an epoch
            batches = make(X, y, size)
            works[name] = lambda batches=batches: [None for _ in batches]
        rows += lines(in_turns(works, rounds), f"{n:,} x {columns}, batch {size}")
    table(HEADER, rows)


def write_images(path, n):
    """Rows of 784 pixels and a class, in Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    generator = np.random.default_rng(0)
    names = [f"p{j}" for j in range(784)]
    writer = None
    for _ in range(0, n, 20_000):
        pixels = generator.random((20_000, 784), dtype=np.float32)
        found = pa.table([*pixels.T.copy(), generator.integers(0, 10, 20_000)], [*names, "label"])
        writer = writer or pq.ParquetWriter(path, found.schema, compression="none")
        writer.write_table(found)
    writer.close()


def module():
    """What is trained."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))


def trainer(batches):
    """A function that trains a module for an epoch, in a loop written by hand."""
    trained = module()
    optimizer = torch.optim.Adam(trained.parameters(), fused=True)

    def epoch():
        for x, y in batches:
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(trained(x), y).backward()
            optimizer.step()

    return epoch


class Second(Monitor):
    """Times the second epoch, its waiting for rows included."""

    def after_epoch(self, run):
        """Begin after the first, end after the second."""
        now = np.array([time.perf_counter(), time.process_time()])
        self.took = now - self.began if run.state.epoch == 2 else None
        self.began = now


def fitted(path, **settings):
    """Seconds that `fit` takes for its second epoch."""
    second = Second()
    fallline.torch.fit(
        module(), path, loss="cross_entropy", optimizer="adam", batch_size=128, epochs=2, device="cpu", progress=False,
        monitors=[second], **settings,
    )  # fmt: skip
    return second.took


def stream(rounds, n=100_000):
    """A module fed from a file in windows, and from memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "images.parquet")
        write_images(path, n)
        how = {"target": "label", "task": "multiclass", "cache": folder}
        shown = {"the same rows in memory": "8GB", "files, 128 MB of memory": "128MB"}
        batches = {
            name: fallline.torch.batches(path, 128, memory=memory, **how) for name, memory in shown.items()
        }
        works = {f"{name}; loop": trainer(found) for name, found in batches.items()}
        works["files, with nothing done to the batches"] = lambda: [
            None for _ in batches["files, 128 MB of memory"]
        ]
        found = in_turns(works, rounds)
        found |= {f"{name}; `fit`": [] for name in shown}
        for _ in range(rounds):
            for name, memory in shown.items():
                found[f"{name}; `fit`"].append(fitted(path, memory=memory, **how))
    table(HEADER, lines(found, f"{n:,} x 784, batch 128"))


def main():
    """Read what was asked for, and measure it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", default="memory", choices=("memory", "stream"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1, help="PyTorch's; by default 1")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    (stream if asked.what == "stream" else in_memory)(asked.rounds)


if __name__ == "__main__":
    main()
