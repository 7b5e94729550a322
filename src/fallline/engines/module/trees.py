"""Nested values with tensors in them, such as an optimizer's state, as arrays and text to write to a file, and back."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence

from fallline.errors import InputError, StateError

__all__ = ["from_arrays", "joined", "mapped", "rebuilt", "to_arrays"]

_TEXT = "values"


def mapped(function: Any, tree: Any) -> Any:
    """The same nesting of tuples, lists and dicts, with a function of every tensor in its place."""
    if isinstance(tree, torch.Tensor):
        return function(tree)
    if isinstance(tree, PackedSequence):
        # How many sequences go on at each step is always known on the processor.
        orders = [mapped(function, order) for order in tree[2:]]
        return PackedSequence(function(tree.data), tree.batch_sizes, *orders)
    if isinstance(tree, (tuple, list)):
        return rebuilt(tree, [mapped(function, value) for value in tree])
    if isinstance(tree, dict):
        return rebuilt(tree, [mapped(function, value) for value in tree.values()])
    return tree


def rebuilt(tree: Any, values: Sequence[Any]) -> Any:
    """A tuple, list or dict of the same type, with names where it has such, and other values in the same order."""
    if type(tree) is dict:
        return dict(zip(tree, values, strict=True))
    if isinstance(tree, dict):
        made = copy.copy(tree)
        for key, value in zip(tree, values, strict=True):
            made[key] = value
        return made
    return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)


def joined(values: Sequence[Any]) -> Any:
    """Trees of tensors as one: rows of the first, then of the next, and so on."""
    first = values[0]
    if first is None:
        return None
    if isinstance(first, (tuple, list)):
        return rebuilt(first, [joined(parts) for parts in zip(*values, strict=True)])
    if isinstance(first, dict):
        return rebuilt(first, [joined([value[name] for value in values]) for name in first])
    if first.layout is not torch.sparse_csr:
        return _stacked(values)
    before = 0
    starts = [values[0].crow_indices()[:1]]
    for value in values:
        starts.append(value.crow_indices()[1:] + before)
        before += value.values().shape[0]
    columns, numbers = (torch.cat([getattr(v, part)() for v in values]) for part in ("col_indices", "values"))
    shape = (sum(value.shape[0] for value in values), first.shape[1])
    return torch.sparse_csr_tensor(torch.cat(starts), columns, numbers, shape)


def _stacked(values):
    try:
        return torch.cat(list(values))
    except RuntimeError as error:
        shapes = dict.fromkeys(tuple(value.shape) for value in values)
        if len({shape[1:] for shape in shapes}) == 1:
            raise
        raise InputError(
            f"Tensors of shapes {' and '.join(map(str, shapes))} cannot be put together, rows of one after those of another: "
            "only the first dimension may differ. Pad or sum what differs within a row, or give rows of equal shapes."
        ) from error


def to_arrays(tree: Any) -> dict[str, np.ndarray]:
    """Every tensor as an array, by where it is in the tree; under "values" the rest, as JSON.

    Raises
    ------
    StateError
        If the tree holds what is neither tensor, number, text, None, nor list, tuple or dict of such.
    """
    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(_taken_apart(tree, "", arrays))
    return arrays | {_TEXT: np.frombuffer(text.encode(), np.uint8)}


def from_arrays(arrays: dict[str, np.ndarray]) -> Any:
    """The tree that `to_arrays` took apart; its tensors are on the CPU. `StateError` if the arrays are damaged."""
    try:
        return _put_together(json.loads(arrays[_TEXT].tobytes()), arrays)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise StateError(
            f"The saved state of a module is damaged ({error}). Begin anew, or go on from another one."
        ) from error


def _taken_apart(value, path, arrays):
    if isinstance(value, torch.Tensor):
        return _tensor(value.detach().cpu(), path, arrays)
    if isinstance(value, dict):
        parts = [
            [_key(key, path), _taken_apart(part, f"{path}.{key}", arrays)] for key, part in value.items()
        ]
        return {"dict": parts}
    if isinstance(value, (list, tuple)):
        parts = [_taken_apart(part, f"{path}.{place}", arrays) for place, part in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": parts}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    raise StateError(
        f"The state of training cannot be saved: at {path.lstrip('.')!r} there is a {type(value).__name__}, but only tensors, "
        "numbers, text and lists, tuples and dicts of them can be written. Train without a checkpoint, or leave it out."
    )


def _key(key, path):
    if isinstance(key, (str, int)):
        return key
    raise StateError(
        f"The state of training cannot be saved: at {path.lstrip('.')!r} there is a key {key!r}, but text or a whole number is "
        "wanted. Train without a checkpoint, or leave it out."
    )


def _tensor(tensor, path, arrays):
    if tensor.layout is torch.sparse_csr:
        parts = tensor.crow_indices(), tensor.col_indices(), tensor.values()
        return {
            "csr": [_tensor(part, f"{path}.{n}", arrays) for n, part in enumerate(parts)],
            "shape": [*tensor.shape],
        }
    tensor, name = tensor.to_dense().contiguous(), path.lstrip(".")
    # NumPy has no such type, but two bytes are two bytes.
    half = tensor.dtype is torch.bfloat16
    arrays[name] = (tensor.view(torch.int16) if half else tensor).numpy()
    return {"tensor": name, "bfloat16": half}


def _put_together(plain, arrays):
    if "tensor" in plain:
        tensor = torch.from_numpy(np.array(arrays[plain["tensor"]]))
        return tensor.view(torch.bfloat16) if plain["bfloat16"] else tensor
    if "dict" in plain:
        return {key: _put_together(part, arrays) for key, part in plain["dict"]}
    if "list" in plain:
        return [_put_together(part, arrays) for part in plain["list"]]
    if "tuple" in plain:
        return tuple(_put_together(part, arrays) for part in plain["tuple"])
    if "csr" in plain:
        starts, columns, numbers = (_put_together(part, arrays) for part in plain["csr"])
        return torch.sparse_csr_tensor(starts, columns, numbers, plain["shape"])
    return plain["value"]
