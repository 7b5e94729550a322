"""Targets that are numbers of classes: whether they are such, and of classes that there are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fallline.errors import InputError

__all__ = ["IGNORED", "none_counts", "require_labels", "require_tensors", "wrong_label"]

IGNORED = -100
"""The target that PyTorch leaves out, unless it is told another."""


def wrong_label(outputs: Tensor, targets: Any, ignored: int = IGNORED) -> tuple[int, int, int] | None:
    """The first target that is no class: its place, the target, and how many classes there are; None where all are.

    Parameters
    ----------
    outputs : tensor of shape (rows, classes, ...)
    targets : int64 tensor of shape (rows, ...)
    ignored : int
        A target that counts for nothing.
    """
    if not isinstance(targets, Tensor) or targets.is_floating_point() or outputs.ndim < 2:
        return None
    classes = outputs.shape[1]
    wrong = ((targets < 0) | (targets >= classes)) & (targets != ignored)
    if not bool(wrong.any()):
        return None
    first = wrong.reshape(-1).nonzero()[0]
    place = int(first) // max(1, targets[0].numel())
    return place, int(targets.reshape(-1)[first]), classes


def none_counts(block: Any, batch_size: int, ignored: int) -> bool:
    """Whether some batch of a block had no target but ignored ones."""
    targets = None if block is None else block.targets
    if not isinstance(targets, Tensor) or targets.is_floating_point() or targets.is_complex():
        return False
    if block.rows is None:
        return bool((targets == ignored).all())
    chosen = targets[block.rows.to(targets.device)] == ignored
    return any(bool(part.all()) for part in chosen.split(batch_size))


def require_tensors(outputs: Any, targets: Any, loss: str) -> None:
    """Raise `InputError` unless outputs and targets are a tensor each, which a loss can compare."""
    for name, values, whose in (
        ("outputs", outputs, "The module gives"),
        ("targets", targets, "The targets are"),
    ):
        if not isinstance(values, Tensor):
            keys = f" of {', '.join(map(repr, values))}" if isinstance(values, dict) else ""
            key = next(map(repr, values), "0") if isinstance(values, dict) else "0"
            raise InputError(
                f"{whose} a {type(values).__name__}{keys}, but {loss} compares one tensor of outputs with one of targets. Give a "
                f"function instead, of outputs and targets, that takes what it wants: {name}[{key}]."
            )


def require_labels(outputs: Tensor, targets: Tensor, *, shares: bool) -> None:
    """Raise `InputError` unless targets are numbers of classes, as cross-entropy wants them.

    Parameters
    ----------
    outputs : tensor of shape (rows, classes, ...) or (classes,)
    targets : int64 tensor of shape (rows, ...)
    shares : bool
        Whether targets may also be the share of each class: floating point numbers, of the shape of the outputs.
    """
    wanted = (*outputs.shape[:1], *outputs.shape[2:]) if outputs.ndim > 1 else ()
    floating = targets.is_floating_point()
    if shares and floating and targets.shape == outputs.shape:
        return
    if tuple(targets.shape) == wanted and targets.dtype in (torch.int64, torch.uint8):
        return
    if tuple(targets.shape) == wanted:
        remedy = "y.long()"
    elif targets.shape == outputs.shape:
        remedy = "y.argmax(1), of one-hot rows" + (", or y.float()" if shares else "")
    elif targets.shape == (*wanted, 1):
        remedy = "y.squeeze(-1)" + ("" if not floating else ".long()")
    else:
        remedy = "targets, or the module's outputs with .flatten(1)"
    raise InputError(
        f"The targets have shape {tuple(targets.shape)} and dtype {str(targets.dtype).removeprefix('torch.')}, but for outputs "
        f"of shape {tuple(outputs.shape)} numbers of classes are wanted, int64 of shape {wanted}. Convert them: {remedy}."
    )
