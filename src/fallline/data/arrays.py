"""From what users pass as X, y and weights to arrays that kernels can read."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.errors import InputError, NonFiniteError, NotNumbersError

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["as_array", "as_matrix", "as_numbers", "as_weight", "column_names", "one_a_row", "require_finite"]


def as_matrix(X: Any, dtype: Any = None) -> np.ndarray | sp.csr_array:
    """The rows as a two-dimensional, row-major array of float32 or float64; sparse ones as compressed sparse rows.

    float16 and float32 become float32, all other numbers float64; what already is as wanted is not copied. Sparse rows have
    their indices sorted, and entries of the same place added up.

    Parameters
    ----------
    X : array-like, pandas or polars DataFrame, Arrow table, or SciPy sparse matrix or array, of shape (n, columns)
        A DataFrame all of whose columns are sparse stays sparse.
    dtype : dtype, optional
        The type to convert to instead.

    Raises
    ------
    InputError
        If it is empty, not two-dimensional, or not all numbers.
    """
    from scipy.sparse import issparse  # which whoever reads files has no use for

    if hasattr(getattr(X, "sparse", None), "to_coo"):
        X = _from_sparse_columns(X)
    array = X if issparse(X) else as_array(X, "X")
    if array.dtype.kind == "O":
        array = _from_objects(array, "X")
    if array.dtype.kind == "c":
        raise InputError("Complex data not supported: X holds complex numbers. Give real numbers.")
    if array.dtype.kind not in "biuf":
        raise NotNumbersError(
            f"X has dtype {array.dtype}, but numbers are wanted. Encode text and dates as numbers first."
        )
    if array.ndim != 2:
        shape = f"{array.ndim}D array of shape {array.shape}" if array.ndim else "a scalar"
        raise InputError(
            f"Expected 2D array, got {shape} instead: X takes one row a sample. Reshape your data with X.reshape(-1, 1) "
            "if it is a single column, or X.reshape(1, -1) if it is a single row."
        )
    for size, what, axis in ((array.shape[0], "sample", 0), (array.shape[1], "feature", 1)):
        if size == 0:
            raise InputError(
                f"Found array with 0 {what}(s) (shape={array.shape}) while a minimum of 1 is required: X is empty "
                f"along axis {axis}. Check how it was read or filtered."
            )
    if dtype is None:
        dtype = np.float32 if array.dtype in (np.float16, np.float32) else np.float64
    return _as_csr(array, dtype) if issparse(array) else np.ascontiguousarray(array, dtype=dtype)


def _as_csr(matrix, dtype):
    """A sparse matrix as sound rows with sorted indices, each at most once."""
    from scipy.sparse import csr_array

    rows = matrix.tocsr()
    try:
        rows = csr_array((rows.data, rows.indices, rows.indptr), shape=rows.shape)
        rows.check_format()
    except ValueError as error:
        raise InputError(f"X is not a sound sparse matrix: {error}. Check how it was made.") from error
    rows = rows.astype(dtype, copy=False)
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    return rows


def _from_sparse_columns(frame):
    """A pandas DataFrame of sparse columns as a sparse matrix."""
    try:
        return frame.sparse.to_coo()
    except (ValueError, TypeError) as error:
        raise InputError(
            f"X is a DataFrame of sparse columns that do not make a sparse matrix ({error}). Give columns of numbers whose "
            "fill value is 0."
        ) from error


def as_numbers(y: Any, n: int, dtype: Any) -> np.ndarray:
    """Targets as numbers, (n,) or (n, targets).

    Raises
    ------
    InputError
        If they are not finite numbers, or not one a row of X.
    """
    array = as_array(y, "y")
    if array.dtype.kind == "O":
        array = _from_objects(array, "y")
    if array.dtype.kind not in "biuf":
        raise NotNumbersError(
            f"y has dtype {array.dtype}, but numbers are wanted. For classes use a classifier."
        )
    finite = require_finite(one_a_row(array, n, "y", (1, 2)), "y")
    if finite.ndim == 2 and finite.shape[1] == 0:
        raise InputError(f"y has shape {finite.shape}: no column to predict. Give one or several.")
    with np.errstate(over="ignore"):
        numbers = finite.astype(dtype, copy=False)
    if not np.isfinite(numbers).all():
        raise InputError(
            f"y reaches {np.abs(finite).max():g}, which {np.dtype(dtype)} cannot hold. Scale it, or pass X as float64."
        )
    return numbers


def as_weight(sample_weight: Any, n: int, dtype: Any) -> np.ndarray | None:
    """Weights of the rows, (n,), not negative and not all zero; None for no weights."""
    if sample_weight is None:
        return None
    array = as_array(sample_weight, "sample_weight")
    if array.dtype.kind == "O":
        array = _from_objects(array, "sample_weight")
    if array.ndim == 0:
        array = np.full(n, array)
    if array.dtype.kind not in "biuf":
        raise NotNumbersError(
            f"sample_weight has dtype {array.dtype}, but numbers are wanted. Give one number a row."
        )
    if array.ndim != 1:
        raise InputError(
            f"sample_weight has shape {array.shape}, but one number a row is wanted. Give a 1D array."
        )
    array = require_finite(one_a_row(array, n, "sample_weight", (1,)), "sample_weight")
    if (array < 0).any():
        row = int(np.argmax(array < 0))
        raise InputError(
            f"sample_weight is {array[row]:g} in row {row}. Negative weights have no meaning here: give 0 or more."
        )
    if not array.any():
        raise InputError(
            "sample_weight is zero in every row, so there is nothing to train on. At least one has to be above 0."
        )
    return np.ascontiguousarray(array, dtype=dtype)


def column_names(X: Any) -> list[str] | None:
    """Names of a data frame's or table's columns; None where there are none."""
    names = getattr(X, "column_names", getattr(X, "columns", None))
    return None if names is None else [str(name) for name in names]


def as_array(values: Any, name: str) -> np.ndarray:
    """Anything like an array, a data frame of numbers or a table as an array, not yet checked for what it holds."""
    if values is None:
        raise InputError(
            f"{name} is None. To train requires y to be passed, but the target y is None. Give one value a row."
            if name == "y"
            else f"{name} is None. Give an array, a list or a data frame."
        )
    if not (hasattr(values, "__array__") or hasattr(values, "__len__") or np.isscalar(values)):
        raise InputError(
            f"{name} is a {type(values).__name__}, which has no length and can be read only once; training needs many passes. "
            f"Give an array, a list or a data frame, e.g. np.array(list({name}))."
        )
    if np.ma.is_masked(values):
        raise InputError(
            f"{name} is a masked array with masked values. Impute them, or leave their rows out."
        )
    columns = _columns_of(values)
    if columns is not None and name == "y" and len(columns) == 1:
        return columns[0][1][:, np.newaxis]  # labels may be text
    if columns is not None:
        return _from_columns(columns, len(values), unique=name != "y")
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{name} cannot be made into an array ({error}). Every row needs the same number of numbers."
        ) from error


def _columns_of(values):
    """Names and arrays of the columns of an Arrow table, a polars frame or a pandas frame; None for anything else."""
    if hasattr(values, "column_names"):
        names, arrays = values.column_names, [np.asarray(column) for column in values.columns]
    elif hasattr(values, "get_columns"):
        names, arrays = values.columns, [np.asarray(column) for column in values.get_columns()]
    elif hasattr(values, "iloc") and hasattr(values, "columns"):
        names, arrays = values.columns, [values.iloc[:, j].to_numpy() for j in range(values.shape[1])]
    else:
        return None
    return [(str(name), array) for name, array in zip(names, arrays, strict=True)]


def _from_columns(columns, rows, *, unique):
    """A row-major array from named columns of numbers."""
    names = [name for name, _ in columns]
    if unique and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"There are several columns called {twice!r}. Give each a name of its own.")
    wrong = [f"{name!r} ({column.dtype})" for name, column in columns if not _holds_numbers(column)]
    if wrong:
        raise NotNumbersError(
            f"These columns do not hold numbers: {', '.join(wrong)}. Encode them as numbers or leave them out."
        )
    small = all(column.dtype in (np.float16, np.float32) for _, column in columns)
    array = np.empty((rows, len(columns)), np.float32 if small and columns else np.float64)
    for j, (_, column) in enumerate(columns):
        array[:, j] = column
    return array


def _holds_numbers(column):
    if column.dtype.kind != "O":
        return column.dtype.kind in "biuf"
    return all(value is None or isinstance(value, Real) for value in column)


def _from_objects(array, name):
    """An array of Python objects as float64, if each is a number."""
    try:
        return array.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise NotNumbersError(
            f"{name} holds Python objects that are not all numbers ({error}); every argument must be a string or a number. "
            "Encode text and dates as numbers, or leave them out."
        ) from error


def one_a_row(array: np.ndarray, n: int, name: str, dimensions: tuple[int, ...]) -> np.ndarray:
    """The array, if it has one value a row and so many dimensions."""
    if array.ndim not in dimensions:
        raise InputError(
            f"{name} should be a 1d array, got an array of shape {array.shape} instead. Give one value a row."
        )
    if len(array) != n:
        raise InputError(
            f"X has {n} rows, but {name} has {len(array)} (inconsistent numbers of samples). Give one value of {name} a row."
        )
    return array


def require_finite(array: np.ndarray, name: str) -> np.ndarray:
    """The array, if every value is a finite number."""
    if not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        found = "NaN" if np.isnan(array[row]).any() else "infinity (inf)"
        raise NonFiniteError(
            f"Input {name} contains {found} in row {row}; every value has to be a finite number. Remove such rows."
        )
    return array
