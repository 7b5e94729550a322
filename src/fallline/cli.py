"""The command line: thin over the public functions.

Exit codes: 0 when done; 1 when the world failed (a full disk, ...); 2 when what was asked for or given cannot be used;
130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import fallline
from fallline.errors import FalllineError, InputError, MissingDependencyError, ParameterError

__all__ = ["main"]

_USERS_MISTAKES = (InputError, ParameterError, MissingDependencyError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    options.command_line = shlex.join(["fallline", *given])
    try:
        options.run(options)
    except KeyboardInterrupt:
        return _complain("Interrupted; nothing was written.", 130)
    except Exception as error:
        if options.debug:
            raise
        return _complain(*_explained(error))
    return 0


def _explained(error):
    if isinstance(error, FalllineError):
        return f"fallline: {error}", 2 if isinstance(error, _USERS_MISTAKES) else 1
    if isinstance(error, OSError):
        return f"fallline: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", 1
    return f"fallline: unexpected {type(error).__name__}: {error}. Run again with --debug to see where.", 1


def _complain(message, code):
    print(message, file=sys.stderr)  # noqa: T201 (what a command line is for)
    return code


def _parser():
    parser = argparse.ArgumentParser(
        prog="fallline", description="Train models by mini-batch gradient descent.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"fallline {fallline.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_compare(commands)
    return parser


def _add_compare(commands):
    parser = commands.add_parser(
        "compare",
        help="batch, stochastic and mini-batch side by side on your data",
        description="Train batch, stochastic and mini-batch gradient descent side by side, beside scikit-learn, PyTorch and "
        "L-BFGS; write one page that shows how each learned and what it cost, and a JSON file with every number.",
        epilog="Examples: fallline compare --demo digits; fallline compare houses.csv --target price --ignore id",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("data", nargs="?", metavar="FILE", help="a CSV or Parquet file; numeric columns only")
    add("--target", metavar="COLUMN", help="the column to predict")
    add("--demo", metavar="NAME", help="instead of a file: digits, breast_cancer, diabetes or wine")
    add("--ignore", metavar="COLUMN", action="append", default=[], help="leave a column out; may be repeated")
    add(
        "--task", metavar="TASK", help="classification or regression (default: by what the target looks like)"
    )
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
        type=_int,
        help="passes over the data (default: by the number of rows, 15 to 150)",
    )
    add(
        "--seeds",
        metavar="N",
        type=_int,
        default=3,
        help="runs of each, in other orders (default: %(default)s)",
    )
    add(
        "--alpha",
        metavar="A",
        type=_float,
        default=1e-4,
        help="strength of the L2 penalty (default: %(default)s)",
    )
    add(
        "--time-limit",
        metavar="SECONDS",
        type=_float,
        default=300.0,
        help="for all training together (default: %(default)g)",
    )
    add(
        "--test-fraction",
        metavar="F",
        type=_float,
        default=0.2,
        help="share of rows to test on (default: %(default)s)",
    )
    add(
        "--seed",
        metavar="N",
        type=_int,
        default=0,
        help="chooses the split and the orders (default: %(default)s)",
    )
    add("--verbose", action="store_true", help="one line a stage, on standard error")
    add("--debug", action="store_true", help="on an error, show the traceback")
    parser.set_defaults(run=_compare)


def _number(kind, text):
    """The number; or the text itself, for the function to say what is wrong with it."""
    with contextlib.suppress(ValueError):
        return kind(text)
    return text


def _int(text):
    return _number(int, text)


def _float(text):
    return _number(float, text)


def _batch_sizes(text):
    return [
        _number(float, part) if "." in part else _number(int, part)
        for part in map(str.strip, text.split(","))
    ]


def _compare(options):
    from fallline.comparison.outputs import Outputs

    outputs = Outputs.checked(options.output, options.json)
    passed_on = (
        "target",
        "demo",
        "ignore",
        "task",
        "batch_sizes",
        "epochs",
        "seeds",
        "alpha",
        "time_limit",
        "test_fraction",
        "seed",
    )
    with _progress(options.verbose) as progress:
        found = fallline.compare(
            options.data, progress=progress, **{name: getattr(options, name) for name in passed_on}
        )
        found.command = options.command_line
        found.save(*outputs)
    _show(found, outputs)


@contextlib.contextmanager
def _progress(verbose: bool) -> Iterator[Callable[[float, str], None] | None]:
    """A line a stage where asked for, a bar on a terminal, otherwise nothing."""
    if verbose:
        yield lambda done, what: print(f"{done:4.0%}  {what}", file=sys.stderr)  # noqa: T201
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=1.0)
            yield lambda done, what: bar.update(task, completed=done, description=what)
    else:
        yield None


def _show(found: Any, outputs: Any) -> None:
    """The table, the verdict, and where the page is."""
    from rich.console import Console

    from fallline.comparison.summary import summary_table

    console = Console(width=None if sys.stdout.isatty() else 100)
    data = found.data
    console.print(
        f"{data.name}: {data.rows:,} rows, {len(data.columns):,} columns; {data.target} taken as {data.task} ({data.why_task})",
        markup=False, highlight=False,
    )  # fmt: skip
    console.print(summary_table(found))
    for sentence in [*found.verdict, *found.absent]:
        console.print(f"- {sentence}", markup=False, highlight=False)
    console.print(
        f"\nThe page: {outputs.page}\nThe numbers: {outputs.numbers}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
