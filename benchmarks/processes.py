"""Linear models from files on one process and on several, beside each other; prints Markdown.

    python benchmarks/processes.py             two processes, about three minutes on two quiet cores
    python benchmarks/processes.py --every     several intervals between averages, too: what the usual one was chosen by

Every run is a process of its own (or several, under torchrun), on encoded rows that are in the cache. Runs take turns; of each,
the best round counts. Rows per second are those of training, the first epoch left out, and all that processes wait for each
other within it. On a machine that does other things at the same time, ratios mean little: give more --rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from measuring import table

TRAIN = """
import json, sys
import fallline
from fallline.parallel import find

model = fallline.train(**json.loads(sys.argv[1]))
if find().rank == 0:
    print(json.dumps(model.summary["training"]))
"""

SHAPES = {
    "28 columns, batches of 32": {"columns": 28, "batch_size": 32},
    "100 columns, batches of 32": {"columns": 100, "batch_size": 32},
    "100 columns, batches of 256": {"columns": 100, "batch_size": 256},
    "all found": {"columns": 50},
    "4,096 columns, sparse": {"columns": 4096, "batch_size": 64, "sparse": True},
}
EPOCHS = 6


def made(folder, columns, rows, sparse):
    """A file of numbers, or of text in which words are few of many, with a target of two classes."""
    import pandas as pd

    path = folder / f"{rows}x{columns}.parquet"
    if path.exists():
        return path
    generator = np.random.default_rng(0)
    if sparse:
        rows //= 4
        words = (columns * generator.random((rows, 20)) ** 2).astype(int)
        score = np.take(generator.standard_normal(columns), words).sum(1) / 3
        frame = pd.DataFrame({"text": [" ".join(f"w{word}" for word in row) for row in words]})
    else:
        X = generator.standard_normal((rows, columns), dtype=np.float32)
        score = X @ generator.standard_normal(columns).astype(np.float32) / 3
        frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(columns)])
    frame["y"] = np.where(score + generator.logistic(size=rows) > 0, "yes", "no")
    frame.to_parquet(path)
    return path


def trained(settings, processes):
    """What training says of itself, on so many processes."""
    launch = (
        ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        if processes > 1
        else []
    )
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(TRAIN)
        script.flush()
        command = [sys.executable, *launch, script.name, json.dumps(settings)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True,
                              env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def best(rounds):
    """Of all rounds the one with most rows a second."""
    return max(rounds, key=lambda found: found["rows_a_second"])


def compared(name, shape, options, folder):
    """A line a number of processes and an interval: rows a second, and the loss at the end."""
    shape = dict(shape)
    columns, sparse = shape.pop("columns"), shape.pop("sparse", False)
    path = made(folder, columns, options.rows, sparse)
    given = {
        "data": str(path), "target": "y", "solver": "descent", "epochs": EPOCHS, "memory": options.memory,
        "cache": str(folder / "cache"), **({"text": ["text"]} if sparse else {}), **shape,
    }  # fmt: skip
    ways = {1: [None], options.processes: [None, 16, 256, 4096, 65536] if options.every else [None]}
    rounds = {(many, every): [] for many, intervals in ways.items() for every in intervals}
    trained({**given, "epochs": 1}, 1)  # writes the cache, compiles
    trained({**given, "epochs": 1, "sync_every": 64}, options.processes)
    for _ in range(options.rounds):
        for (many, every), found in rounds.items():
            found.append(trained({**given, "sync_every": every}, many))
    one = best(rounds[1, None])
    for (many, _), found in rounds.items():
        it = best(found)
        yield (
            name,
            many,
            f"{it.get('sync_every', ''):,}" if many > 1 else "",
            f"{it['rows_a_second'] / 1e6:.2f}",
            f"{it['rows_a_second'] / one['rows_a_second']:.2f}",
            f"{it['loss_at_end']:.5f}",
            f"{it['loss_at_end'] / one['loss_at_end'] - 1:+.2%}",
        )


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shapes", nargs="*", choices=[*SHAPES, []], help="some of them (default: all)")
    parser.add_argument("--every", action="store_true", help="several intervals")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", default="1GB", help="of each process")
    parser.add_argument("--folder", type=Path, help="where files and cache are kept (default: nowhere)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        lines = [
            line
            for name in options.shapes or SHAPES
            for line in compared(name, SHAPES[name], options, folder)
        ]
    head = ("", "processes", "updates between means", "million rows/s", "times one", "loss", "against one")
    table(head, lines)


if __name__ == "__main__":
    main()
