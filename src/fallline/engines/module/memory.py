"""All that changes while a module is trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from fallline.engines.module.pieces import Piece
from fallline.engines.module.trees import from_arrays, mapped, to_arrays
from fallline.engines.module.weights import extras_of, put_extras, put_into, weights_of
from fallline.errors import StateError

__all__ = ["ModuleMemory", "saved_weights"]


def saved_weights(arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Those that `ModuleMemory.to_arrays` put among the arrays."""
    return from_arrays(arrays)["module"]


@dataclass
class ModuleMemory:
    """The module itself, its optimizer and schedule, and the unfinished batch.

    Parameters
    ----------
    module : Module
    optimizer : Optimizer
    scheduler : LRScheduler or None
    random : dict of str to tensor
        The states of PyTorch's generators, by device: where dropout goes on.
    rates : list of float
        The learning rate of every group of parameters, before any schedule.
    clock : ndarray of int64
        Rows in the unfinished batch, updates made, rows of a micro-batch, epochs for which the scheduler has been stepped.
    factor : float
        What the rates have been multiplied by (`State.rate_factor`).
    carried : list
        What there is of the unfinished micro-batch: inputs, targets and weights, of several runs of rows.
    gradients : list of tensor or None
        Of the micro-batches of the unfinished batch, summed.
    total, count : tensor or number
        Of these, the sum of the loss, and what it is to be divided by.
    """

    module: torch.nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: Any
    random: dict[str, torch.Tensor]
    rates: list[float]
    clock: np.ndarray
    factor: float = 1.0
    carried: list[Any] = field(default_factory=list)
    gradients: list[torch.Tensor | None] = field(default_factory=list)
    total: Any = 0.0
    count: Any = 0

    kind = "module"
    """By this name a saved state says whose it is."""

    def weights(self) -> dict[str, torch.Tensor]:
        """Every parameter and buffer, as it is, by name."""
        return weights_of(self.module)

    def to_arrays(self, best: dict[str, torch.Tensor] | None) -> dict[str, np.ndarray]:
        """Everything, and the best weights, as arrays."""
        return to_arrays(
            {
                "module": self.weights(),
                "extra": extras_of(self.module),
                "best": best,
                "optimizer": {"name": type(self.optimizer).__name__, **self.optimizer.state_dict()},
                "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
                "random": self.random,
                "rates": self.rates,
                "factor": self.factor,
                "carried": self.carried,
                "gradients": self.gradients,
                "total": self.total,
                "count": self.count,
            }
        )

    def take_up(self, clock: np.ndarray, arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor] | None:
        """Become what was saved; the best weights, if there are any.

        Raises
        ------
        StateError
            If it was another module, optimizer or scheduler.
        """
        saved = from_arrays(arrays)
        self.take_weights(saved["module"])
        # States of earlier versions have none.
        put_extras(self.module, saved.get("extra", {}))
        if (saved["scheduler"] is None) != (self.scheduler is None):
            raise StateError(
                "The state was saved with a scheduler and is to go on without one, or the other way round. Keep to it, or "
                "begin anew."
            )
        theirs, own = saved["optimizer"].pop("name"), type(self.optimizer).__name__
        if theirs != own:
            raise StateError(
                f"The state's optimizer is {theirs}, but training is to go on with {own}. Use the same, or begin anew."
            )
        try:
            self.optimizer.load_state_dict(saved["optimizer"])
            if self.scheduler is not None:
                self.scheduler.load_state_dict(saved["scheduler"])
        except (ValueError, KeyError) as error:
            raise StateError(
                f"The state's optimizer or scheduler is not this one ({error}). Use the same, or begin anew."
            ) from error
        self.clock = np.array(clock)
        self.random, self.rates, self.factor = saved["random"], saved["rates"], saved["factor"]
        device = next(self.module.parameters()).device
        for name in ("carried", "gradients", "total", "count"):
            setattr(self, name, mapped(lambda tensor: tensor.to(device), saved[name]))
        # A tuple with names is read as one without.
        self.carried = [Piece(*part) for part in self.carried]
        return saved["best"]

    def take_weights(self, saved: dict[str, torch.Tensor]) -> None:
        """Let the module have these weights; `StateError` if they are another module's."""
        own = self.weights()
        shapes, wanted = ({name: tuple(t.shape) for name, t in some.items()} for some in (saved, own))
        if shapes != wanted:
            name = next(n for n in {**shapes, **wanted} if shapes.get(n) != wanted.get(n))
            raise StateError(
                f"The state is another module's: its {name!r} has shape {shapes.get(name)}, but {wanted.get(name)} is wanted. "
                "Build the module as it was, or begin anew."
            )
        put_into(self.module, saved)
