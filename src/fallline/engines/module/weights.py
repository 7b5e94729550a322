"""The weights of a module: every parameter and buffer, by name."""

from __future__ import annotations

import torch

__all__ = ["put_into", "weights_of"]


def weights_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Every parameter and buffer as it is: they change when the module is trained."""
    return {name: tensor.detach() for name, tensor in (*module.named_parameters(), *module.named_buffers())}


def put_into(module: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Give the module these weights."""
    for name, tensor in weights_of(module).items():
        tensor.copy_(weights[name])
