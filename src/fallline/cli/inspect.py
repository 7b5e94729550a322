"""What data or a model hold: the inferred plan of a table's columns, or a model's coefficients.

For data, prints what would become of each column and writes it as JSON (-o) that `fallline train --plan` takes back when
edited. For a model, prints how it was trained, and its largest effects in the units of the columns; of a network, its layers.

Examples: fallline inspect "flights/*.csv.gz" --target arr_delay -o plan.json
          fallline inspect delay.fall
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from fallline.cli.parsing import (
    add_columns,
    add_network,
    add_reading,
    add_roles,
    load_model,
    reading_options,
    require_apart,
    require_json_writable,
    whole,
    write_json,
)
from fallline.cli.screen import console, say
from fallline.errors import ParameterError
from fallline.files import require_writable, written_whole
from fallline.settings import integer
from fallline.training.losses import task_for

if TYPE_CHECKING:
    from fallline.model import Model

__all__ = ["add_arguments", "run"]

_NUMBERS = ("features", "missing", "distinct")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    add = parser.add_argument
    add("data", nargs="+", metavar="DATA|MODEL", help="files, patterns, folders; or a model")
    add_roles(parser)
    add_columns(parser)
    add(
        "-o",
        "--output",
        metavar="PLAN",
        help="write the plan as JSON, to be edited and given to train --plan",
    )
    add(
        "--effects",
        metavar="N",
        type=whole,
        default=20,
        help="how many effects of a model to show (default: %(default)s)",
    )
    add("--json", metavar="PATH", help="write what is printed for programs, too; - is standard output")
    add_network(parser)
    add_reading(parser)


def run(options: argparse.Namespace) -> None:
    """Show a plan or a model."""
    from fallline.modelfile import is_model

    require_json_writable(options.json)
    require_apart(options.data, output=options.output, json=options.json)
    if len(options.data) == 1 and is_model(options.data[0]):
        _show_model(load_model(options, options.data[0]), options)
    else:
        if options.factory is not None:
            raise ParameterError(
                "--model says what made the network of a model, but data were given. Leave it out."
            )
        _show_plan(options)


def _show_plan(options):
    from fallline.data.encoder import describe, make_plan
    from fallline.data.sources import open_source

    if options.output is not None:
        require_writable(options.output, "output")
    source = open_source(
        options.data, options=reading_options(options).as_text([*options.categorical, *options.text])
    )
    chosen = ("target", "weight", "offset", "ignore", "categorical", "text")
    given = {name: getattr(options, name) for name in chosen}
    given["target"] = given["target"] or source.target
    plan = make_plan(source, task=task_for(options.task, None), **given)
    if options.output is not None:
        with written_whole(options.output) as file:
            file.write(plan.to_json().encode())
    write_json(options.json, json.loads(plan.to_json()))
    if options.json == "-":
        return
    screen = console()
    rows = "" if source.n_rows is None else f"{source.n_rows:,} rows, "
    say(screen, f"{source.name}: {rows}{len(source.schema.names):,} columns")
    screen.print(_table(describe(plan)))
    if options.output is not None:
        say(screen, f"The plan: {options.output}")
    else:
        say(
            screen,
            "To change it: write the plan with -o plan.json, edit it, and train with --plan plan.json.",
        )


def _show_model(model, options):
    if options.output is not None:
        raise ParameterError(
            "--output writes the plan of data, but a model was given. Give data, or use --json."
        )
    network = model.summary["training"].get("network")
    most = integer("effects", options.effects)
    found = {"summary": model.summary, **({} if network else {"effects": _effects(model, most)})}
    write_json(options.json, found)
    if options.json == "-":
        return
    screen = console()
    say(screen, model.report())
    for layer in network["layers"] if network else ():
        say(screen, f"  {layer}")
    for output in found.get("effects", ()):
        screen.print(_effects_table(output))


def _effects(model: Model, most: int) -> list[dict[str, Any]]:
    """For every output its largest effects."""
    return [
        {
            "output": name,
            "intercept": found.intercept,
            "all": len(found.effects),
            "effects": [effect._asdict() for effect in found.effects[:most]],
        }
        for name, found in zip(_outputs(model), model.effects(), strict=True)
    ]


def _outputs(model):
    """What each score says something about: a class, or the target."""
    if model.classes is None:
        return [model.encoder.target.name]
    return [str(label) for label in (model.classes[1:] if model.task == "binary" else model.classes)]


def _table(rows):
    """What becomes of columns, as a table."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    shown = [name for name in rows[0]._fields if any(getattr(row, name) not in (None, "") for row in rows)]
    for name in shown:
        table.add_column(name, overflow="fold", justify="right" if name in _NUMBERS else "left")
    for row in rows:
        table.add_row(*(_cell(name, getattr(row, name)) for name in shown))
    return table


def _cell(name, value):
    from rich.text import Text

    if value is None:
        return ""
    return f"{value:.1%}" if name == "missing" else f"{value:,}" if name in _NUMBERS else Text(value)


def _effects_table(output):
    from rich.table import Table
    from rich.text import Text

    shown, everything = len(output["effects"]), output["all"]
    title = Text(f"Largest {shown} of {everything:,} effects on the score of {output['output']}")
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("feature", overflow="fold")
    table.add_column("per unit of the column", justify="right")
    table.add_column("per standard deviation", justify="right")
    for effect in output["effects"]:
        table.add_row(Text(effect["feature"]), f"{effect['original']:.5g}", f"{effect['standardised']:.5g}")
    table.add_row("(intercept)", f"{output['intercept']:.5g}", "")
    return table
