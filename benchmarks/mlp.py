"""MLPClassifier beside scikit-learn's and a hand-written PyTorch loop, on MNIST; prints Markdown.

    FALLLINE_DATA=FOLDER python benchmarks/mlp.py [--rounds N] [--threads N] [--busy] [--hidden N] [--whole]

The folder has the four files of MNIST in `mnist/`; pixels are divided by 255, and nothing else. Contenders take turns in one
process. First, what an epoch takes: the median of the rounds, and the least in brackets. Then, from several seeds, the seconds of
training until 98% of the test images are right. `--whole` adds what `fit` comes to with all defaults. On a busy machine, `--busy`
counts the processor's time instead of the clock's; that means something where there is one thread.
"""

from __future__ import annotations

import argparse
import gzip
import os
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn import neural_network
from threadpoolctl import threadpool_limits
from torch.nn import functional

from fallline import MLPClassifier
from measuring import table

GOAL, MOST_EPOCHS = 0.98, 40


def mnist():
    """Training images and labels, then those to test on; pixels from 0 to 1, float32."""
    folder = Path(os.environ["FALLLINE_DATA"]) / "mnist"
    parts = []
    for name in ("train", "t10k"):
        pixels = gzip.decompress((folder / f"{name}-images-idx3-ubyte.gz").read_bytes())[16:]
        labels = gzip.decompress((folder / f"{name}-labels-idx1-ubyte.gz").read_bytes())[8:]
        X = np.frombuffer(pixels, np.uint8).reshape(-1, 784).astype(np.float32) / np.float32(255)
        parts += [X, np.frombuffer(labels, np.uint8).astype(np.int64)]
    return parts


class Estimator:
    """An estimator with scikit-learn's interface, epoch by epoch."""

    def __init__(self, kind, hidden, batch_size, seed):
        # With an integer, scikit-learn's partial_fit would visit the rows in the same order in every epoch.
        generator = np.random.RandomState(seed)
        self.model = kind(hidden_layer_sizes=(hidden,), batch_size=batch_size, random_state=generator)

    def epoch(self, X, y):
        """One pass."""
        self.model.partial_fit(X, y, classes=np.arange(10))

    def right(self, X, y):
        """The share of rows that are told rightly."""
        return self.model.score(X, y)


class Loop:
    """A loop as one writes it with care: rows gathered batch by batch, and the fused optimizer."""

    def __init__(self, hidden, batch_size, seed):
        torch.manual_seed(seed)
        self.module = torch.nn.Sequential(
            torch.nn.Linear(784, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 10)
        )
        self.optimizer = torch.optim.Adam(self.module.parameters(), fused=True)
        self.batch_size = batch_size

    def epoch(self, X, y):
        """One pass."""
        x, t = torch.from_numpy(X), torch.from_numpy(y)
        for rows in torch.randperm(len(x)).split(self.batch_size):
            self.optimizer.zero_grad()
            functional.cross_entropy(self.module(x[rows]), t[rows]).backward()
            self.optimizer.step()

    @torch.no_grad()
    def right(self, X, y):
        """The share of rows that are told rightly."""
        return float((self.module(torch.from_numpy(X)).argmax(1).numpy() == y).mean())


CONTENDERS = {
    "fallline MLPClassifier": lambda *settings: Estimator(MLPClassifier, *settings),
    "scikit-learn MLPClassifier": lambda *settings: Estimator(neural_network.MLPClassifier, *settings),
    "PyTorch, a hand-written loop": Loop,
}


def an_epoch(data, hidden, batch_size, rounds, clock):
    """What an epoch takes."""
    X, y, _, _ = data
    models = {name: make(hidden, batch_size, 0) for name, make in CONTENDERS.items()}
    found = {name: [] for name in models}
    for turn in range(rounds + 1):
        for name, model in models.items():
            began = clock()
            model.epoch(X, y)
            if turn:
                found[name].append(clock() - began)
    print(f"\n### 784-{hidden}-10, batch {batch_size}: an epoch of {len(X):,} images\n")
    ours = next(iter(found.values()))
    lines = [
        [
            name,
            f"{1e3 * statistics.median(times):.0f} [{1e3 * min(times):.0f}]",
            f"{statistics.median(times) / statistics.median(ours):.2f} [{min(times) / min(ours):.2f}]",
        ]
        for name, times in found.items()
    ]
    table(["contender", "ms", "times fallline's"], lines)


def until_right(data, hidden, seeds, clock):
    """How long training takes until enough test images are right."""
    X, y, X_test, y_test = data
    found = {name: [] for name in CONTENDERS}
    for seed in range(seeds):
        for name, make in CONTENDERS.items():
            model, seconds, right, epochs = make(hidden, 200, seed), 0.0, 0.0, 0
            while right < GOAL and epochs < MOST_EPOCHS:
                began = clock()
                model.epoch(X, y)
                seconds, epochs = seconds + clock() - began, epochs + 1
                right = model.right(X_test, y_test)
            found[name].append((seconds if right >= GOAL else np.inf, epochs))
    print(f"\n### 784-{hidden}-10, batch 200: until {GOAL:.0%} of the test images are right, {seeds} seeds\n")
    ours = statistics.median(seconds for seconds, _ in found["fallline MLPClassifier"])
    lines = [
        [
            name,
            ", ".join(f"{seconds:.1f}" for seconds, _ in times),
            ", ".join(str(epochs) for _, epochs in times),
            f"{statistics.median(seconds for seconds, _ in times) / ours:.2f}",
        ]
        for name, times in found.items()
    ]
    table(["contender", "s", "epochs", "times fallline's, median"], lines)


def whole(data, seeds, clock):
    """`fit` with all defaults."""
    X, y, X_test, y_test = data
    kinds = {"fallline": MLPClassifier, "scikit-learn": neural_network.MLPClassifier}
    found = {name: [] for name in kinds}
    for seed in range(seeds):
        for name, kind in kinds.items():
            began = clock()
            model = kind(random_state=seed).fit(X, y)
            found[name].append((clock() - began, model.n_iter_, model.score(X_test, y_test)))
    print(f"\n### All defaults: `MLPClassifier().fit(X, y)`, {seeds} seeds\n")
    lines = [
        [
            name,
            ", ".join(f"{seconds:.1f}" for seconds, *_ in times),
            ", ".join(str(epochs) for _, epochs, _ in times),
            ", ".join(f"{right:.2%}" for *_, right in times),
        ]
        for name, times in found.items()
    ]
    table(["MLPClassifier of", "s", "epochs", "test images right"], lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--whole", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(given.threads)
    clock = time.thread_time if given.busy else time.perf_counter
    data = mnist()
    with threadpool_limits(given.threads):
        an_epoch(data, 128, 128, given.rounds, clock)
        an_epoch(data, 100, 200, given.rounds, clock)
        if given.seeds:
            until_right(data, given.hidden, given.seeds, clock)
        if given.whole:
            whole(data, max(given.seeds, 1), clock)
