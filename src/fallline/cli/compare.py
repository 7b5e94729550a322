"""Batch, stochastic and mini-batch side by side on your data.

Trains batch, stochastic and mini-batch gradient descent side by side, beside scikit-learn, PyTorch and L-BFGS; writes one
page that shows how each learned and what it cost, and a JSON file with every number. Takes all data that `fallline train`
takes; where not all of it can be held in memory several times, a random part of the rows.

Examples: fallline compare --demo digits
          fallline compare houses.csv --target price --ignore id
          fallline compare "flights/*.csv.gz" --target arr_delay
"""

from __future__ import annotations

import argparse
from typing import Any

import fallline
from fallline.cli.parsing import (
    add_columns,
    add_memory,
    add_reading,
    decimal,
    reading_options,
    require_apart,
    some_number,
    whole,
)
from fallline.cli.screen import console, progress_shown, say

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    add = parser.add_argument
    add("data", nargs="*", metavar="DATA", help="files, patterns, folders; local, s3:// or gs://")
    add("--target", metavar="COLUMN", help="the column to predict")
    add("--demo", metavar="NAME", help="instead of data: digits, breast_cancer, diabetes or wine")
    # Weights and offsets are not among it, because not all contenders know them.
    add_columns(parser)
    add(
        "--output",
        metavar="PAGE",
        default="fallline-report.html",
        help="where the page goes (default: %(default)s)",
    )
    add("--json", metavar="PATH", help="where the numbers go (default: beside the page, ending in .json)")
    add(
        "--batch-sizes",
        metavar="LIST",
        type=_batch_sizes,
        help="such as 1,32,full (default: 1,8,32,128,512,full)",
    )
    add(
        "--epochs",
        metavar="N",
        type=whole,
        help="passes over the data (default: by the number of rows, 15 to 150)",
    )
    add(
        "--seeds",
        metavar="N",
        type=whole,
        default=3,
        help="runs of each, in other orders (default: %(default)s)",
    )
    add(
        "--alpha",
        metavar="A",
        type=decimal,
        default=1e-4,
        help="strength of the L2 penalty (default: %(default)s)",
    )
    add(
        "--time-limit",
        metavar="SECONDS",
        type=decimal,
        default=300.0,
        help="for all training together (default: %(default)g)",
    )
    add(
        "--test-fraction",
        metavar="F",
        type=decimal,
        default=0.2,
        help="share of rows to test on (default: %(default)s)",
    )
    add(
        "--seed",
        metavar="N",
        type=whole,
        default=0,
        help="chooses rows, the split and the orders (default: %(default)s)",
    )
    add_memory(parser)
    add_reading(parser)
    add("--verbose", action="store_true", help="one line a stage, on standard error")


def run(options: argparse.Namespace) -> None:
    """Compare, write the page and the numbers, print the verdict."""
    from fallline.comparison.outputs import Outputs

    outputs = Outputs.checked(options.output, options.json)
    require_apart(options.data, output=str(outputs.page), json=str(outputs.numbers))
    passed_on = (
        "target",
        "demo",
        "ignore",
        "categorical",
        "text",
        "task",
        "batch_sizes",
        "epochs",
        "seeds",
        "alpha",
        "time_limit",
        "test_fraction",
        "seed",
        "memory",
    )
    with progress_shown(lines=options.verbose) as progress:
        found = fallline.compare(
            options.data or None,
            options=reading_options(options),
            progress=progress,
            **{name: getattr(options, name) for name in passed_on},
        )
        found.command = options.command_line
        found.save(*outputs)
    _show(found, outputs)


def _batch_sizes(text):
    return [some_number(part.strip()) for part in text.split(",")]


def _show(found: Any, outputs: Any) -> None:
    """The table, the verdict, and where the page is."""
    from fallline.comparison.method import first_notes, rows_words
    from fallline.comparison.summary import summary_table

    screen, data = console(), found.data
    say(screen, f"{data.name}: {rows_words(data)}; {data.target!r} taken as {data.task} ({data.why_task}).")
    for sentence in first_notes(data.notes, "the end of the page"):
        say(screen, sentence)
    screen.print(summary_table(found))
    for sentence in [*found.verdict, *found.absent]:
        screen.print(f"- {sentence}", markup=False, highlight=False)
    say(screen, f"\nThe page: {outputs.page}\nThe numbers: {outputs.numbers}")
