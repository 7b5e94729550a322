"""The weights of a module: every parameter and buffer, by name; and what else its parts say is theirs to save."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["extras_of", "put_extras", "put_into", "weights_of"]


def weights_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Every parameter and buffer as it is: they change when the module is trained."""
    return {name: tensor.detach() for name, tensor in (*module.named_parameters(), *module.named_buffers())}


def put_into(module: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Give the module these weights."""
    for name, tensor in weights_of(module).items():
        tensor.copy_(weights[name])


def extras_of(module: torch.nn.Module) -> dict[str, Any]:
    """What `get_extra_state` gives of every part that has one, by the part's name."""
    usual = torch.nn.Module.get_extra_state
    parts = module.named_modules()
    return {name: part.get_extra_state() for name, part in parts if type(part).get_extra_state is not usual}


def put_extras(module: torch.nn.Module, extras: dict[str, Any]) -> None:
    """Give the parts of the module what `extras_of` gave."""
    for name, extra in extras.items():
        module.get_submodule(name).set_extra_state(extra)
