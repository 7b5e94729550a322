"""The learning rates of a module's groups of parameters, update by update."""

from __future__ import annotations

from typing import Any

import torch

from fallline.engines.module.memory import ModuleMemory
from fallline.engines.module.optimizers import steps_each_update
from fallline.kernels.verbs import rate

__all__ = ["after_epoch", "after_update", "before_epoch", "before_update", "current_rate"]

_PLATEAU = torch.optim.lr_scheduler.ReduceLROnPlateau


def before_update(memory: ModuleMemory, schedule: Any, factor: float) -> None:
    """Set the rates of the coming update.

    Parameters
    ----------
    memory : ModuleMemory
    schedule : NamedTuple or None
        One of fallline's. It says the rate of the first group; the others keep their relation to it.
    factor : float
        What rates are multiplied by (`State.rate_factor`).
    """
    groups = memory.optimizer.param_groups
    if schedule is not None:
        now = factor * float(rate(schedule, int(memory.clock[1]) + 1))
        for group, base in zip(groups, memory.rates, strict=True):
            _set(group, now * base / memory.rates[0] if memory.rates[0] else now)
    elif factor != memory.factor:
        for group in groups:
            _set(group, float(group["lr"]) * factor / memory.factor)
    memory.factor = factor


def after_update(memory: ModuleMemory) -> None:
    """Step a scheduler that is stepped update by update."""
    if memory.scheduler is not None and steps_each_update(memory.scheduler):
        memory.scheduler.step()


def after_epoch(memory: ModuleMemory) -> None:
    """Step a scheduler that is stepped epoch by epoch, and does not ask how the epoch went."""
    scheduler = memory.scheduler
    if scheduler is not None and not steps_each_update(scheduler) and not isinstance(scheduler, _PLATEAU):
        scheduler.step()


def before_epoch(memory: ModuleMemory, epoch: int, record: dict[str, Any]) -> None:
    """Step a scheduler that asks how the last epoch went, now that its record is whole: the validation loss, if there is one."""
    if isinstance(memory.scheduler, _PLATEAU) and memory.clock[3] < epoch:
        memory.scheduler.step(record.get("validation_loss", record["loss"]))
    memory.clock[3] = epoch


def current_rate(memory: ModuleMemory) -> float:
    """The rate of the first group of parameters."""
    return float(memory.optimizer.param_groups[0]["lr"])


def _set(group, value):
    if isinstance(group["lr"], torch.Tensor):
        group["lr"].fill_(value)
    else:
        group["lr"] = value
