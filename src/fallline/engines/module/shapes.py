"""The classic mistake: outputs of shape (n,) compared with targets of shape (n, 1), which broadcast to n x n."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from fallline.errors import InputError

__all__ = ["require_same", "watched"]

# Functions that compare number with number and give one number, so that what they broadcast cannot be seen from outside.
_ELEMENTWISE = {
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "gaussian_nll_loss", "huber_loss", "kl_div", "l1_loss",
    "mse_loss", "poisson_nll_loss", "smooth_l1_loss", "soft_margin_loss",
}  # fmt: skip


def watched(loss: Callable[[Any, Any], Any], outputs: Any, targets: Any) -> Any:
    """The loss of outputs and targets, unless on the way to it the two are broadcast to more numbers than either has.

    Raises
    ------
    InputError
        If they are.
    """
    if not (isinstance(outputs, torch.Tensor) and isinstance(targets, torch.Tensor)):
        return loss(outputs, targets)
    with _Watch(outputs, targets):
        return loss(outputs, targets)


def require_same(outputs: torch.Tensor, targets: torch.Tensor) -> None:
    """Raise `InputError` unless outputs and targets have the same shape."""
    if outputs.shape != targets.shape:
        raise InputError(
            f"The module gives outputs of shape {tuple(outputs.shape)}, but the targets have shape {tuple(targets.shape)}: to "
            "compare them number with number, PyTorch would repeat one for every row of the other. Reshape one of them: targets "
            "with .reshape(-1, 1), or outputs with .squeeze(1)."
        )


class _Watch(TorchFunctionMode):
    """Looks at every function that outputs and targets themselves are passed to together."""

    def __init__(self, outputs, targets):
        super().__init__()
        self._outputs, self._targets = outputs, targets
        self._most = max(outputs.numel(), targets.numel())

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = [*args, *kwargs.values()]
        both = all(any(one is value for one in given) for value in (self._outputs, self._targets))
        if both and getattr(func, "__name__", "") in _ELEMENTWISE:
            require_same(self._outputs, self._targets)
        result = func(*args, **kwargs)
        if both and isinstance(result, torch.Tensor) and result.numel() > self._most:
            require_same(self._outputs, self._targets)
        return result
