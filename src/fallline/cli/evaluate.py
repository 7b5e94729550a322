"""How well a model predicts rows whose target is known.

Example: fallline evaluate delay.fall december.csv.gz
"""

from __future__ import annotations

import argparse

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
    add_network(parser)
    add_memory(parser)
    add_reading(parser)
    add("--json", metavar="PATH", help="write the metrics for programs, too; - is standard output")
    add("--verbose", action="store_true", help="one line a stage, on standard error")


def run(options: argparse.Namespace) -> None:
    """Evaluate, and print the metrics."""
    require_json_writable(options.json)
    require_apart([options.model, *options.data], json=options.json)
    model = load_model(options, options.model)
    with progress_shown(lines=options.verbose) as progress:
        metrics = model.evaluate(
            options.data, memory=options.memory, options=reading_options(options), progress=progress
        )
    write_json(options.json, metrics)
    if options.json != "-":
        screen = console()
        for name, value in metrics.items():
            say(screen, f"{name.replace('_', ' '):<24}{_readable(value):>14}")


def _readable(value):
    """A count in full, a measure to six digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
