"""Files larger than memory, beside the rivals in one run; prints Markdown.

    python benchmarks/files.py               moderate sizes: 3,000,000 rows, 2 GB of disk, some minutes
    python benchmarks/files.py --full        30,000,000 rows of Parquet and 4 GB of CSV: 40 GB of disk, half an hour
    python benchmarks/files.py rates memory  some parts only

Times are medians over rounds in which all contenders take turns. The part `pipelines` needs pandas and vowpalwabbit: what is not
installed is left out, or say with --rivals which Python has them. The part `quality` reads the folder that FALLLINE_DATA names.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import data
import measuring
import quality
from measuring import forget, reading_seconds, table

HERE = Path(__file__).parent
PARTS = ("rates", "memory", "pipelines", "quality")
PIPELINES = ("fallline_command", "fallline_defaults", "pandas_scikit_learn", "vowpal_wabbit")
MORE_EPOCHS = 9
# Passes that all do the same; a solver would make as many as it needs.
DESCENT = ("--optimizer", "adam", "--learning-rate", "0.01", "--batch-size", "128")
_CONVERT = "convert to its text"  # a stage

_DECODE = """
import sys, time, pyarrow, pyarrow.parquet
pyarrow.set_cpu_count(int(sys.argv[2]))
began = time.perf_counter()
for batch in pyarrow.parquet.ParquetFile(sys.argv[1]).iter_batches():
    pass
print(time.perf_counter() - began)
"""


def medians(rounds):
    """The median of each measure over the rounds."""
    return {name: statistics.median(found[name] for found in rounds) for name in rounds[0]}


def numbers_file(options, ending):
    """The generated file of 100 columns, made when it is not there."""
    rows = options.rows if ending == "parquet" else options.csv_rows
    return data.made(options.folder / f"numbers-{rows}.{ending}", lambda: data.numbers(rows))


def rates(options):
    """First and later passes against decoding and reading with nothing done."""
    path = numbers_file(options, "parquet")
    rounds = {kept: [one_round(path, kept, options) for _ in range(options.rounds)] for kept in (True, False)}
    print(f"\n### Passes over {options.rows:,} x {data.COLUMNS} float32, --memory {options.memory}\n")
    lines = []
    for kept, found in rounds.items():
        lines += rate_lines(medians(found), "the system's cache" if kept else "disk", path.stat().st_size)
    table(["pass", "file comes from", "s", "GB/s", "beside", "s", "rate against it"], lines)


def one_round(path, kept, options):
    """Seconds of each contender, the files kept in the system's memory or read from the disk."""
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        prepare = reading_seconds if kept else forget
        settings = ("--memory", options.memory, "--cache", folder)
        found = {}
        prepare(path)
        found["decode"] = float(measuring.run([sys.executable, "-c", _DECODE, path, os.cpu_count()]).output)
        prepare(path)
        _, summary = measuring.fallline_train(path, data.TARGET, folder, *settings, "--epochs", 1)
        found |= {name: summary["seconds"][name] for name in ("reading", "encoding")}
        cache = max(Path(folder).rglob("*"), key=lambda file: file.stat().st_size * file.is_file())
        found["cache bytes"] = cache.stat().st_size
        os.sync()  # or the system writes it to the disk while it is read
        prepare(cache)
        found["epoch"] = training_seconds(path, folder, settings, 1)
        if kept:
            found["epoch"] = (
                training_seconds(path, folder, settings, 1 + MORE_EPOCHS) - found["epoch"]
            ) / MORE_EPOCHS
        prepare(cache)
        found["read cache"] = reading_seconds(cache)
        forget(cache)
        found["read cache directly"] = reading_seconds(cache, direct=True)
        return found


def training_seconds(path, folder, settings, epochs):
    """Seconds of the training alone, over the cache that is there."""
    _, summary = measuring.fallline_train(path, data.TARGET, folder, *settings, *DESCENT, "--epochs", epochs)
    if not summary["cache"]["found"]:
        raise RuntimeError("the cache was there, but was not used")
    return summary["seconds"]["training"]


def rate_lines(found, where, size):
    """Lines of the table: each pass beside what does nothing with the bytes."""
    contests = [
        ("first, to learn what columns hold", "reading", "iter_batches alone", "decode", size),
        ("first, to encode and cache", "encoding", "iter_batches alone", "decode", size),
        ("later", "epoch", "reading the cache in order", "read cache", found["cache bytes"]),
    ]
    if where == "disk":
        contests.append(("later", "epoch", "the same, O_DIRECT", "read cache directly", found["cache bytes"]))
    return [
        [name, where, f"{found[ours]:.2f}", f"{amount / found[ours] / 1e9:.2f}", rival, f"{found[theirs]:.2f}",
         f"{found[theirs] / found[ours]:.2f}"]
        for name, ours, rival, theirs, amount in contests
    ]  # fmt: skip


def memory(options):
    """The highest resident size of training on files larger than the budget."""
    print(f"\n### Memory of `fallline train --memory {options.memory} --epochs 2`\n")
    lines = []
    for ending in ("parquet", "csv"):
        path = numbers_file(options, ending)
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            finished, summary = measuring.fallline_train(
                path, data.TARGET, folder, "--memory", options.memory, "--cache", folder, "--epochs", 2
            )
        lines.append([f"{path.name}, {path.stat().st_size / 1e9:.1f} GB", f"{summary['data']['rows']:,}",
                      f"{finished.peak / 1e9:.2f} GB", f"{finished.seconds:.0f}",
                      ", ".join(f"{name} {took:.1f}" for name, took in summary["seconds"].items())])  # fmt: skip
    table(["file", "rows", "peak resident", "s in all", "of which"], lines)


def pipelines(options):
    """From a CSV file of mixed columns to a file of predictions, each contender in a process of its own."""
    train = data.made(
        options.folder / f"mixed-{options.mixed_rows}.csv", lambda: data.mixed(options.mixed_rows)
    )
    test_rows = max(1000, options.mixed_rows // 5)
    test = data.made(options.folder / f"mixed-test-{test_rows}.csv", lambda: data.mixed(test_rows, draw=1))
    names, absent = present_pipelines(options)
    rounds = {name: [] for name in names}
    for _ in range(options.rounds):
        for name in names:
            rounds[name].append(run_pipeline(name, train, test, options))
    print(f"\n### CSV to predictions: {options.mixed_rows:,} rows ({train.stat().st_size / 1e9:.2f} GB) to train on, 5 passes; "
          f"{test_rows:,} to predict\n")  # fmt: skip
    found = {
        title: medians([numbers for _, numbers in rounds[name]])
        for name in names
        for title in [rounds[name][0][0]]
    }
    pipeline_table(found)
    if absent:
        print(f"\nLeft out, because not installed: {', '.join(absent)}.")


def present_pipelines(options):
    """The contenders that can be imported, and those that cannot."""
    present = []
    for name in PIPELINES:
        found = subprocess.run(
            [interpreter(name, options), "-c", f"import pipelines.{name}"],
            check=False,
            cwd=HERE,
            capture_output=True,
        )
        if found.returncode == 0:
            present.append(name)
    return present, [name for name in PIPELINES if name not in present]


def interpreter(name, options):
    """The Python to run a contender with."""
    return sys.executable if name.startswith("fallline") else options.rivals


def run_pipeline(name, train, test, options):
    """A contender's name, and its seconds by stage, peak memory and log loss on the test rows."""
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        predictions = Path(folder) / "predictions.csv"
        finished = measuring.run(
            [interpreter(name, options), "-m", f"pipelines.{name}", train, test, predictions, folder],
            folder=HERE,
        )
        title, stages = json.loads(finished.output.splitlines()[-1])
        loss = log_loss(test, predictions)
    return title, {**stages, "in all": finished.seconds, "processor": finished.processor, "log loss": loss}


def log_loss(test, predictions):
    """Mean of minus the logarithm of the probability given to what happened."""
    total = rows = 0
    with test.open(newline="") as truths, predictions.open(newline="") as guesses:
        for truth, guess in zip(csv.DictReader(truths), csv.DictReader(guesses), strict=True):
            chance = min(max(float(guess["probability_1"]), 1e-15), 1 - 1e-15)
            total -= math.log(chance if truth[data.TARGET] == "1" else 1 - chance)
            rows += 1
    return total / rows


def pipeline_table(found):
    """Times, of the clock and of processors, ratios to ours, and log loss."""
    ours = next(iter(found.values()))
    lines = []
    for title, numbers in found.items():
        spent = [
            f"{name} {took:.1f}"
            for name, took in numbers.items()
            if name not in {"in all", "processor", "log loss"}
        ]
        stages = ", ".join(spent)
        loss = f"{numbers['log loss']:.4f}"
        line = [f"{figure:.1f}" for name in ("in all", "processor")
                for figure in (numbers[name], numbers[name] / ours[name])]  # fmt: skip
        lines.append([title, *line, stages, loss])
        if _CONVERT in numbers:
            rest = numbers["in all"] - numbers[_CONVERT]
            less = [f"{rest:.1f}", f"{rest / ours['in all']:.1f}", "", ""]
            stages = ", ".join(stage for stage in spent if not stage.startswith(_CONVERT))
            lines.append([f"{title}, its conversion left out", *less, stages, loss])
    times = "times fallline's"
    table(
        ["contender", "s in all", times, "s of processors", times, "of which", "log loss on test rows"], lines
    )


def main():
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("parts", nargs="*", choices=[*PARTS, []], help="by default all")
    add("--full", action="store_true", help="the sizes of the figures to reach")
    add("--rows", type=int, default=3_000_000, help="of the Parquet file")
    add("--csv-rows", type=int, default=340_000, help="of the CSV file")
    add("--mixed-rows", type=int, default=1_500_000, help="of the mixed CSV file")
    add("--memory", default="1GB")
    add("--rounds", type=int, default=3)
    add(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "fallline-bench",
        help="for generated files",
    )
    add("--only", nargs="*", metavar="NAME", help="data sets of the part `quality`")
    add("--rivals", default=sys.executable, metavar="PYTHON", help="that has the rivals' libraries")
    options = parser.parse_args()
    if options.full:
        options.rows, options.csv_rows = 30_000_000, 3_400_000
    options.folder.mkdir(parents=True, exist_ok=True)
    needed = 1000 * options.rows + 1600 * options.csv_rows
    if shutil.disk_usage(options.folder).free < needed:
        sys.exit(
            f"{options.folder} has not the {needed / 1e9:.0f} GB of free disk that this needs. Name another --folder."
        )
    for part in options.parts or PARTS:
        {"rates": rates, "memory": memory, "pipelines": pipelines, "quality": quality.compare}[part](options)


if __name__ == "__main__":
    main()
