"""A model from files of any size, in one command.

Reads the columns as they are (numbers, categories, dates, missing values), within a stated amount of memory, and writes
one model file. The encoded rows are cached: the next run on the same files begins to train at once.

Examples: fallline train "flights/*.csv.gz" --target arr_delay -o delay.fall
          fallline train adult.parquet --target income --validation 0.1 --ignore id -o income.fall
          fallline train adult.parquet --target income --model mlp --hidden 128,64 -o income.fall
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path

import fallline
from fallline.cli.parsing import (
    add_columns,
    add_memory,
    add_reading,
    add_roles,
    decimal,
    importable_here,
    reading_options,
    require_apart,
    require_json_writable,
    some_number,
    whole,
    write_json,
)
from fallline.cli.screen import console, progress_shown, say
from fallline.errors import ParameterError
from fallline.files import require_writable
from fallline.parallel import find, told_by_first

__all__ = ["add_arguments", "run"]

_PASSED_ON = ("target", "weight", "offset", "ignore", "categorical", "text", "task", "model", "hidden", "dropout", "batch_norm",
              "device", "precision", "loss", "penalty", "alpha", "l1_ratio", "solver", "optimizer", "learning_rate", "schedule",
              "batch_size", "epochs", "validation", "seed", "time_limit", "memory", "cache", "sync_every",
              "checkpoint")  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    add = parser.add_argument
    add("data", nargs="+", metavar="DATA", help="files, patterns, folders; local, s3:// or gs://")
    add("-o", "--output", metavar="MODEL", required=True, help="where the model goes, such as delay.fall")
    add_roles(parser)
    add_columns(parser)
    add("--plan", metavar="FILE", help="what becomes of each column, as `fallline inspect` writes it")
    _add_training(parser.add_argument_group("training"))
    _add_network(parser.add_argument_group("networks"))
    add_memory(parser)
    add(
        "--cache",
        metavar="DIR",
        default=True,
        help="where encoded rows are kept (default: the user's cache folder)",
    )
    add("--no-cache", dest="cache", action="store_false", help="keep no encoded rows for the next run")
    add_reading(parser)
    add("--json", metavar="PATH", help="write the summary for programs, too; - is standard output")
    add("--verbose", action="store_true", help="one line a stage, on standard error")


def _add_training(group):
    add = group.add_argument
    add(
        "--model",
        metavar="KIND",
        default="linear",
        help="linear, mlp, or package.module:function that makes a torch.nn.Module (default: %(default)s)",
    )
    add("--loss", metavar="NAME", help="such as log_loss, hinge, poisson (default: by the task)")
    add("--penalty", metavar="NAME", default="l2", help="l2, l1, elasticnet or none (default: %(default)s)")
    add(
        "--alpha",
        metavar="A",
        type=decimal,
        help="strength of the penalty (default: 1 / rows; of mlp on small tables, linear on wide ones, found on rows held out)",
    )
    add(
        "--l1-ratio",
        metavar="R",
        type=decimal,
        default=0.15,
        help="share of L1 in elasticnet (default: %(default)s)",
    )
    add(
        "--solver",
        metavar="NAME",
        default="auto",
        help="auto, newton, saga, or descent with an optimizer (default: %(default)s, by the model's size)",
    )
    add("--optimizer", metavar="NAME", help="of descent, such as sgd, momentum, adamw (default: adam)")
    add(
        "--learning-rate",
        metavar="RATE",
        type=decimal,
        default="auto",
        help="the first, or highest, rate; auto finds one by short runs (default: %(default)s)",
    )
    add("--schedule", metavar="NAME", help="how the rate develops (default: cosine)")
    add(
        "--batch-size",
        metavar="ROWS",
        type=some_number,
        default="auto",
        help="1 is stochastic, a number or a fraction mini-batch, full batch; auto tries some (default: %(default)s)",
    )
    add(
        "--epochs",
        metavar="N",
        type=whole,
        help="passes over the data (default: until the optimum; in descent, by the number of rows, 5 to 100)",
    )
    add(
        "--validation",
        metavar="PART",
        type=some_number,
        help="a fraction of the rows to hold out, or a file, to measure on after every epoch",
    )
    add(
        "--seed",
        metavar="N",
        type=whole,
        default=0,
        help="chooses orders and held-out rows (default: %(default)s)",
    )
    add("--time-limit", metavar="SECONDS", type=decimal, help="end training after so long")
    add(
        "--checkpoint",
        metavar="PATH",
        help="save training there from time to time, and go on from there if it is an unfinished run of the same",
    )
    add(
        "--sync-every",
        metavar="UPDATES",
        type=whole,
        help="on many processes: average their weights after so many updates, 1 to make each together (default: what is cheap)",
    )


def _add_network(group):
    add = group.add_argument
    add(
        "--hidden",
        metavar="UNITS",
        type=_whole_numbers,
        help="of mlp: units of each hidden layer (default: 128,64)",
    )
    add(
        "--dropout",
        metavar="SHARE",
        type=decimal,
        help="of mlp: hidden units left out while training (default: none)",
    )
    add(
        "--batch-norm",
        action="store_true",
        default=None,
        help="of mlp: normalise the sums of hidden layers batch by batch",
    )
    add("--device", metavar="NAME", help="such as cpu or cuda (default: the best there is)")
    add("--precision", metavar="NAME", help="float32, or bf16 to multiply in 16 bits (default: float32)")


def _whole_numbers(text):
    """Whole numbers between commas; an item that is none stays text, for the function to say what is wrong with it."""
    return [whole(item.strip()) for item in text.split(",")]


def run(options: argparse.Namespace) -> int:
    """Train, write the model, print the summary. Of many processes, the first writes and prints."""
    processes = find()
    output = told_by_first(processes, lambda: _output(options))
    with progress_shown(lines=options.verbose) if processes.rank == 0 else nullcontext() as progress:
        with importable_here():
            model = fallline.train(
                options.data,
                plan=_plan(options.plan),
                options=reading_options(options),
                progress=progress,
                **{name: getattr(options, name) for name in _PASSED_ON},
            )
        model.summary["command"] = options.command_line
        told_by_first(processes, lambda: model.save(output))
    told_by_first(processes, lambda: _report(model, output, options.json))
    return 130 if model.summary["stop"]["reason"] == "interrupted" else 0


def _output(options):
    """Where the model goes, if everything can be written."""
    output = require_writable(options.output, "output")
    read = [*options.data, options.plan, options.validation]
    require_apart(read, output=options.output, json=options.json, checkpoint=options.checkpoint)
    require_json_writable(options.json)
    return output


def _report(model, output, json):
    """Write and print the summary."""
    write_json(json, {**model.summary, "model": str(output)})
    if json != "-":
        screen = console()
        say(screen, model.report())
        say(screen, f"The model: {output}")


def _plan(path):
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise ParameterError(f"There is no file {path!r} to read a plan from. Check the path.") from None
    except UnicodeDecodeError as error:
        raise ParameterError(
            f"{path!r} is not a plan: {error}. Give what `fallline inspect -o` wrote."
        ) from error
