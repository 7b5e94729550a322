"""Optimizers' steps, without what PyTorch does around them: of a small network, that takes longer than the step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

__all__ = ["bare_step"]


def bare_step(optimizer: torch.optim.Optimizer) -> Callable[[], Any]:
    """An optimizer's `step`, without what PyTorch does around it for its profiler; with it, if anybody has asked to be told."""
    step: Any = type(optimizer).step
    own = optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks
    told = any((*own, _global_optimizer_pre_hooks, _global_optimizer_post_hooks))
    bare = getattr(step, "__wrapped__", None) if getattr(step, "hooked", False) else None
    if told or bare is None or "step" in vars(optimizer):
        return optimizer.step
    step = partial(bare, optimizer)
    return _FusedAdam(optimizer, step) if _FusedAdam.suits(optimizer) else step


class _FusedAdam:
    """Steps of Adam or AdamW by PyTorch's fused kernel, called directly. The numbers are those of the optimizer's own step.

    Parameters
    ----------
    optimizer : Adam or AdamW
        One that `suits`.
    step : callable
        Its own step, for updates in which some parameter has no gradient, or a sparse one.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, step: Callable[[], Any]):
        self._step = step
        self._groups = [_Group(optimizer, group) for group in optimizer.param_groups]

    @staticmethod
    def suits(optimizer: torch.optim.Optimizer) -> bool:
        """Whether an optimizer is Adam or AdamW, fused, on the processor, has made its first step, and has nothing special."""
        return (
            type(optimizer) in (torch.optim.Adam, torch.optim.AdamW)
            and getattr(optimizer, "grad_scale", None) is None
            and all(map(partial(_is_plain, optimizer), optimizer.param_groups))
        )

    def __call__(self) -> None:
        gradients = [[parameter.grad for parameter in group.parameters] for group in self._groups]
        if any(gradient is None or gradient.is_sparse for own in gradients for gradient in own):
            self._step()
            return
        with torch.no_grad():
            for group, own in zip(self._groups, gradients, strict=True):
                group.step(own)


class _Group:
    """What the kernel works on, of one group of parameters."""

    def __init__(self, optimizer: Any, settings: dict[str, Any]):
        self.parameters = settings["params"]
        states = [optimizer.state[parameter] for parameter in self.parameters]
        self._steps = [state["step"] for state in states]
        # Adding one to each by PyTorch takes a third of the time of the whole step.
        self._counters = [step.numpy() for step in self._steps]
        self._memory = [[state[name] for state in states] for name in ("exp_avg", "exp_avg_sq")]
        self._settings = settings
        decoupled = settings.get("decoupled_weight_decay", type(optimizer) is torch.optim.AdamW)
        self._kernel: Any = torch._fused_adamw_ if decoupled else torch._fused_adam_

    def step(self, gradients):
        settings = self._settings
        beta_1, beta_2 = settings["betas"]
        for counter in self._counters:
            counter[()] += 1
        self._kernel(
            self.parameters, gradients, *self._memory, [], self._steps,
            lr=settings["lr"], beta1=beta_1, beta2=beta_2, weight_decay=settings["weight_decay"], eps=settings["eps"],
            amsgrad=False, maximize=settings["maximize"],
        )  # fmt: skip


def _is_plain(optimizer, settings):
    """Whether a group of parameters is for the kernel."""
    numbers = (settings["lr"], *settings["betas"])
    parameters = settings["params"]
    return (
        settings["fused"]
        and not (settings["amsgrad"] or settings["capturable"] or settings["differentiable"])
        and all(isinstance(number, float) for number in numbers)
        and all(
            parameter.device.type == "cpu" and "step" in optimizer.state.get(parameter, ())
            for parameter in parameters
        )
        and len({parameter.dtype for parameter in parameters}) == 1
    )
