"""What kind of data was given: which page is for it, and which settings mean something for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from fallline.errors import InputError, ParameterError

__all__ = ["kind_of", "require_suits"]

_SETTINGS = {"Dataset": {"workers", "collate"}, "table": {"memory", "task", "plan"}}
_IN_WORDS = {
    "memory": "rows in memory",
    "table": "files or a table",
    "Dataset": "a Dataset",
    "DataLoader": "a DataLoader",
}


def kind_of(data: Any, target: Any) -> str:
    """One of "memory", "table", "Dataset" and "DataLoader".

    Arrays and frames are a table if their target is named; otherwise they are numbers to be taken as they are.

    Raises
    ------
    InputError
        For what can be read only once, or does not say how much there is of it.
    """
    if isinstance(data, DataLoader):
        return "DataLoader"
    if _is_place(data) or (isinstance(target, str) and _has_columns(data)):
        return "table"
    if _is_in_memory(data):
        return "memory"
    _require_numbered(data)
    return "Dataset"


def _is_place(data):
    places = data if isinstance(data, (list, tuple)) and data else [data]
    return all(isinstance(place, (str, os.PathLike)) for place in places)


def _has_columns(data):
    found = sp.issparse(data) or hasattr(data, "__array__") or hasattr(data, "__arrow_c_stream__")
    return found and not isinstance(data, torch.Tensor) and not _is_dataset(data)


def _is_in_memory(data):
    if isinstance(data, list):
        return not (data and isinstance(data[0], (tuple, Mapping)))
    while isinstance(data, Subset):
        data = data.dataset
    return isinstance(data, (tuple, Mapping, torch.Tensor, TensorDataset)) or _has_columns(data)


def _is_dataset(data):
    return isinstance(data, Dataset) or hasattr(data, "__getitems__")


def _require_numbered(data):
    """Raise unless the rows have numbers."""
    if data is None or np.isscalar(data):
        raise InputError(f"data is {data!r}. Give (X, y), a table, a Dataset, a DataLoader or files.")
    if isinstance(data, IterableDataset) or not (hasattr(data, "__getitem__") and _has_length(data)):
        raise InputError(
            f"data is a {type(data).__name__}, an iterable whose rows have neither numbers nor a known end, but training makes "
            "many passes, in orders of its own. Give tensors or arrays, a map-style Dataset (__len__ and __getitem__), files, or "
            "a DataLoader that knows its length."
        )


def _has_length(data):
    try:
        return len(data) >= 0
    except TypeError:
        return False


def require_suits(kind: str, **given: Any) -> None:
    """Raise `ParameterError` for a setting that means nothing for this kind of data; None is not given."""
    for name, value in given.items():
        if value is not None and name not in _SETTINGS.get(kind, ()):
            wanted = next(_IN_WORDS[other] for other, names in _SETTINGS.items() if name in names)
            more = " with a named target" if wanted == _IN_WORDS["table"] else ""
            raise ParameterError(
                f"{name}={value!r} is for {wanted}{more}, but data is {_IN_WORDS[kind]}. Leave it out."
            )
