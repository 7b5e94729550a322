"""One schema for many files: which type holds the values of all of them, and how their dates and numbers are written."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_

from fallline.errors import FalllineWarning, InputError

__all__ = [
    "agreed_notations",
    "agreed_schema",
    "agreed_type",
    "as_type",
    "is_number",
    "no_rows",
    "part_of",
    "plain_schema",
    "plain_type",
    "under",
]


def agreed_schema(schemas: Iterable[tuple[str, pa.Schema]]) -> pa.Schema:
    """The columns of the first file, in its order, each with a type that holds its values in every file.

    Parameters
    ----------
    schemas : iterable of (str, Schema)
        The name of each file and what it holds, as `plain_schema` gives it.

    Raises
    ------
    InputError
        If a file lacks a column, or has one more, or types have nothing in common.
    """
    files = iter(schemas)
    first, schema = next(files)
    types = dict(zip(schema.names, schema.types, strict=True))
    told: set[str] = set()
    for name, other in files:
        _require_same_columns(first, types, name, other)
        for column, type_ in types.items():
            found = other.field(column).type
            both = agreed_type(type_, found)
            if both is None:
                raise InputError(
                    f"Column {column!r} of {name!r} is {found}, but {type_} in the files before it. "
                    "Write it with one type in all files, or leave the column out of them."
                )
            if column not in told and _becomes_text(both, type_, found):
                told.add(column)
                _warn_of_text(column, name, found, type_)
            types[column] = both
    return pa.schema([schema.field(column).with_type(type_) for column, type_ in types.items()])


def _becomes_text(both, *types):
    """Whether types have nothing but text in common, though some of them is none."""
    return _is_text(both) and any(not (_is_text(type_) or is_.is_null(type_)) for type_ in types)


def _warn_of_text(column, name, found, before):
    warnings.warn(
        f"Column {column!r} of {name!r} is {found}, but {before} before it: all of it is read as text. If it holds numbers or "
        "dates, write it as such everywhere, or leave it out.",
        FalllineWarning,
        stacklevel=2,
    )


def agreed_type(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """The type that holds values of both; None if there is none.

    Nothing but missing values gives way to any type; numbers meet in the smallest type that holds them, exact or not; a date and
    a time of some day meet in the latter; all else (numbers and text, say, or booleans and numbers) meets in text.
    """
    if a.equals(b) or is_.is_null(b):
        return a
    if is_.is_null(a):
        return b
    if is_.is_dictionary(a) or is_.is_dictionary(b):
        return _agreed_dictionary(a, b)
    special = _agreed_numbers(a, b) or _agreed_times(a, b)
    return special or _promoted(a, b)


def agreed_notations(files: Iterable[tuple[str, Mapping[str, Sequence[str]]]]) -> dict[str, str]:
    """How the values of each column are written in all files: the notation that fits them all, of several the likeliest.

    Parameters
    ----------
    files : iterable of (str, mapping)
        The name of each file, and from columns to the notations that fit there, the likeliest first.

    Raises
    ------
    InputError
        If no notation of a column fits all files that need one.
    """
    ranks: dict[str, Counter[str]] = {}
    deciding: dict[str, str] = {}
    for file, notations in files:
        for column, fitting in notations.items():
            common = ranks.setdefault(column, Counter(dict.fromkeys(fitting, 0)))
            left = Counter({each: common[each] + fitting.index(each) for each in common if each in fitting})
            if not left:
                raise InputError(_contradiction(column, file, fitting, deciding[column], common))
            if len(left) < len(common) or column not in deciding:
                deciding[column] = file
            ranks[column] = left
    return {column: min(common, key=lambda each: common[each]) for column, common in ranks.items()}


def _contradiction(column, file, fitting, other, others):
    return (
        f"Column {column!r} of {file!r} is written as {_either(fitting)}, and of {other!r} as {_either(others)}. Write it "
        "alike in all files, dates best as YYYY-MM-DD and numbers in digits alone, or read the column as text (--categorical)."
    )


def _either(notations):
    return " or ".join(map(repr, list(notations)[:3]))


def _promoted(a, b):
    """What Arrow makes of two types, or text."""
    try:
        return pa.unify_schemas(
            [pa.schema([("", a)]), pa.schema([("", b)])], promote_options="permissive"
        ).types[0]
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return pa.string() if _can_be_text(a) and _can_be_text(b) else None


def _agreed_numbers(a, b):
    """float64, for pairs of numbers that no exact type holds."""
    mixed = is_.is_decimal(a) != is_.is_decimal(b)
    mixed |= is_.is_uint64(a) != is_.is_uint64(b) and is_.is_signed_integer(a) != is_.is_signed_integer(b)
    return pa.float64() if mixed and is_number(a) and is_number(b) else None


def _agreed_times(a, b):
    """The type for two of dates and times, where Arrow has none; text where one has a time zone and the other not."""
    if is_.is_timestamp(a) and is_.is_timestamp(b):
        if (a.tz is None) != (b.tz is None):
            return pa.string()
        unit = max(a.unit, b.unit, key=["s", "ms", "us", "ns"].index)
        return pa.timestamp(unit, a.tz if a.tz == b.tz else "UTC")
    if (is_.is_timestamp(a) and is_.is_date(b)) or (is_.is_date(a) and is_.is_timestamp(b)):
        time = a if is_.is_timestamp(a) else b
        return time if time.tz is None else pa.string()
    return None


def is_number(type_: pa.DataType) -> bool:
    """Whether values are numbers of any kind."""
    return is_.is_integer(type_) or is_.is_floating(type_) or is_.is_decimal(type_)


def _agreed_dictionary(a, b):
    values = agreed_type(*(type_.value_type if is_.is_dictionary(type_) else type_ for type_ in (a, b)))
    if values is None or not (is_.is_dictionary(a) and is_.is_dictionary(b)):
        return values
    return pa.dictionary(pa.int32(), values)


def _is_text(type_):
    values = type_.value_type if is_.is_dictionary(type_) else type_
    return is_.is_string(values) or is_.is_large_string(values)


def _can_be_text(type_):
    return not (is_.is_nested(type_) or is_.is_binary(type_) or is_.is_large_binary(type_))


def _require_same_columns(first, types, name, other):
    missing = [column for column in types if column not in other.names]
    extra = [column for column in other.names if column not in types]
    if missing:
        raise InputError(
            f"{name!r} lacks {_columns(missing)}, which {first!r} has{_other_case(missing, extra)}. All files of a source need "
            f"the same columns: add {'it' if len(missing) == 1 else 'them'}, or leave the file out."
        )
    if extra:
        raise InputError(
            f"{name!r} has {_columns(extra)}, which {first!r} lacks. All files of a source need the same columns: remove "
            f"{'it' if len(extra) == 1 else 'them'}, or leave the file out."
        )


def _other_case(missing, extra):
    """That a name differs in the case of its letters only, if one does."""
    folded = {name.casefold(): name for name in extra}
    for name in missing:
        if name.casefold() in folded:
            return f" (it has {folded[name.casefold()]!r}: capitals and small letters count)"
    return ""


def _columns(names):
    """Up to ten column names, for a message."""
    listed = ", ".join(map(repr, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return f"the column {listed}" if len(names) == 1 else f"the columns {listed}"


# What pandas calls an index without a name: which rows of a larger table these were.
_ROW_NUMBER = re.compile(r"__index_level_\d+__")


def plain_schema(schema: pa.Schema, name: str) -> pa.Schema:
    """The schema with `plain_type`s, if each of its columns has a name of its own; pandas' numbers of rows are none of them."""
    schema = pa.schema([field for field in schema if not _ROW_NUMBER.fullmatch(field.name)])
    twice = sorted(column for column, count in Counter(schema.names).items() if count > 1)
    if twice:
        raise InputError(
            f"{name!r} has several columns called {twice[0]!r}. Give each column a name of its own."
        )
    if not schema.names:
        raise InputError(f"{name!r} has no columns. Give data that has some.")
    return pa.schema(
        [pa.field(field.name, plain_type(field.type), metadata=field.metadata) for field in schema]
    )


def plain_type(type_: pa.DataType) -> pa.DataType:
    """The type under which values are handed on: what Arrow computes with, in its ordinary layout."""
    if isinstance(type_, pa.BaseExtensionType):
        return plain_type(type_.storage_type)
    if is_.is_run_end_encoded(type_):
        return plain_type(type_.value_type)
    if is_.is_dictionary(type_):
        return pa.dictionary(pa.int32(), plain_type(type_.value_type))
    if is_.is_string_view(type_):
        return pa.large_string()
    if is_.is_binary_view(type_):
        return pa.large_binary()
    return pa.float32() if is_.is_float16(type_) else type_


def part_of(schema: pa.Schema, columns: Sequence[str]) -> pa.Schema:
    """The schema of these columns only, in this order."""
    return pa.schema([schema.field(column) for column in columns])


def under(rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The columns that a schema names, with the types it has for them."""
    if rows.schema.equals(schema):
        return rows
    arrays = [
        as_type(rows.column(name), type_) for name, type_ in zip(schema.names, schema.types, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def no_rows(schema: pa.Schema, columns: Sequence[str]) -> pa.RecordBatch:
    """A batch of these columns, without rows."""
    wanted = part_of(schema, columns)
    return pa.RecordBatch.from_arrays([pa.nulls(0, type_) for type_ in wanted.types], schema=wanted)


def as_type(values: pa.Array, type_: pa.DataType) -> pa.Array:
    """The values under a type that `agreed_type` or `plain_type` chose for them."""
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if values.type.equals(type_):
        return values
    if is_.is_run_end_encoded(values.type):
        values = pc.run_end_decode(values)
    if is_.is_dictionary(values.type) and is_.is_dictionary(type_):
        dictionary = values.dictionary.cast(type_.value_type)
        return pa.DictionaryArray.from_arrays(values.indices.cast(type_.index_type), dictionary)
    if is_.is_dictionary(values.type):
        values = values.dictionary_decode()
    # Numbers above 2^53 lose their last digits when a file further on makes their column one of floats.
    return values.cast(type_, safe=not is_.is_floating(type_))
