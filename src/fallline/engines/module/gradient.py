"""The gradient of a batch, whole or in parts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch

from fallline.engines.module import devices
from fallline.engines.module.dense import DenseNetwork
from fallline.engines.module.evaluating import call
from fallline.engines.module.failures import Call, explained
from fallline.engines.module.losses import Objective
from fallline.engines.module.memory import ModuleMemory
from fallline.engines.module.pieces import Piece
from fallline.engines.module.reading import leaves
from fallline.engines.module.together import add_up
from fallline.engines.module.trees import mapped
from fallline.errors import ParameterError
from fallline.parallel.alone import Alone

__all__ = ["Gradient"]


class Gradient:
    """Differentiates the loss of a batch, into the parameters' `grad`.

    Parameters
    ----------
    module : callable
        What gives the outputs.
    objective : Objective
    parameters : list of tensor
        Those to differentiate by: the engine's own list, which may change from one sweep to the next.
    device : device
    precision : str
        See `devices.autocast`.
    auto : bool
        Whether to halve micro-batches where memory does not suffice.
    """

    def __init__(
        self,
        module: Callable[..., Any],
        objective: Objective,
        parameters: list[torch.nn.Parameter],
        device: torch.device,
        precision: str,
        auto: bool,
    ):
        self._module = module
        self._objective = objective
        self._parameters = parameters
        self._device = device
        self._precision = precision
        self._auto = auto
        self._looked = self._parted = False
        self._dense: DenseNetwork | None = None
        self.first_finite = True
        self.processes = Alone()
        self.block: Any = None

    def begin(self, block: Any) -> None:
        """Before the sweep of a block: leave no gradients, and look whether the module is one to differentiate by hand."""
        self.clear()
        self.block = block
        plain = self._precision == "float32"
        self._dense = DenseNetwork.of(self._module, self._parameters) if plain else None

    def whole(self, memory: ModuleMemory, piece: Piece) -> torch.Tensor | None:
        """The loss of a batch that goes through the module at once; None if memory does not suffice for that."""
        try:
            by_hand = self._by_hand(piece)
            if by_hand is not None:
                return by_hand
            value = self._outputs_to(self._objective.mean, piece)
            value.backward()
        except RuntimeError as error:
            self._halve(memory, piece, error)
        else:
            return value.detach()
        self._forget()
        return None

    def _by_hand(self, piece):
        """The loss of a batch, its gradient computed without autograd; None where that cannot be."""
        if self._dense is None and not self._objective.differentiates(self._module):
            return None
        if not self._looked:
            # The first batch is no exception: training that is gone on with is to come to the same bits.
            self._outputs_to(self._look, piece)
        try:
            value = self._objective.by_hand(self._module, piece)
            if value is None and self._dense is not None:
                value = self._dense.differentiate(self._objective, piece)
        except Exception as error:
            if devices.is_out_of_memory(error):
                raise
            outputs = None
            with suppress(Exception), torch.no_grad():
                outputs = call(self._module, piece.inputs)
            raise explained(error, self._call(piece, outputs)) from error
        return value

    def add(self, memory: ModuleMemory, piece: Piece) -> None:
        """Add a piece to the sums of its batch, in parts that are no larger than a micro-batch."""
        parts = [piece] if piece.rows else []
        while parts:
            part = parts.pop()
            if part.rows > memory.clock[2]:
                parts += reversed(part.halves())
            elif not self._add(memory, part):
                parts.append(part)

    def _add(self, memory, part):
        """Whether there was memory for it."""
        try:
            total, count = self._outputs_to(self._summed, part)
            total.backward()
        except RuntimeError as error:
            self._halve(memory, part, error)
        else:
            # What a sparse gradient says of where may be the inputs' own memory, which the next ones are written to.
            grads = [parameter.grad for parameter in self._parameters]
            found = [grad.clone() if grad is not None and grad.is_sparse else grad for grad in grads]
            self.clear()
            memory.gradients = _sums(memory.gradients, found)
            memory.total, memory.count = memory.total + total.detach(), memory.count + count
            return True
        self._forget()
        return False

    def divide(self, memory: ModuleMemory) -> torch.Tensor:
        """End a batch: its gradient is the quotient of the sums, over all processes. Its loss is returned."""
        add_up(self.processes, memory, self._parameters)
        count, gradients = memory.count, memory.gradients
        held = [gradient for gradient in gradients if gradient is not None]
        if any(gradient.is_sparse for gradient in held):
            for gradient in held:
                gradient.div_(count)
        elif isinstance(count, torch.Tensor):
            torch._foreach_div_(held, count.to(held[0].real.dtype))
        else:
            torch._foreach_div_(held, float(count))
        for place, parameter in enumerate(self._parameters):
            parameter.grad = gradients[place]
        value = memory.total / count
        memory.gradients, memory.total, memory.count = [], 0.0, 0
        return value

    def clear(self) -> None:
        """Leave the parameters without gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    def norm(self) -> float:
        """The Euclidean norm of the gradient."""
        grads = [
            p.grad.to_dense() if p.grad.is_sparse else p.grad for p in self._parameters if p.grad is not None
        ]
        norms = torch._foreach_norm(grads)
        return float(torch.linalg.vector_norm(torch.stack([norm.float() for norm in norms])))

    def _outputs_to(self, measure, piece):
        """What the objective makes of the module's outputs."""
        outputs = None
        try:
            if self._precision == "float32":
                outputs = call(self._module, piece.inputs)
            else:
                with devices.autocast(self._device, self._precision):
                    outputs = call(self._module, piece.inputs)
                outputs = mapped(lambda t: t.float() if t.is_floating_point() else t, outputs)
            if not self._looked:
                self._look(outputs, piece.targets, piece.weight, piece.rows)
            return measure(outputs, piece.targets, piece.weight, piece.rows)
        except Exception as error:
            found = explained(error, self._call(piece, outputs))
            if found is error:
                raise
            raise found from error

    def _call(self, piece, outputs, what="loss"):
        """What is to be said of a failure."""
        own = self._objective
        return Call(self._module, piece, self.block, outputs, own.function, own.ignored, what)

    def _summed(self, outputs, targets, weight, rows):
        """The objective's sums over a part of a batch; the first is looked at more closely."""
        if not self._parted:
            random = devices.random_state(self._device)
            with torch.no_grad():
                self._objective.part(outputs, targets, rows)
            devices.set_random_state(random, self._device)
            self._parted = True
        return self._objective.sums(outputs, targets, weight, rows)

    @torch.no_grad()
    def _look(self, outputs, targets, weight, rows):
        """Look at the first outputs more closely; what is drawn on the way is drawn again."""
        if self._looked:
            return
        random = devices.random_state(self._device)
        found = [tensor for _, tensor in leaves(outputs, "") if isinstance(tensor, torch.Tensor)]
        if found and not any(tensor.requires_grad for tensor in found):
            raise ParameterError(
                "The module's outputs do not depend on the parameters that are to be trained: something detaches them, or "
                "they are not used. Check the module's forward."
            )
        self._objective.first(outputs, targets, weight, rows)
        self.first_finite = all(bool(torch.isfinite(tensor).all()) for tensor in found)
        devices.set_random_state(random, self._device)
        self._looked = True

    def _halve(self, memory, piece, error):
        """Make micro-batches smaller, or raise the error again: if memory was not its reason, or nothing can be made smaller."""
        if not (devices.is_out_of_memory(error) and self._auto and piece.divisible and piece.rows > 1):
            if type(error) is RuntimeError:
                raise explained(error, self._call(piece, None, "gradient")) from error
            raise error
        memory.clock[2] = (piece.rows + 1) // 2

    def _forget(self):
        """Give back what a failed attempt holds."""
        self.clear()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _sums(before, found):
    """Gradients added up, in place; None where there is none."""
    if not before:
        return found
    if all(
        one is not None and other is not None and not one.is_sparse
        for one, other in zip(before, found, strict=True)
    ):
        torch._foreach_add_(before, found)
        return before
    return [
        other if one is None else one if other is None else one + other
        for one, other in zip(before, found, strict=True)
    ]
