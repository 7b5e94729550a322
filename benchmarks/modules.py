"""How fast small networks are trained, beside hand-written loops and other libraries; prints Markdown.

    python benchmarks/modules.py [--rounds N] [--threads N] [--rows N] [--problem 784-128-10] [--busy]

Contenders take turns in one process; those whose libraries are not installed are left out with a word. An epoch's time is what
five more epochs take beyond one, a fifth of it; what is told is the median of the rounds, and the least in brackets. On a busy
machine, `--busy` counts the processor's time instead of the clock's; that means something where there is one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import module_rivals
from measuring import table

# Columns, hidden units, outputs (1: a number), rows of a batch, rows.
PROBLEMS = {"784-128-10": (784, 128, 10, 128, 20_000), "20-64-1": (20, 64, 1, 32, 10_000)}
EPOCHS = 5


def rows_of(columns, outputs, n):
    """Rows and targets drawn at random."""
    generator = np.random.default_rng(0)
    X = generator.standard_normal((n, columns), dtype=np.float32)
    if outputs == 1:
        return X, generator.standard_normal((n, 1), dtype=np.float32)
    return X, generator.integers(0, outputs, n)


def seconds(clock, rival, *settings, epochs):
    """How long a fit takes."""
    began = clock()
    rival.fit(*settings, epochs)
    return clock() - began


def compare(name, rounds, n, clock):
    """One problem, all contenders."""
    columns, hidden, outputs, batch_size, usual = PROBLEMS[name]
    present, absent = module_rivals.available()
    settings = (*rows_of(columns, outputs, n or usual), hidden, batch_size)
    found = {rival: [] for rival in present}
    for rival in present:
        seconds(clock, rival, *settings, epochs=1)
    for _ in range(rounds):
        for rival, times in found.items():
            once = seconds(clock, rival, *settings, epochs=1)
            times.append((seconds(clock, rival, *settings, epochs=1 + EPOCHS) - once) / EPOCHS)
    ours = next(iter(found.values()))
    print(f"\n### {name}, batch {batch_size}, {len(settings[0]):,} rows, {torch.get_num_threads()} threads\n")
    lines = [
        [
            rival.NAME,
            f"{1e3 * statistics.median(times):.0f} [{1e3 * min(times):.0f}]",
            f"{1e6 * min(times) / (len(settings[0]) / batch_size):.0f}",
            f"{statistics.median(times) / statistics.median(ours):.2f} [{min(times) / min(ours):.2f}]",
        ]
        for rival, times in found.items()
    ]
    table(["contender", "ms an epoch", "µs an update, least", "times fallline's"], lines)
    for rival in absent:
        print(f"\n{rival[2:]} is not installed, and left out.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rows", type=int)
    parser.add_argument("--problem", choices=PROBLEMS, action="append")
    parser.add_argument("--busy", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    threadpool_limits(given.threads)
    for problem in given.problem or PROBLEMS:
        compare(problem, given.rounds, given.rows, time.process_time if given.busy else time.perf_counter)
