"""From what users write to an optimizer for a module's parameters, and to what steps its learning rate."""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from fallline.errors import ParameterError
from fallline.names import did_you_mean

__all__ = [
    "make_optimizer",
    "make_scheduler",
    "needs_closure",
    "require_module",
    "steps_each_update",
    "trainable",
]

_NAMES = {
    name.lower(): kind
    for name, kind in vars(torch.optim).items()
    if inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer) and kind is not torch.optim.Optimizer
}
# What sums gradients over processes within the backward pass, by names, since importing some takes long.
_WRAPPERS = {"DistributedDataParallel", "FullyShardedDataParallel", "FSDPModule"}


def require_module(module: Any) -> None:
    """Raise `ParameterError` for what is no module."""
    if not isinstance(module, nn.Module):
        raise ParameterError(
            f"module={module!r} is a {type(module).__name__}, but a torch.nn.Module is wanted. Give one."
        )


def trainable(module: Any) -> list[nn.Parameter]:
    """The parameters that are trained: those with `requires_grad`, each once.

    Raises
    ------
    ParameterError
        If there are none, or it is no module, or one that sums gradients over processes by itself.
    """
    require_module(module)
    _require_unwrapped(module)
    parameters = list(module.parameters())
    found = [parameter for parameter in parameters if parameter.requires_grad]
    if not found:
        why = f"all its {len(parameters)} are frozen (requires_grad=False)" if parameters else "it has none"
        raise ParameterError(
            f"{type(module).__name__} has no parameters to train: {why}. Unfreeze some, or give another module."
        )
    lazy = [parameter for parameter in found if isinstance(parameter, nn.parameter.UninitializedParameter)]
    if lazy:
        raise ParameterError(
            f"{type(module).__name__} has {len(lazy)} parameters whose shapes are not known yet. Call it once with a batch first."
        )
    return found


def _require_unwrapped(module):
    """Raise `ParameterError` for a module that talks with other processes whenever it is called: some may have no rows."""
    for part in module.modules():
        wrapper = next((kind.__name__ for kind in type(part).__mro__ if kind.__name__ in _WRAPPERS), None)
        if wrapper is not None:
            raise ParameterError(
                f"The module is, or holds, a {wrapper}. Give the module itself, not wrapped (module.module): fallline divides "
                "the rows of every batch among the processes, and sums gradients, by itself."
            )


def make_optimizer(optimizer: Any, module: nn.Module, learning_rate: float | None) -> torch.optim.Optimizer:
    """An optimizer of a module's parameters, fused where it can be: one kernel for all of them.

    Parameters
    ----------
    optimizer : str, class, callable or Optimizer
        The name of a class in `torch.optim`, in small letters or not; the class, or a function of parameters, such as
        `functools.partial(torch.optim.SGD, momentum=0.9)`; or one that is built for parameters of this module.
    module : Module
    learning_rate : float or None
        By default the optimizer's own.

    Raises
    ------
    ParameterError
        If there is no such optimizer, or it is another module's.
    """
    if isinstance(optimizer, torch.optim.Optimizer):
        return _own(optimizer, module, learning_rate)
    if isinstance(optimizer, str):
        kind = _NAMES.get(optimizer.lower())
        if kind is None:
            raise ParameterError(
                f"optimizer={optimizer!r} is not one of torch.optim: {', '.join(map(repr, sorted(_NAMES)))}."
                f"{did_you_mean(optimizer, _NAMES)}"
            )
        optimizer = kind
    if not callable(optimizer):
        raise ParameterError(
            f"optimizer={optimizer!r} is neither a name, a class nor an optimizer. Give one of them."
        )
    return _built(
        optimizer, trainable(module), {} if learning_rate is None else {"lr": learning_rate}, _fusable(module)
    )


def _built(kind: Any, parameters: list, given: dict[str, Any], fusable: bool) -> torch.optim.Optimizer:
    try:
        if fusable and isinstance(kind, type) and "fused" in inspect.signature(kind).parameters:
            # Not on every device, nor for numbers of every type.
            with suppress(RuntimeError):
                return kind(parameters, **given, fused=True)
        made = kind(parameters, **given)
    except (TypeError, ValueError) as error:
        name = getattr(kind, "__name__", repr(kind))
        raise ParameterError(
            f"The optimizer {name} cannot be built for these parameters ({error}). Give learning_rate=, or an optimizer that is "
            "built already."
        ) from error
    if not isinstance(made, torch.optim.Optimizer):
        raise ParameterError(
            f"optimizer={kind!r} gives a {type(made).__name__}, but a torch.optim.Optimizer is wanted. Give a function of "
            "parameters that builds one, such as functools.partial(torch.optim.SGD, momentum=0.9)."
        )
    return made


def _fusable(module):
    """Whether all gradients will be dense and of real numbers, as fused optimizers want them."""
    sparse = any(getattr(part, "sparse", False) is True for part in module.modules())
    return not sparse and all(parameter.is_floating_point() for parameter in module.parameters())


def _own(optimizer, module, learning_rate):
    """An optimizer as it is, if it is one of this module's."""
    if learning_rate is not None:
        raise ParameterError(
            f"learning_rate={learning_rate:g} is given, and an optimizer that has its own. Give one of them."
        )
    names = {id(parameter) for parameter in module.parameters()}
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    others = sum(id(parameter) not in names for parameter in held)
    if others:
        raise ParameterError(
            f"The optimizer was built for other parameters: {others} of its {len(held)} are not this module's. Build it with "
            "module.parameters(), after the module has been copied, wrapped or loaded."
        )
    return optimizer


def needs_closure(optimizer: torch.optim.Optimizer) -> bool:
    """Whether each update of an optimizer wants to evaluate the loss more than once."""
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


def make_scheduler(scheduler: Any, optimizer: torch.optim.Optimizer) -> Any:
    """A scheduler of `torch.optim.lr_scheduler`, from a function of the optimizer, such as a class; or as it is.

    Raises
    ------
    ParameterError
        If it is another optimizer's, or no scheduler.
    """
    made = (
        scheduler
        if hasattr(scheduler, "step") and hasattr(scheduler, "optimizer") and not inspect.isclass(scheduler)
        else None
    )
    if made is None:
        if not callable(scheduler):
            raise ParameterError(
                f"scheduler={scheduler!r} is neither a scheduler nor a function of an optimizer. Give such as "
                "functools.partial(torch.optim.lr_scheduler.StepLR, step_size=10), or a name such as 'cosine'."
            )
        try:
            made = scheduler(optimizer)
        except TypeError as error:
            raise ParameterError(
                f"The scheduler cannot be built from an optimizer alone ({error}). Give the rest by functools.partial."
            ) from error
    if made.optimizer is not optimizer:
        raise ParameterError(
            "The scheduler was built for another optimizer. Give that optimizer too, or a function of the optimizer."
        )
    return made


def steps_each_update(scheduler: Any) -> bool:
    """Whether it is the custom to step such a scheduler after every update; otherwise, after every epoch."""
    return isinstance(scheduler, (torch.optim.lr_scheduler.OneCycleLR, torch.optim.lr_scheduler.CyclicLR))
