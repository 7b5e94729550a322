"""From what users give (a file, a data frame, arrays, the name of a demonstration) to rows of numbers and a target."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fallline.comparison.demos import demo_frame
from fallline.data.arrays import as_matrix, column_names
from fallline.errors import InputError, ParameterError

__all__ = ["Table", "read"]

_TEXT = {".csv": ",", ".tsv": "\t", ".csv.gz": ",", ".tsv.gz": "\t"}
_PARQUET = (".parquet", ".pq")
_SEPARATORS = (",", ";", "\t")


@dataclass(frozen=True)
class Table:
    """Rows of numbers, and the value to predict from each.

    Parameters
    ----------
    name : str
        What to call the data.
    X : ndarray of shape (n, columns), float32 or float64
        Finite numbers.
    y : ndarray of shape (n,)
        As it came: numbers, booleans or strings; nothing missing.
    columns : list of str
        One name a column of X.
    target : str
        The name of what is in y.
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    columns: list[str]
    target: str


def read(
    data: Any,
    y: Any = None,
    *,
    target: str | None = None,
    demo: str | None = None,
    ignore: Sequence[str] = (),
) -> Table:
    """Read whatever was given; raise `InputError` or `ParameterError` where it cannot be used.

    Parameters
    ----------
    data : path, data frame, Arrow table or array of shape (n, columns), or None with `demo`
    y : array of shape (n,), optional
        Needed with an array, or with a data frame that does not hold the target.
    target : str, optional
        Which column of a file or data frame to predict.
    demo : str, optional
        A data set that comes with scikit-learn, instead of `data`.
    ignore : sequence of str
        Columns to leave out.
    """
    if demo is not None:
        if data is not None or y is not None or target is not None:
            raise ParameterError(
                f"demo={demo!r} brings its own data and target. Give either a demo or data, not both."
            )
        name, frame, target = demo_frame(demo)
    elif data is None:
        raise ParameterError(
            "There is nothing to compare on. Give a CSV or Parquet file, a data frame, arrays, or a demo."
        )
    elif isinstance(data, (str, Path)):
        name, frame = Path(data).name, _read_file(Path(data))
    else:
        name, frame = "your data", _as_arrow(data)
    if y is not None:
        return _checked(_from_arrays(data, y, target, ignore))
    if frame is None:
        raise ParameterError("X is an array, so the values to predict have to be given too, as y.")
    return _checked(_from_arrow(name, frame, target, ignore))


def _read_file(path):
    lower = path.name.lower()
    ending = next((e for e in (*_TEXT, *_PARQUET) if lower.endswith(e)), None)
    if ending is None:
        raise InputError(
            f"{str(path)!r} has an ending that is not known. Give a file that ends in {', '.join((*_TEXT, *_PARQUET))}."
        )
    if not path.exists():
        near = difflib.get_close_matches(path.name, [p.name for p in _neighbours(path)], n=1)
        hint = f" Did you mean {str(path.with_name(near[0]))!r}?" if near else ""
        raise InputError(f"There is no file {str(path)!r}. Check the path.{hint}")
    if not path.is_file():
        raise InputError(f"{str(path)!r} is a folder, not a file. Give the CSV or Parquet file itself.")
    try:
        return _read_text(path, _TEXT[ending]) if ending in _TEXT else _read_parquet(path)
    except (ValueError, OSError) as error:  # Arrow's own errors are ValueErrors
        if isinstance(error, InputError):
            raise
        kind = "text in columns" if ending in _TEXT else "Parquet"
        raise InputError(
            f"{str(path)!r} cannot be read as {kind}: {_first_line(error)}. Check the file."
        ) from error


def _neighbours(path):
    return path.parent.iterdir() if path.parent.is_dir() else ()


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _read_text(path, separator):
    from pyarrow import csv

    if path.stat().st_size == 0:
        raise InputError(
            f"{str(path)!r} is empty. Give a file with a line of column names and rows below it."
        )
    convert = csv.ConvertOptions(strings_can_be_null=True)
    table = csv.read_csv(path, parse_options=csv.ParseOptions(delimiter=separator), convert_options=convert)
    _require_utf8(table, path)
    if table.num_columns == 1:
        header = table.column_names[0]
        for other in _SEPARATORS:
            if other != separator and other in header:
                parse = csv.ParseOptions(delimiter=other)
                return csv.read_csv(path, parse_options=parse, convert_options=convert)
    return table


def _require_utf8(table, path):
    try:
        _ = table.column_names
    except UnicodeDecodeError as error:
        raise InputError(f"{str(path)!r} is not in UTF-8: {error}. Save it as UTF-8.") from error


def _read_parquet(path):
    from pyarrow import parquet

    return parquet.read_table(path)


def _as_arrow(data):
    """A data frame as an Arrow table; None for anything that has no named columns."""
    import pyarrow as pa

    if isinstance(data, pa.Table):
        return data
    if column_names(data) is None:
        return None
    if hasattr(data, "to_arrow"):
        return data.to_arrow()
    try:
        return pa.Table.from_pandas(data.rename(columns=str), preserve_index=False)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"The data frame cannot be used: {_first_line(error)}. Every column needs values of one type."
        ) from error


def _from_arrays(X, y, target, ignore):
    if ignore:
        raise ParameterError(
            "ignore= leaves out columns of a file or data frame by name. Leave them out of X instead."
        )
    names = column_names(X)
    y = np.asarray(y)
    X = as_matrix(X)
    if y.shape != (len(X),):
        raise InputError(
            f"y has shape {y.shape}, but X has {len(X)} rows. Give one value a row, as an array of shape ({len(X)},)."
        )
    return Table("your data", X, y, names or [f"column {j + 1}" for j in range(X.shape[1])], target or "y")


def _from_arrow(name, frame, target, ignore):
    names = frame.column_names
    _require_distinct(names)
    if target is None:
        raise ParameterError(f"Which column is to be predicted? Give a target, one of: {_listed(names)}.")
    for wanted, role in ((target, "target"), *((column, "ignore") for column in ignore)):
        _require_column(names, wanted, role)
    if target in ignore:
        raise ParameterError(f"{target!r} is the target and is to be ignored. It can only be one of both.")
    columns = [column for column in names if column != target and column not in ignore]
    if not columns:
        raise InputError(
            f"There is no column left to predict {target!r} from. The data need at least one column of numbers."
        )
    if frame.num_rows == 0:
        raise InputError("The data have column names but no rows. Give data with rows.")
    _require_numbers(frame, columns)
    X = np.empty((frame.num_rows, len(columns)))
    for j, column in enumerate(columns):
        X[:, j] = _numbers(frame.column(column))
    return Table(name, X, _target_values(frame.column(target)), columns, target)


def _require_distinct(names):
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"These column names occur more than once: {_listed(twice)}. Give every column its own name."
        )


def _require_column(names, wanted, role):
    if wanted in names:
        return
    near = difflib.get_close_matches(wanted, names, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {_listed(names)}."
    raise InputError(f"There is no column {wanted!r} (given as {role}). {hint}")


def _listed(names, most=20):
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def _require_numbers(frame, columns):
    wrong = {
        column: frame.schema.field(column).type
        for column in columns
        if not _is_number(frame.schema.field(column).type)
    }
    if wrong:
        found = ", ".join(f"{column!r} ({kind})" for column, kind in wrong.items())
        options = " ".join(f"--ignore {column}" for column in list(wrong)[:3]) + (
            " ..." if len(wrong) > 3 else ""
        )
        raise InputError(
            f"These columns do not hold numbers: {found}. Only numbers can be used for now. "
            f"Encode them as numbers, or leave them out ({options}; in Python, ignore=[...])."
        )


def _is_number(kind):
    import pyarrow.types as t

    return any(check(kind) for check in (t.is_integer, t.is_floating, t.is_boolean, t.is_decimal, t.is_null))


def _numbers(column):
    import pyarrow as pa

    return column.cast(pa.float64()).to_numpy()


def _target_values(column):
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks])
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if (
        pa.types.is_temporal(column.type)
        or pa.types.is_nested(column.type)
        or pa.types.is_binary(column.type)
    ):
        raise InputError(
            f"The target holds values of type {column.type}, but numbers or classes are wanted. Choose another target."
        )
    return column.to_numpy()


def _checked(table):
    """The table, if no value is missing or infinite."""
    missing = {
        column: int(count)
        for column, count in zip(table.columns, np.isnan(table.X).sum(axis=0), strict=True)
        if count
    }
    absent = int(_is_missing(table.y).sum())
    if absent:
        missing[table.target] = absent
    if missing:
        found = ", ".join(
            f"{column!r} ({count:,} of {len(table.y):,})" for column, count in list(missing.items())[:20]
        )
        raise InputError(
            f"Values are missing in {found}. Fill them in, leave these rows out, or leave these columns out."
        )
    infinite = [
        column
        for column, finite in zip(table.columns, np.isfinite(table.X).all(axis=0), strict=True)
        if not finite
    ]
    if infinite:
        raise InputError(
            f"These columns hold infinite values: {_listed(infinite)}. Every value has to be a finite number."
        )
    largest = np.abs(table.X).max(axis=0)
    extreme = [
        column
        for column, size in zip(table.columns, largest, strict=True)
        if size > 1e100 or 0 < size < 1e-100
    ]
    if extreme:
        raise InputError(
            f"The values of these columns are beyond 1e100, or all below 1e-100: {_listed(extreme)}. Their squares leave "
            "the range of numbers. Give the columns in other units."
        )
    return table


def _is_missing(values):
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind != "O":
        return np.zeros(len(values), bool)
    return np.array(
        [value is None or (isinstance(value, float) and math.isnan(value)) for value in values], bool
    )
