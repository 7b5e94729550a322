"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import contextlib
import glob
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fallline
from fallline.data.sources.options import MISSING, ReadOptions
from fallline.errors import ParameterError
from fallline.files import require_writable, written_whole

if TYPE_CHECKING:
    from fallline.model import Model

__all__ = [
    "add_columns",
    "add_memory",
    "add_network",
    "add_reading",
    "add_roles",
    "decimal",
    "importable_here",
    "load_model",
    "reading_options",
    "require_apart",
    "require_json_writable",
    "some_number",
    "whole",
    "write_json",
]


def some_number(text: str) -> Any:
    """A whole number or a decimal one; or the text itself, for the function to say what is wrong with it."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def whole(text: str) -> Any:
    """A whole number, or the text itself."""
    with contextlib.suppress(ValueError):
        return int(text)
    return text


def decimal(text: str) -> Any:
    """A number, or the text itself."""
    with contextlib.suppress(ValueError):
        return float(text)
    return text


def add_columns(parser: argparse.ArgumentParser) -> None:
    """What tells how the columns of a table are to be taken."""
    add = parser.add_argument
    named: dict[str, Any] = {"metavar": "COLUMN", "action": "append", "default": []}
    add("--ignore", **named, help="leave a column out; may be repeated")
    add("--categorical", **named, help="take a column of numbers as categories; may be repeated")
    add("--text", **named, help="take a column as text, word by word; may be repeated")
    add(
        "--task",
        metavar="TASK",
        help="classification, binary, multiclass or regression (default: by what the target looks like)",
    )


def add_roles(parser: argparse.ArgumentParser) -> None:
    """Which columns are no features."""
    add = parser.add_argument
    add("--target", metavar="COLUMN", help="the column to predict")
    add("--weight", metavar="COLUMN", help="the column that says how much a row counts")
    add(
        "--offset",
        metavar="COLUMN",
        help="a column that is added to the score, such as the logarithm of an exposure",
    )


def add_reading(parser: argparse.ArgumentParser) -> None:
    """How files are read."""
    group = parser.add_argument_group("reading")
    add = group.add_argument
    add(
        "--on-error",
        metavar="ACTION",
        default="stop",
        help="at a row that cannot be read: stop, or skip and count it (default: %(default)s)",
    )
    add("--format", metavar="NAME", help="such as csv or parquet (default: by the file's ending)")
    add("--encoding", metavar="NAME", help="of text files, such as latin-1 (default: UTF-8, or by its mark)")
    add("--delimiter", metavar="CHARACTER", help="between columns (default: found out)")
    add(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="whether the first line names the columns (default: found out)",
    )
    add(
        "--quotes",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether quotes enclose values of text files (default: they do)",
    )
    add(
        "--missing",
        metavar="TEXT",
        action="append",
        default=[],
        help="one more text that means a missing value; may be repeated",
    )


def add_network(parser: argparse.ArgumentParser) -> None:
    """What made a network, where the model file only names it."""
    parser.add_argument(
        "--model",
        dest="factory",
        metavar="NAME",
        help="package.module:function that made the network: imported only if given",
    )


@contextlib.contextmanager
def importable_here() -> Iterator[None]:
    """Modules in the current folder can be imported, as under `python -m`."""
    before = list(sys.path)
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path[:] = before


def load_model(options: argparse.Namespace, path: str) -> Model:
    """The model in a file, with what `add_network` was given."""
    with importable_here():
        return fallline.load(path, model=options.factory)


def add_memory(parser: argparse.ArgumentParser) -> None:
    """How much memory may be used."""
    parser.add_argument(
        "--memory",
        metavar="SIZE",
        help="how much to use beyond the interpreter's own, such as 1GB (default: half of what is free)",
    )


def reading_options(options: argparse.Namespace) -> ReadOptions:
    """The options of `add_reading` as the sources take them."""
    delimiter = {"\\t": "\t", "tab": "\t"}.get(options.delimiter, options.delimiter)
    return ReadOptions(
        on_error=options.on_error,
        format=options.format,
        encoding=options.encoding,
        delimiter=delimiter,
        header=options.header,
        missing=(*MISSING, *options.missing),
        quotes=options.quotes,
    ).checked()


def require_apart(read: Sequence[Any], **written: str | None) -> None:
    """Raise `ParameterError` if a file to be written is one that is read, or if two of them are the same.

    Parameters
    ----------
    read : sequence
        Paths and patterns; what is no text is no file.
    **written : str or None
        By the name of the option; nothing is written for None, nor to a file for "-".
    """
    names: dict[Path, str] = {}
    for name, place in written.items():
        if place in {None, "-"}:
            continue
        path = Path(str(place))
        other = names.setdefault(path.resolve(), name)
        if other != name:
            raise ParameterError(
                f"{other}= and {name}={place!r} are the same file. Choose another name for one."
            )
        for pattern in filter(lambda one: isinstance(one, str), read):
            for found in glob.iglob(pattern, recursive=True) if path.exists() else ():  # noqa: PTH207 (Path.glob takes no absolute pattern)
                if path.samefile(found):
                    raise ParameterError(
                        f"{name}={place!r} is one of the files that are read, and would be overwritten. Choose another name."
                    )


def require_json_writable(path: str | None) -> None:
    """Raise `ParameterError` if nothing can be written where `write_json` is to write; asked before long work begins."""
    if path not in {None, "-"}:
        require_writable(str(path), "json")


def write_json(path: str | None, found: dict[str, Any]) -> None:
    """Write what a program wants to know to a file, or to standard output for "-"; nothing for None."""
    if path is None:
        return
    text = json.dumps(_plain(found), indent=2, default=str, allow_nan=False) + "\n"
    if path == "-":
        print(text, end="")  # noqa: T201 (asked for)
        return
    with written_whole(path) as file:
        file.write(text.encode())


def _plain(found):
    """The same without the numbers that JSON does not have."""
    if isinstance(found, dict):
        return {name: _plain(value) for name, value in found.items()}
    if isinstance(found, (list, tuple)):
        return [_plain(value) for value in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found
