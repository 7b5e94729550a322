"""From the gradient of a batch to an update of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from fallline.engines.module import rates
from fallline.engines.module.failures import raise_explained
from fallline.engines.module.gradient import Gradient
from fallline.engines.module.memory import ModuleMemory
from fallline.engines.module.optimizers import needs_closure
from fallline.engines.module.pieces import Piece
from fallline.engines.module.steps import bare_step
from fallline.engines.module.tally import Tally

__all__ = ["Updates"]


class Updates:
    """Makes the updates of a module.

    Parameters
    ----------
    gradient : Gradient
    optimizer : Optimizer
    parameters : list of tensor
        Those that are trained: the engine's own list, as in `Gradient`.
    schedule : NamedTuple or None
        One of fallline's.
    penalty : SquaredWeights or None
    clip_norm : float or None
        A longer gradient is shortened to this norm.

    Attributes
    ----------
    step : callable
        Makes the optimizer step.
    whole_batches : bool
        Whether the optimizer evaluates a batch as often as it likes, and has to be given it whole.
    """

    def __init__(
        self,
        gradient: Gradient,
        optimizer: torch.optim.Optimizer,
        parameters: list[torch.nn.Parameter],
        schedule: Any,
        penalty: Any,
        clip_norm: float | None,
    ):
        self._gradient, self._optimizer, self._parameters = gradient, optimizer, parameters
        self._schedule, self._penalty, self._clip_norm = schedule, penalty, clip_norm
        self.whole_batches = needs_closure(optimizer)
        self.step: Callable[[], Any] = optimizer.step

    def begin(self) -> None:
        """Before a sweep: see how the optimizer is to be called."""
        self.step = bare_step(self._optimizer)

    def learn(self, memory: ModuleMemory, piece: Piece, tally: Tally, complete: bool) -> None:
        """Take a micro-batch into account; and where the batch is complete, make the update."""
        if self.whole_batches:
            self._minimise(memory, piece, tally)
            return
        alone = self._gradient.processes.size == 1
        if alone and complete and not memory.gradients and piece.rows <= memory.clock[2]:
            value = self._gradient.whole(memory, piece)
            if value is not None:
                self._follow(memory, tally, value)
                return
        self._gradient.add(memory, piece)
        if complete:
            self._follow(memory, tally, self._gradient.divide(memory))

    def _follow(self, memory, tally, value):
        """Follow the gradient of a batch that had this loss."""
        rows = int(memory.clock[0])
        tally.add(value, rows)
        norm = self._finish_gradient(rows)
        if tally.last:
            tally.norm = self._gradient.norm() if norm is None else float(norm)
        if self._schedule is not None or tally.factor != memory.factor:
            rates.before_update(memory, self._schedule, tally.factor)
        try:
            self.step()
        except Exception as error:  # noqa: BLE001 (it is raised again)
            raise_explained(error, self._optimizer)
        self._gradient.clear()
        self._count(memory, tally)

    def _minimise(self, memory, piece, tally):
        """An update by an optimizer that evaluates the batch as often as it likes."""
        rates.before_update(memory, self._schedule, tally.factor)
        rows, values, norms = int(memory.clock[0]), [], []

        def closure():
            self._gradient.clear()
            self._gradient.add(memory, piece)
            value = self._gradient.divide(memory)
            values.append(value)
            self._finish_gradient(rows)
            norms.append(self._gradient.norm())
            return value if self._penalty is None else value + self._penalty.value(rows)

        self._optimizer.step(closure)
        self._gradient.clear()
        tally.add(values[0], rows)
        tally.norm = norms[-1]
        self._count(memory, tally)

    def _finish_gradient(self, rows):
        """Add the penalty's and shorten the whole; the norm before, if that was asked for."""
        if self._penalty is not None:
            self._penalty.add_gradient(rows)
        if self._clip_norm is None:
            return None
        if any(parameter.grad is not None and parameter.grad.is_sparse for parameter in self._parameters):
            return self._shorten_sparse(self._clip_norm)
        return torch.nn.utils.clip_grad_norm_(self._parameters, self._clip_norm)

    def _shorten_sparse(self, longest):
        """What `clip_grad_norm_` does, which has no norm of sparse gradients."""
        norm = self._gradient.norm()
        for parameter in self._parameters if norm > longest else ():
            if parameter.grad is not None:
                parameter.grad.mul_(longest / (norm + 1e-6))
        return norm

    @staticmethod
    def _count(memory, tally):
        tally.rate = rates.current_rate(memory) if tally.last else math.nan
        if memory.scheduler is not None:
            rates.after_update(memory)
        memory.clock[0] = 0
        memory.clock[1] += 1
