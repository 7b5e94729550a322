"""Dense layers forwards and backwards, written out: fewer calls than autograd makes, and faster products.

With layers l = 1..L, h_0 = x, z_l = h_{l-1} W_l' + b_l and h_l = g(z_l), of which the last is left as it is, and given
D_L = dloss/dz_L (Rumelhart, Hinton and Williams, 1986):

1. dloss/dW_l = D_l' h_{l-1} and dloss/db_l = the sum of D_l over the rows;
2. D_{l-1} = (D_l W_l) * g'(z_{l-1}), and g' is a function of h_{l-1} for every activation here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["IN_PLACE", "DenseLayers"]

# From so many multiplications on, oneDNN's kernels make up for what calling them costs. Where PyTorch is built with MKL, its own
# products take half the speed of these on processors that are not Intel's, and are no faster on those that are.
_LARGE = 1_000_000


def _nothing(h: Tensor) -> Tensor:
    return h


IN_PLACE = {
    "identity": (_nothing, lambda d, _h: d),
    "logistic": (Tensor.sigmoid_, lambda d, h: d.mul_(h).mul_(1 - h)),
    "tanh": (Tensor.tanh_, lambda d, h: d.mul_(1 - h * h)),
    "relu": (Tensor.relu_, lambda d, h: d.mul_(h > 0)),
}
"""Activations in place, and what they make of a derivative D, given h."""


class DenseLayers(torch.autograd.Function):
    """All layers at once, as a function of rows (n, features), the name of an activation, and W_1, b_1, W_2, b_2, ..."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, activation: str, *parameters: Tensor) -> Tensor:
        """Scores (n, outputs)."""
        activate, _ = IN_PLACE[activation]
        weights, biases = parameters[::2], parameters[1::2]
        outputs = [x]
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            z = _product(outputs[-1], weight, bias)
            outputs.append(activate(z) if layer < len(weights) - 1 else z)
        scores = outputs.pop()
        ctx.activation = activation
        ctx.save_for_backward(*outputs, *weights)
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *derivatives: Tensor) -> tuple[Any, ...]:
        """The gradients of rows and parameters, given that of the scores."""
        _, derive = IN_PLACE[ctx.activation]
        saved = ctx.saved_tensors
        outputs, weights = saved[: len(saved) // 2], saved[len(saved) // 2 :]
        d, gradients = derivatives[0], []
        for layer in range(len(weights) - 1, -1, -1):
            gradients += [d.sum(0), _product(d.t(), outputs[layer].t())]  # 1
            if layer > 0:
                d = derive(_product(d, weights[layer].t()), outputs[layer])  # 2
            elif ctx.needs_input_grad[0]:
                d = _product(d, weights[layer].t())
        return d if ctx.needs_input_grad[0] else None, None, *reversed(gradients)


def _product(a, b, bias=None):
    """a b' + bias, of shapes (n, k), (m, k) and (m,)."""
    if (
        a.dtype == torch.float32
        and a.device.type == "cpu"
        and a.shape[0] * a.shape[1] * b.shape[0] >= _LARGE
        and torch.backends.mkldnn.is_available()
    ):
        return torch.ops.mkldnn._linear_pointwise(a, b, bias, "none", [], "")
    return a @ b.t() if bias is None else torch.addmm(bias, a, b.t())
