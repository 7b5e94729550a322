"""All parameters as one vector: an operation on it is one call, not one for each of them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["Flat"]

# Every parameter begins at a multiple of so many numbers, where vector instructions read fastest.
_ALIGNED = 16


class Flat:
    """The memory of some parameters and of their gradients, side by side. The parameters become views of it.

    Parameters
    ----------
    parameters : iterable of Parameter
        All of one type, on one device.

    Attributes
    ----------
    values, gradients : tensor of shape (numbers,)
        Between parameters there may be zeros.
    parameters : list of Parameter
    views : list of tensor
        The place of each one's gradient in `gradients`.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]):
        self.parameters = list(parameters)
        sizes = [-(-parameter.numel() // _ALIGNED) * _ALIGNED for parameter in self.parameters]
        self.values = self.parameters[0].new_zeros(sum(sizes), requires_grad=False)
        self.gradients = torch.zeros_like(self.values)
        self.views: list[Tensor] = []
        start = 0
        for parameter, size in zip(self.parameters, sizes, strict=True):
            place = slice(start, start + parameter.numel())
            own = self.values[place].view(parameter.shape)
            own.copy_(parameter.detach())
            parameter.data = own
            self.views.append(self.gradients[place].view(parameter.shape))
            start += size

    def gather(self) -> None:
        """Bring the parameters' gradients to their places, where they are not there already."""
        for parameter, view in zip(self.parameters, self.views, strict=True):
            if parameter.grad is None:
                view.zero_()
            elif parameter.grad is not view:
                view.copy_(parameter.grad)
