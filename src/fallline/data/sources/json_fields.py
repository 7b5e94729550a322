"""The columns that JSON objects have: where each stands, and what is written there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_

from fallline.data.sources.options import ReadOptions
from fallline.data.sources.typed import (
    DASHES,
    Guess,
    guess_type,
    is_missing,
    is_usual,
    known_guesses,
    trimmed,
)

__all__ = ["Field", "at", "find_fields", "guess_field"]

# What Python makes of the values of a type.
_TYPES = ((pa.float64(), (int, float)), (pa.bool_(), (bool,)), (pa.string(), (str,)))


class Field(NamedTuple):
    """How a column is written.

    Parameters
    ----------
    path : tuple of str
        Keys that lead to it: one, or two for a column `a.b` of objects in objects.
    written : DataType
        What stands in the file: a number, text, true or false, a list.
    """

    path: tuple[str, ...]
    written: pa.DataType


def find_fields(objects: Sequence[Mapping[str, Any]]) -> dict[str, Field]:
    """The columns of objects, in the order in which they come up, each with what is written there."""
    paths: dict[tuple[str, ...], None] = {}
    for value in objects:
        for key, inner in value.items():
            if isinstance(inner, dict):
                paths.update(dict.fromkeys((key, name) for name in inner))
            else:
                paths.setdefault((key,))
    # An object may be null in some rows: that is no column of its own.
    outer = {path[0] for path in paths if len(path) == 2}
    kept = [path for path in paths if len(path) == 2 or path[0] not in outer]
    return {".".join(path): Field(path, _written([at(value, path) for value in objects])) for path in kept}


def at(value: Any, path: Sequence[str]) -> Any:
    """What stands at a path; None where it does not lead anywhere."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _written(values):
    """The type of values from JSON; text where they have none in common. A few mistakes among many do not count."""
    counts = Counter(type(value) for value in values if value is not None)
    if not counts:
        return pa.null()
    for type_, kinds in _TYPES:
        if is_usual(sum(counts[kind] for kind in kinds), counts.total()):
            return _number_type(values) if int in kinds else type_
    if set(counts) <= {list, dict}:
        # Arrow infers types that do not hold all of the values.
        with suppress(pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            return pa.array(values).type
    return pa.string()


def _number_type(values):
    """int64, if nothing but whole numbers were seen and they fit."""
    numbers = [value for value in values if type(value) in {int, float}]
    whole = all(isinstance(value, int) and abs(value) < 2**63 for value in numbers)
    return pa.int64() if whole else pa.float64()


def guess_field(
    name: str, field: Field, objects: Sequence[Mapping[str, Any]], whole: bool, options: ReadOptions
) -> Guess:
    """What a column holds: what is written as text may be numbers or dates."""
    known = known_guesses(options).get(name)
    if known is not None:
        return known
    values = [value for value in (at(each, field.path) for each in objects) if value is not None]
    if is_.is_integer(field.written):
        digits = [str(value) for value in values if type(value) is int]
        return guess_type(pa.array(digits), ".", whole)
    strings = [value for value in values if isinstance(value, str)]
    if not is_.is_string(field.written) or not is_usual(len(strings), len(values)):
        return Guess(field.written)
    texts = trimmed(pa.array(strings, pa.string()))
    guess = guess_type(texts.filter(pc.invert(is_missing(texts, (*options.missing, *DASHES)))), ".", whole)
    # Text of nothing but texts like "NA" is text.
    return Guess(pa.string()) if is_.is_null(guess.type) else guess
