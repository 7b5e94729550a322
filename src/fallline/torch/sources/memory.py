"""Tensors, arrays and sparse matrices of any shapes, nested or not: checked, and made into tensors without a copy if possible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from fallline.data.arrays import as_array, as_matrix
from fallline.data.rows import as_rows
from fallline.engines.module.reading import SparseInputs, as_tensor, leaves
from fallline.engines.module.tensors import TensorSource
from fallline.engines.module.trees import rebuilt
from fallline.errors import InputError, NonFiniteError, NotNumbersError

__all__ = ["as_tensors", "checked_weight", "tensor_source"]


def tensor_source(
    inputs: Any, targets: Any, weight: Any, dtype: torch.dtype, sparse: bool, subset: np.ndarray | None = None
) -> TensorSource:
    """A source over what is in memory.

    Parameters
    ----------
    inputs : tensor, array, sparse matrix or frame of numbers, with n rows; or a tuple or dict of such
    targets : the same, or None
    weight : tensor or array of shape (n,), or None
    dtype : torch.dtype
        What arrays of floating point numbers become. Tensors stay as they are.
    sparse : bool
        Whether batches of sparse matrices stay sparse.
    subset : ndarray of row numbers, int64, optional
        The rows to train on; by default all. Negative ones count from the end.

    Raises
    ------
    InputError
        If they are not numbers, empty, of unequal lengths, or on several devices.
    """
    inputs = as_tensors(inputs, "X", dtype, sparse)
    targets = None if targets is None else as_tensors(targets, "y", dtype, sparse, target=True)
    weight = None if weight is None else as_tensors(weight, "sample_weight", dtype, sparse)
    found = [*leaves(inputs, "X"), *leaves(targets, "y"), *leaves(weight, "sample_weight")]
    _require_rows(found)
    _require_one_device(found)
    numbers = None if subset is None else _checked_rows(subset, found[0][1].shape[0])
    return TensorSource(inputs, targets, None if weight is None else checked_weight(weight), numbers)


def as_tensors(
    values: Any, name: str, dtype: torch.dtype, sparse: bool = False, *, target: bool = False
) -> Any:
    """Tensors of whatever holds numbers; tuples and dicts keep their form.

    Arrays of floating point numbers become `dtype`. Whole numbers in `target`, which stand for classes, become int64.
    """

    def of(part, place):
        return as_tensors(part, f"{name}[{place!r}]", dtype, sparse, target=target)

    if isinstance(values, Mapping):
        return {str(key): of(part, key) for key, part in values.items()}
    if isinstance(values, tuple):
        return rebuilt(values, [of(part, place) for place, part in enumerate(values)])
    if isinstance(values, torch.Tensor):
        return _checked_tensor(values, name, sparse)
    if isinstance(values, list) and values and isinstance(values[0], torch.Tensor):
        raise InputError(
            f"{name} is a list of tensors, which may be its rows or several parts. Give torch.stack({name}) if they are its "
            f"rows, or tuple({name}) if each holds all rows."
        )
    if sp.issparse(values) or hasattr(getattr(values, "sparse", None), "to_coo"):
        return _from_matrix(values, dtype, sparse)
    return _from_array(as_array(values, name), name, dtype, target)


def _checked_tensor(tensor, name, sparse):
    if tensor.layout is not torch.strided:
        rows = tensor.detach().cpu().to_sparse_csr()
        parts = tuple(part.numpy() for part in (rows.values(), rows.col_indices(), rows.crow_indices()))
        return _from_matrix(sp.csr_array(parts, shape=tuple(rows.shape)), tensor.dtype, sparse)
    if tensor.dim() == 0:
        raise InputError(f"{name} is a single number. Give a tensor with one row a sample.")
    return tensor.detach()


def _from_matrix(matrix, dtype, sparse):
    """Sparse rows. SciPy's are wanted in float32 or float64."""
    rows = as_rows(as_matrix(matrix, np.float64 if dtype is torch.float64 else np.float32))
    return SparseInputs(rows.block(np.empty(0, np.uint64)), sparse)


def _from_array(array, name, dtype, target):
    if array.dtype.kind not in "biuf":
        what = "Python objects or text" if array.dtype.kind in "OUST" else f"{array.dtype}"
        remedy = (
            "Number the classes first: classes, y = numpy.unique(y, return_inverse=True)"
            if target
            else "Encode them as numbers first; or give a table and the name of its target, whose columns are then encoded"
        )
        raise NotNumbersError(f"{name} holds {what}, but numbers are wanted. {remedy}.")
    if array.ndim == 0:
        raise InputError(f"{name} is a single number. Give an array with one row a sample.")
    if array.dtype.kind == "f":
        # What a module computes with; NumPy's float64 is seldom meant.
        return as_tensor(np.ascontiguousarray(array, _NUMPY.get(dtype, np.float32))).to(dtype)
    if array.dtype.kind in "iu" and (target or (array.dtype.kind == "u" and array.itemsize > 1)):
        array = array.astype(np.int64, copy=False)
    return as_tensor(np.ascontiguousarray(array))


_NUMPY = {torch.float64: np.float64, torch.float16: np.float16}


def _require_rows(found):
    if not found:
        raise InputError("X holds no tensor. Give at least one.")
    (first, tensor), *others = found
    n = tensor.shape[0]
    if n == 0:
        raise InputError(
            f"{first} has 0 rows, so there is nothing to train on. Check how it was read or filtered."
        )
    for name, other in others:
        if other.shape[0] != n:
            raise InputError(
                f"{first} has {n:,} rows, but {name} has {other.shape[0]:,}. Give one row of each a sample."
            )


def _checked_rows(subset, n):
    """Row numbers, uint64, if there are some and all are of rows."""
    if len(subset) == 0:
        raise InputError("The Subset has no row, so there is nothing to train on. Check how it was made.")
    outside = (subset < -n) | (subset >= n)
    if outside.any():
        raise InputError(
            f"The Subset asks for row {subset[outside][0]}, but there are {n:,}. Check how it was made."
        )
    return np.where(subset < 0, subset + n, subset).astype(np.uint64)


def _require_one_device(found):
    (first, tensor), *others = found
    for name, other in others:
        if other.device != tensor.device:
            raise InputError(
                f"{first} is on {tensor.device}, but {name} on {other.device}. Put both on one device, or leave both on the CPU."
            )


def checked_weight(weight: torch.Tensor, name: str = "sample_weight", *, zeros: bool = False) -> torch.Tensor:
    """Weights of rows, if they are one a row, finite, not negative, and not all zero (but for `zeros`)."""
    if weight.dim() != 1:
        raise InputError(f"{name} has shape {tuple(weight.shape)}, but one number a row is wanted, (n,).")
    weight = weight if weight.dtype.is_floating_point else weight.to(torch.float32)
    finite = torch.isfinite(weight)
    if not finite.all():
        raise NonFiniteError(
            f"{name} holds NaN or infinity in row {int((~finite).nonzero()[0])}. Give a finite number a row."
        )
    if (weight < 0).any():
        row = int((weight < 0).nonzero()[0])
        raise InputError(f"{name} is {float(weight[row]):g} in row {row}. Give 0 or more a row.")
    if not (zeros or weight.any()):
        raise InputError(
            f"{name} is zero in every row, so there is nothing to train on. At least one has to be above 0."
        )
    return weight
