"""The classic mistake: outputs of shape (n,) compared with targets of shape (n, 1), which broadcast to n x n."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.overrides import TorchFunctionMode

from fallline.engines.module.reading import leaves
from fallline.errors import InputError

__all__ = ["require_same", "watched"]

# Functions that compare number with number and give one number, so that what they broadcast cannot be seen from outside.
_ELEMENTWISE = {
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "gaussian_nll_loss", "huber_loss", "kl_div", "l1_loss",
    "mse_loss", "poisson_nll_loss", "smooth_l1_loss", "soft_margin_loss",
}  # fmt: skip


def watched(loss: Callable[[Any, Any], Any], outputs: Any, targets: Any) -> Any:
    """The loss of outputs and targets, unless on the way to it the two are broadcast to more numbers than either has.

    Raises
    ------
    InputError
        If they are.
    """
    with _Watch(outputs, targets):
        return loss(outputs, targets)


def require_same(outputs: torch.Tensor, targets: torch.Tensor) -> None:
    """Raise `InputError` unless outputs and targets have the same shape."""
    if outputs.shape != targets.shape:
        raise InputError(
            f"The module gives outputs of shape {tuple(outputs.shape)}, but the targets have shape {tuple(targets.shape)}: to "
            "compare them number with number, PyTorch would repeat one for every row of the other. Reshape one of them: targets "
            "with .unsqueeze(-1), or outputs with .squeeze(-1)."
        )


class _Watch(TorchFunctionMode):
    """Looks at every function to which come outputs and targets, or what was computed of one of the two alone.

    That rows of one are repeated for every row of the other is seen by this: both have their rows along the first dimension, but
    not equally many dimensions. (A loss that wants all pairs of rows has outputs and targets alike, and adds a dimension itself.)
    """

    def __init__(self, outputs, targets):
        super().__init__()
        self._outputs, self._targets = _Family(outputs), _Family(targets)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = [
            tensor for _, tensor in leaves([*args, *kwargs.values()], "") if isinstance(tensor, torch.Tensor)
        ]
        own, other = (family.first_of(given) for family in (self._outputs, self._targets))
        if own is not None and other is not None and getattr(func, "__name__", "") in _ELEMENTWISE:
            _require_no_pairs(own, other, None)
        result = func(*args, **kwargs)
        if own is not None and other is not None:
            if isinstance(result, torch.Tensor):
                _require_no_pairs(own, other, result)
        elif own is not None:
            self._outputs.take_in(result, own)
        elif other is not None:
            self._targets.take_in(result, other)
        return result


class _Member(NamedTuple):
    """A tensor, and the one among outputs or targets that it was computed of."""

    tensor: torch.Tensor
    root: torch.Tensor


class _Family:
    """Tensors, and all that was computed of them."""

    def __init__(self, values):
        # The tensors are held on to: the number of one that is gone may become another's.
        found = (tensor for _, tensor in leaves(values, "") if isinstance(tensor, torch.Tensor))
        self._members = {id(tensor): _Member(tensor, tensor) for tensor in found}

    def first_of(self, given):
        return next((self._members[id(tensor)] for tensor in given if id(tensor) in self._members), None)

    def take_in(self, result, member):
        for _, tensor in leaves(result, ""):
            if isinstance(tensor, torch.Tensor):
                self._members.setdefault(id(tensor), _Member(tensor, member.root))


def _require_no_pairs(own, other, result):
    """Raise `InputError` if rows of one are compared with all rows of the other, though who wrote it meant each with its own."""
    shapes = own.tensor.shape, other.tensor.shape
    alike = own.root.ndim == other.root.ndim or len(shapes[0]) == len(shapes[1])
    if alike or not all(shapes) or shapes[0][0] != shapes[1][0]:
        return
    try:
        both = torch.broadcast_shapes(*shapes)
    except RuntimeError:
        return
    if math.prod(both) > max(map(math.prod, shapes)) and (result is None or result.shape == both):
        require_same(own.root, other.root)
