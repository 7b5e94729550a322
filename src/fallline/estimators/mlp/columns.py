"""How the columns of a data frame become numbers: numbers as they are, categories one-hot, for embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from fallline.data.arrays import as_matrix
from fallline.errors import InputError, NotNumbersError, ParameterError
from fallline.names import did_you_mean
from fallline.settings import integer, is_auto

__all__ = ["Columns", "read_columns"]

_INDEX_AND_VALUE = 8
# Values of a column of Python objects that are looked at.
_LOOK = 1000


@dataclass(frozen=True)
class Columns:
    """The columns of a data frame, of which some are categories.

    Parameters
    ----------
    categories : dict of str to Array
        The values that each column of categories had, in the order of their one-hot columns; these come after the numbers.
    sizes : dict of str to int
        How many numbers stand for a category, where that was said.
    names : list of str
        All columns of the frame.
    """

    categories: dict[str, pa.Array]
    sizes: dict[str, int]
    names: list[str]

    @property
    def groups(self) -> list[tuple[int, ...]]:
        """The range of one-hot columns of each category and, where that was said, how many numbers stand for it."""
        groups, place = [], len(self.names) - len(self.categories)
        for name, values in self.categories.items():
            size = (self.sizes[name],) if name in self.sizes else ()
            groups.append((place, place + len(values), *size))
            place += len(values)
        return groups

    def encode(self, X: Any, dtype: Any = None) -> np.ndarray | sp.csr_array:
        """Rows of numbers: the frame's numbers, then each category one-hot; one that is missing or unknown is all zeros.

        Sparse where that takes less memory.

        Raises
        ------
        InputError
            If a column is missing, or what should be a number is none.
        """
        places = {name: place for place, (name, _) in enumerate(_kinds(X))}
        if not places:
            raise InputError(
                f"The model was trained with columns that have names, {', '.join(map(repr, self.names))}, but those of X have "
                "none. Pass a data frame with the columns that it was trained with."
            )
        absent = [name for name in self.names if name not in places]
        if absent:
            raise InputError(
                f"The model was trained with a column {absent[0]!r}, which is not there. The columns are {', '.join(places)}. "
                "Pass all columns that it was trained with."
            )
        rest = [name for name in self.names if name not in self.categories]
        numbers = as_matrix(_part(X, rest), dtype) if rest else np.empty((len(X), 0), dtype or np.float64)
        ones = [
            _ones(_column(X, places[name]), values, start)
            for (name, values), (start, *_) in zip(self.categories.items(), self.groups, strict=True)
        ]
        return _side_by_side(numbers, ones, self.groups[-1][1])


def read_columns(X: Any, embeddings: Any) -> Columns | None:
    """What columns a data frame has; None where nothing of it is a category, or it is no data frame.

    Parameters
    ----------
    X : array-like, data frame or table
    embeddings : 'auto', int, dict of str to int, or None
        What the estimators' parameter of that name says.

    Raises
    ------
    ParameterError
        If `embeddings` is none of these, or names a column that there is not.
    InputError
        If a column of categories has none.
    """
    sizes = _sizes(embeddings)
    kinds = _kinds(X)
    if embeddings is None or (not kinds and not isinstance(embeddings, Mapping)):
        return None
    names = [name for name, _ in kinds]
    for name in sizes if isinstance(embeddings, Mapping) else ():
        if name not in names:
            raise ParameterError(
                f"embeddings names a column {name!r}, which X does not have.{did_you_mean(name, names)} Name columns of a data "
                "frame."
            )
    chosen = [
        place for place, (name, kind) in enumerate(kinds) if name in sizes or _is_category(X, place, kind)
    ]
    if not chosen:
        return None
    categories = {names[place]: _distinct(_column(X, place)) for place in chosen}
    empty = [name for name, values in categories.items() if len(values) == 0]
    if empty:
        raise InputError(f"The column {empty[0]!r} holds no value in any row. Leave it out.")
    given = sizes if isinstance(embeddings, Mapping) else dict.fromkeys(categories, embeddings)
    return Columns(categories, {} if is_auto(embeddings) else dict(given), names)


def _sizes(embeddings):
    """The sizes that were given for single columns."""
    if embeddings is None or is_auto(embeddings):
        return {}
    if isinstance(embeddings, Mapping):
        return {str(name): integer(f"embeddings[{name!r}]", size) for name, size in embeddings.items()}
    if isinstance(embeddings, Integral) and not isinstance(embeddings, bool):
        integer("embeddings", embeddings)
        return {}
    raise ParameterError(
        f"embeddings={embeddings!r} is not 'auto', a size, a dict of column names to sizes, or None. Give one of them."
    )


def _kinds(X):
    """Names and types of the columns of a data frame or table; nothing for anything else."""
    if hasattr(X, "column_names"):
        return [(field.name, field.type) for field in X.schema]
    if hasattr(X, "get_columns"):
        return [(name, str(kind)) for name, kind in zip(X.columns, X.dtypes, strict=True)]
    if hasattr(X, "iloc") and hasattr(X, "columns"):
        return [(str(name), str(kind)) for name, kind in zip(X.columns, X.dtypes, strict=True)]
    return []


def _column(X, place):
    """One column of a data frame or table."""
    if hasattr(X, "column_names"):
        return X.column(place)
    return X.get_columns()[place] if hasattr(X, "get_columns") else X.iloc[:, place]


def _part(X, names):
    """Some columns of a data frame or table."""
    return X.select(names) if hasattr(X, "column_names") or hasattr(X, "get_columns") else X[names]


def _is_category(X, place, kind):
    """Whether a column holds categories or text; what is neither that nor numbers is for others to refuse."""
    if isinstance(kind, pa.DataType):
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
        return is_text or pa.types.is_dictionary(kind)
    if kind == "object":
        looked_at = _column(X, place).dropna()[:_LOOK]
        return len(looked_at) > 0 and all(isinstance(value, str) for value in looked_at)
    return kind in ("category", "str") or kind.startswith(("string", "String", "Categorical", "Enum"))


def _as_text(column):
    """Values as an Arrow array without dictionaries; numbers and text keep their kinds."""
    array = column.to_arrow() if hasattr(column, "to_arrow") else column
    if not isinstance(array, (pa.Array, pa.ChunkedArray)):
        try:
            array = pa.array(array, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise NotNumbersError(
                f"A column mixes text with other values ({error}). Make it all text, e.g. with .astype(str), or all numbers."
            ) from error
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type):
        array = array.cast(pa.string())
    return array


def _distinct(column):
    """The values of a column, sorted."""
    values = pc.unique(_as_text(column)).drop_null()
    return values.take(pc.sort_indices(values)) if len(values) else values


def _ones(column, values, start):
    """For each row the one-hot column of its category; -1 where it is missing or unknown."""
    array = _as_text(column)
    if array.type != values.type:
        try:
            array = array.cast(values.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            array = pa.nulls(len(array), values.type)
    places = pc.fill_null(pc.index_in(array, value_set=values), -1).to_numpy(zero_copy_only=False)
    return np.where(places >= 0, places + start, -1)


def _side_by_side(numbers, places, width):
    """Numbers and, to their right, ones at the places of the categories."""
    n, first = numbers.shape
    entries = first + len(places)
    if not sp.issparse(numbers) and entries * _INDEX_AND_VALUE + _INDEX_AND_VALUE >= width * numbers.itemsize:
        matrix = np.zeros((n, width), numbers.dtype)
        matrix[:, :first] = numbers
        for place in places:
            rows = np.flatnonzero(place >= 0)
            matrix[rows, place[rows]] = 1
        return matrix
    at = np.column_stack(places)
    rows, column = np.nonzero(at >= 0)
    ones = sp.csr_array(
        (np.ones(len(rows), numbers.dtype), (rows, at[rows, column] - first)), shape=(n, width - first)
    )
    return sp.csr_array(sp.hstack([sp.csr_array(numbers), ones], format="csr"))
