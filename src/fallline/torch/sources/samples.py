"""What a batch of samples consists of: inputs, targets and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn.utils.rnn import PackedSequence

from fallline.engines.module.reading import leaves
from fallline.engines.module.tensors import require_finite_values
from fallline.engines.module.trees import rebuilt
from fallline.errors import InputError, ParameterError
from fallline.names import which_one
from fallline.torch.sources.memory import checked_weight

__all__ = ["NO_KEYS", "Keys", "parted", "require_finite_batch", "require_weights"]


class Keys(NamedTuple):
    """Where samples that are dicts hold what is not an input.

    Parameters
    ----------
    target, weight : str or None
    """

    target: str | None = None
    weight: str | None = None


NO_KEYS = Keys()
"""Samples are tuples, or all that is in a dict is an input."""


def parted(batch: Any, keys: Keys, of: str) -> tuple[Any, Any, torch.Tensor | None]:
    """Inputs, targets and weights of a batch: of (x, y) or (x, y, weight), of a dict, or of inputs alone.

    Parameters
    ----------
    batch : tuple, list, dict, tensor or packed sequence
    keys : Keys
    of : str
        What makes such batches, for messages.

    Raises
    ------
    InputError
        If it holds something else than tensors, or too many parts.
    ParameterError
        If it has no such key.
    """
    inputs, targets, weight = _parts(_plain(batch), keys, of)
    for name, value in (*leaves(inputs, "inputs"), *leaves(targets, "targets"), *leaves(weight, "weight")):
        if not isinstance(value, torch.Tensor):
            raise InputError(
                f"{name} of {of} is a {type(value).__name__}, but a tensor is wanted. Leave it out, or make it one where samples "
                "are put together (collate)."
            )
    return inputs, targets, None if weight is None else checked_weight(weight, "weight", zeros=True)


def _plain(batch):
    """Lists as tuples and mappings as dicts, as PyTorch collates them; tuples with names keep these."""
    if isinstance(batch, Mapping):
        return {str(key): _plain(value) for key, value in batch.items()}
    if isinstance(batch, PackedSequence):
        return batch
    if isinstance(batch, tuple):
        return rebuilt(batch, list(map(_plain, batch)))
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        return tuple(map(_plain, batch))
    return batch


def _parts(batch, keys, of):
    if isinstance(batch, dict):
        weight = None if keys.weight is None else _taken(batch, keys.weight, "sample_weight", of)
        targets = None if keys.target is None else _taken(batch, keys.target, "target", of)
        return batch, targets, weight
    for name, key in zip(("target", "sample_weight"), keys, strict=True):
        if key is not None:
            raise ParameterError(
                f"{name}={key!r} names a key, but {of} is a {type(batch).__name__}. Leave it out: y is the second part of (x, y)."
            )
    if not isinstance(batch, tuple) or isinstance(batch, PackedSequence):
        return batch, None, None
    if len(batch) not in {2, 3}:
        raise InputError(
            f"{of} has {len(batch)} parts, but (x, y) or (x, y, weight) is wanted. Several inputs are one part: ((x1, x2), y)."
        )
    return require_weights(batch, of) if len(batch) == 3 else (*batch, None)


def require_weights(parts: tuple, of: str) -> tuple:
    """The parts, if a third can be weights: other inputs or targets are not taken for such.

    Raises
    ------
    InputError
        If it is not one floating point number a row.
    """
    weight = parts[2] if len(parts) == 3 else None
    if isinstance(weight, torch.Tensor) and not (weight.dtype.is_floating_point and weight.dim() == 1):
        raise InputError(
            f"The third part of {of} is {str(weight.dtype).removeprefix('torch.')} of shape {tuple(weight.shape)}, but there "
            "weights are expected, one floating point number a row. Several inputs are one part: ((x1, x2), y)."
        )
    return parts


def _taken(batch, key, name, of):
    if key not in batch:
        raise ParameterError(f"{name}={key!r} is no key of {of}.{which_one(key, batch)}")
    return batch.pop(key)


def require_finite_batch(parts: tuple[Any, Any, Any], rows: Sequence[int] | None, where: str) -> None:
    """Raise `NonFiniteError` if a batch holds NaN or infinity; it names the row where rows are known, otherwise `where`."""
    for name, values in zip(("inputs", "targets", "weight"), parts, strict=True):
        for place, tensor in leaves(values, name):
            known = rows if rows is not None and len(tensor) == len(rows) else None
            require_finite_values(tensor, known, place, where)
