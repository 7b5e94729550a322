"""What a module is shown, and what is looked at, before it is trained: so that hours of training do not end with it."""

from __future__ import annotations

from typing import Any

import torch
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from fallline.engines.module import devices
from fallline.engines.module.engine import ModuleEngine
from fallline.engines.module.evaluating import call, evaluating, in_mode, pieces
from fallline.engines.module.failures import Call, explained
from fallline.errors import ParameterError
from fallline.networks.factories import has_lazy_layers
from fallline.parallel.alone import Alone
from fallline.parallel.lanes import parts_of
from fallline.torch.data import Data

__all__ = ["dtype_of", "materialise", "require_enough"]


def materialise(module: Any, source: Data) -> None:
    """Let a module of lazy layers see a few rows, from which it knows their shapes; what it draws is drawn by PyTorch."""
    if has_lazy_layers(module):
        _, parts = next(pieces(source, torch.device("cpu"), 2))
        with evaluating(module):
            call(module, next(parts).inputs)


def require_enough(engine: ModuleEngine, source: Data, epochs: int, processes: Alone) -> None:
    """Raise `ParameterError` for what would fail in the middle of training, though its beginning works."""
    _require_steps(engine, epochs * source.updates)
    _require_rows_to_normalise(engine, source, processes)


def _require_steps(engine, updates):
    """Whether a scheduler that ends has as many steps as there will be updates."""
    scheduler = engine.scheduler
    if isinstance(scheduler, torch.optim.lr_scheduler.OneCycleLR):
        left = scheduler.total_steps - scheduler.last_epoch
        if left < updates:
            raise ParameterError(
                f"The scheduler OneCycleLR ends after {left} steps, but {updates} updates are to be made, and it is stepped "
                f"after each. Give it total_steps={updates}, or lower epochs."
            )


def _require_rows_to_normalise(engine, source, processes):
    """Whether no batch, nor the end of one, will have a single row; or else the module can normalise that."""
    module = engine.module
    normalised = any(isinstance(part, _BatchNorm) for part in module.modules())
    sizes = source.n_rows, engine.batch_size, engine.micro_batch
    if not (normalised and source.divisible and _leaves_one(*sizes, processes)):
        return
    block, parts = next(pieces(source, engine.device, 1))
    piece = next(parts)
    # What it gathers goes into copies, and what it draws is drawn again.
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    inputs = piece.inputs
    given = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
    random = devices.random_state(engine.device)
    try:
        with in_mode(module, training=True), torch.no_grad():
            functional_call(module, buffers, *given)
    except ValueError as error:
        found = explained(error, Call(module, piece, block))
        if isinstance(found, ParameterError):
            divided = f" Each of the {processes.size} processes has only its part of the rows of a batch."
            raise ParameterError(str(found) + (divided if processes.size > 1 else "")) from error
    finally:
        devices.set_random_state(random, engine.device)


def _leaves_one(rows, batch_size, micro_batch, processes):
    """Whether some rows that go through a module together, on some process, are a single one."""
    batches = {min(rows, batch_size), rows % batch_size} - {0}
    if processes.size == 1:
        return 1 in {micro_batch, *batches} | {size % micro_batch for size in batches}
    return any(1 in _halved(int(part), micro_batch) for size in batches for part in parts_of(processes, size))


def _halved(rows, micro_batch):
    """How many rows of a process's part of a batch go through the module together: halves, until they are few enough."""
    if rows <= micro_batch:
        return {rows}
    return _halved((rows + 1) // 2, micro_batch) | _halved(rows // 2, micro_batch)


def dtype_of(module: Any) -> torch.dtype:
    """What a module computes with; of what is none, an error follows."""
    parameters = module.parameters() if isinstance(module, torch.nn.Module) else ()
    return next((found.dtype for found in parameters if found.dtype.is_floating_point), torch.float32)
