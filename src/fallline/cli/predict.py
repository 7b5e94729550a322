"""Predictions for files of any size, row for row.

Writes one row for each row of the data, in their order: a column `prediction` and, for classes, one column
`probability_<class>` each.

Example: fallline predict delay.fall new.parquet -o predictions.parquet --keep flight_id
"""

from __future__ import annotations

import argparse
import time

from fallline.cli.parsing import (
    add_memory,
    add_network,
    add_reading,
    load_model,
    reading_options,
    require_apart,
    require_json_writable,
    write_json,
)
from fallline.cli.screen import console, progress_shown, say

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="a file that `fallline train` wrote")
    add("data", nargs="+", metavar="DATA", help="files, patterns, folders; local, s3:// or gs://")
    add(
        "-o",
        "--output",
        metavar="FILE",
        required=True,
        help="a file ending in .parquet, .csv, .tsv or .jsonl",
    )
    add("--keep", metavar="COLUMN", action="append", default=[], help="carry a column over; may be repeated")
    add_network(parser)
    add_memory(parser)
    add_reading(parser)
    add("--json", metavar="PATH", help="write what was done for programs, too; - is standard output")
    add("--verbose", action="store_true", help="one line a stage, on standard error")


def run(options: argparse.Namespace) -> None:
    """Predict, and say how many rows were written."""
    began = time.perf_counter()
    require_apart([options.model, *options.data], output=options.output, json=options.json)
    require_json_writable(options.json)
    model = load_model(options, options.model)
    with progress_shown(lines=options.verbose) as progress:
        written = model.predict(
            options.data,
            options.output,
            keep=options.keep,
            memory=options.memory,
            options=reading_options(options),
            progress=progress,
        )
    seconds = time.perf_counter() - began
    write_json(options.json, {"rows": written, "output": options.output, "seconds": seconds})
    if options.json != "-":
        rows = f"{written:,} row{'s' * (written != 1)}"
        say(console(), f"{rows} predicted in {seconds:.1f} s: {options.output}")
