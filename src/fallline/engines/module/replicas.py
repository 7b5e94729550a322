"""Trying something on a copy: what short runs, and beginning anew, ask of an engine."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch

from fallline.engines.base import Engine
from fallline.engines.module.blocks import LoadedBatch, TensorBlock
from fallline.engines.module.reading import SparseInputs
from fallline.engines.module.tensors import TensorSource
from fallline.engines.module.trees import rebuilt
from fallline.errors import ParameterError
from fallline.state import SavedMemory, State

__all__ = ["Replicated"]


# Weights of a module that still is a small one.
_SMALL = 200_000


class Replicated(Engine):
    """An engine of a module of which there can be copies.

    Attributes
    ----------
    module : Module
    optimizer : Optimizer
    settings : dict
        All else that the engine was made with, by name.
    """

    module: torch.nn.Module
    optimizer: torch.optim.Optimizer
    settings: dict[str, Any]
    horizon = 0.2
    least_rows = 2  # of a single one, batch normalisation knows no variance

    @property
    def ease(self) -> float:  # type: ignore[override]
        """See `Engine`: it falls with the number of weights, each of which an update moves."""
        return min(1.0, _SMALL / sum(weight.numel() for weight in self.module.parameters()))

    @classmethod
    def of(cls, module: torch.nn.Module, **settings: Any) -> Replicated:
        """The engine of a module, with these settings."""
        raise NotImplementedError

    def start(self) -> State:
        """A state to train from: the module as it is."""
        raise NotImplementedError

    def put(self, weights: dict[str, torch.Tensor]) -> None:
        """Give the module these weights."""
        raise NotImplementedError

    def replica(self) -> Replicated:
        """See `Engine.replica`. An optimizer that was built before is of one module only, and has no copy."""
        if isinstance(self.settings["optimizer"], torch.optim.Optimizer):
            raise ParameterError(
                "The optimizer is built for this module and has its learning rate, so none can be looked for. Give its class "
                "or its name, or leave learning_rate and batch_size to what they are."
            )
        if any(isinstance(part, torch.jit.ScriptModule) for part in self.module.modules()):
            raise ParameterError(
                f"{type(self.module).__name__} is, or holds, a scripted module (torch.jit), which cannot be copied to try "
                "rates and batch sizes. Give the learning rate and the batch size; or the module itself, with compile=True."
            )
        try:
            module, settings = copy.deepcopy((self.module, self.settings))
        except (TypeError, RuntimeError) as error:
            raise ParameterError(
                f"{type(self.module).__name__} cannot be copied ({error}), and trying rates and batch sizes takes a copy. Leave "
                "out of it what copy.deepcopy cannot copy; or give the learning rate and the batch size."
            ) from error
        return self.of(module, **settings)

    def begun(self, weights: dict[str, torch.Tensor]) -> State:
        """See `Engine.begun`."""
        self.put(weights)
        return self.start()

    def branched(self, state: State) -> State:
        """See `Engine.branched`."""
        begun = self.begun(self.weights(state))
        begun.memory.clock[1] = state.updates
        remembered = copy.deepcopy(state.memory.optimizer.state_dict()["state"])
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": remembered})
        return begun

    def kept(self, state: State) -> State:
        """See `Engine.kept`."""
        memory = state.memory
        if not isinstance(memory, SavedMemory):
            memory = SavedMemory(memory.kind, memory.clock, memory.to_arrays(state.best))
        return copy.deepcopy(replace(state, memory=memory, best=None))

    def collected(self, blocks: Iterable[TensorBlock]) -> TensorSource:
        """See `Engine.collected`."""
        parts = []
        for block in blocks:
            if isinstance(block, LoadedBatch):
                raise ParameterError(
                    "The batches of a Dataset or DataLoader are taken as they come, so neither a learning rate nor a batch size "
                    "can be looked for on them. Give both, or give tensors or arrays."
                )
            parts.append([_taken(values, block.rows) for values in block[:3]])
        return TensorSource(*(_joined(values) for values in zip(*parts, strict=True)))


def _taken(values, rows):
    """A copy of some rows."""
    if isinstance(values, SparseInputs):
        return values.copied(rows)
    if isinstance(values, tuple):
        return rebuilt(values, [_taken(value, rows) for value in values])
    if isinstance(values, dict):
        return {name: _taken(value, rows) for name, value in values.items()}
    return None if values is None else values[rows.to(values.device)]


def _joined(parts):
    """Copies of rows, one after the other."""
    first = parts[0]
    if isinstance(first, SparseInputs):
        return SparseInputs.joined(parts)
    if isinstance(first, tuple):
        return rebuilt(first, list(map(_joined, zip(*parts, strict=True))))
    if isinstance(first, dict):
        return {name: _joined([part[name] for part in parts]) for name in first}
    return None if first is None else torch.cat(parts)
