"""Plain networks of dense layers, differentiated by hand instead of by autograd: fewer calls, and faster products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

from fallline.engines.module.losses import Objective
from fallline.engines.module.pieces import Piece
from fallline.networks.by_hand import backward, forward, gradients

__all__ = ["DenseNetwork"]

_ACTIVATIONS: dict[type, str] = {nn.ReLU: "relu", nn.Tanh: "tanh", nn.Sigmoid: "logistic"}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class DenseNetwork:
    """An `nn.Sequential` of `nn.Linear` layers with the same activation between them, perhaps after an `nn.Flatten`.

    Parameters
    ----------
    layers : sequence of Linear
    activation : str
        A name in `fallline.networks.by_hand`.
    flatten : bool
        Whether the numbers of a row are to be laid out in a line first.
    """

    def __init__(self, layers: Sequence[nn.Linear], activation: str, flatten: bool):
        self._parameters = [(layer.weight, layer.bias) for layer in layers]
        self._activation, self._flatten = activation, flatten

    @classmethod
    def of(cls, module: Any, parameters: Sequence[Tensor]) -> DenseNetwork | None:
        """What a module comes to; None where it is more than that: other layers, hooks, or parameters that are not all trained.

        Parameters
        ----------
        module : callable
        parameters : sequence of tensor
            Those that are trained.
        """
        if (
            type(module) is not nn.Sequential
            or _has_any_global_hook()
            or any(map(_is_watched, module.modules()))
        ):
            return None
        parts = list(module)
        flatten = (
            bool(parts)
            and type(parts[0]) is nn.Flatten
            and parts[0].start_dim == 1
            and parts[0].end_dim == -1
        )
        layers: list[Any] = parts[flatten::2]
        between = parts[flatten + 1 :: 2]
        if not layers or len(layers) == len(between) or not all(type(layer) is nn.Linear for layer in layers):
            return None
        kinds = {type(part) for part in between}
        if len(kinds) > 1 or not kinds <= set(_ACTIVATIONS):
            return None
        own = [p for layer in layers for p in (layer.weight, layer.bias)]
        if [id(p) for p in own] != [id(p) for p in parameters] or not all(map(_is_plain, own)):
            return None
        return cls(layers, _ACTIVATIONS[kinds.pop()] if kinds else "identity", flatten)

    def differentiate(self, objective: Objective, piece: Piece) -> Tensor | None:
        """The loss of a batch, its gradient written to the parameters' `grad`; None where the rows are not plain numbers."""
        x = piece.inputs
        if (
            type(x) is not Tensor
            or x.layout is not torch.strided
            or x.dtype != torch.float32
            or x.requires_grad
        ):
            return None
        rows = x.flatten(1) if self._flatten and x.ndim > 1 else x
        if rows.ndim != 2:
            return None
        with torch.no_grad():
            *outputs, scores = forward(rows, self._activation, self._parameters)
            value, d = objective.derivative(scores, piece.targets, piece.weight, piece.rows)
            backwards = backward(d, outputs, self._activation, [weight for weight, _ in self._parameters])
            for (weight, bias), (d, h) in zip(reversed(self._parameters), backwards, strict=True):
                weight.grad, bias.grad = gradients(d, h)
        return value


def _is_watched(part):
    """Whether somebody wants to see what goes through a part, or has changed what it does."""
    return any(getattr(part, name) for name in _HOOKS) or "forward" in vars(part)


def _is_plain(parameter):
    """Whether a parameter is of the usual kind, and nobody wants to see its gradient."""
    return (
        type(parameter) is nn.Parameter
        and parameter.dtype == torch.float32
        and parameter.device.type == "cpu"
        and not parameter._backward_hooks
        and not parameter._post_accumulate_grad_hooks
    )
