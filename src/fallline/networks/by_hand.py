"""Dense layers forwards and backwards, written out: fewer calls than autograd makes, and faster products.

With layers l = 1..L, h_0 = x, z_l = h_{l-1} W_l' + b_l and h_l = g(z_l), of which the last is left as it is, and given
D_L = dloss/dz_L (Rumelhart, Hinton and Williams, 1986):

1. dloss/dW_l = D_l' h_{l-1} and dloss/db_l = the sum of D_l over the rows;
2. D_{l-1} = (D_l W_l) * g'(z_{l-1}), and g' is a function of h_{l-1} for every activation here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["IN_PLACE", "DenseLayers", "backward", "forward", "gradients"]

# From so many multiplications on, oneDNN's kernels make up for what calling them costs. Measured on an AMD processor (Zen 5), on
# which products by MKL, PyTorch's own, take twice as long.
_LARGE = 1_000_000


def _nothing(h: Tensor) -> Tensor:
    return h


IN_PLACE = {
    "identity": (_nothing, lambda d, _h: d),
    "logistic": (Tensor.sigmoid_, lambda d, h: d.mul_(h).mul_(1 - h)),
    "tanh": (Tensor.tanh_, lambda d, h: d.mul_(1 - h * h)),
    "relu": (Tensor.relu_, lambda d, h: torch.ops.aten.threshold_backward(d, h, 0)),
}
"""Activations in place, and what they make of a derivative D, given h."""


def forward(x: Tensor, activation: str, layers: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Rows, what every hidden layer makes of them, and the scores.

    Parameters
    ----------
    x : tensor of shape (n, features)
    activation : str
        A name in `IN_PLACE`.
    layers : sequence of (W, b)
        Of shapes (units, inputs) and (units,).
    """
    activate, _ = IN_PLACE[activation]
    outputs = [x]
    for weight, bias in layers[:-1]:
        outputs.append(activate(_product(outputs[-1], weight.t(), bias)))
    weight, bias = layers[-1]
    return [*outputs, _product(outputs[-1], weight.t(), bias)]


def backward(
    d: Tensor, outputs: Sequence[Tensor], activation: str, weights: Sequence[Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Go back through the layers, from the last to the first.

    Parameters
    ----------
    d : tensor of shape (n, outputs)
        The derivative by the scores. Its memory is left alone.
    outputs : sequence of tensor
        What `forward` gave, without the scores.
    activation : str
    weights : sequence of W

    Yields
    ------
    d : tensor of shape (n, units)
        The derivative by what the layer gives: D_l.
    h : tensor of shape (n, inputs)
        What the layer was given: h_{l-1}.
    """
    _, derive = IN_PLACE[activation]
    for place in range(len(weights) - 1, -1, -1):
        yield d, outputs[place]
        if place > 0:
            d = derive(_product(d, weights[place]), outputs[place])  # 2


def gradients(d: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Those of a layer's W and b, from what `backward` yields: 1."""
    return _product(d.t(), h), d.sum(0)


class DenseLayers(torch.autograd.Function):
    """All layers at once, as a function of rows (n, features), the name of an activation, and W_1, b_1, W_2, b_2, ..."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, activation: str, *parameters: Tensor) -> Tensor:
        """Scores (n, outputs)."""
        weights = parameters[::2]
        *outputs, scores = forward(x, activation, list(zip(weights, parameters[1::2], strict=True)))
        ctx.activation = activation
        ctx.save_for_backward(*outputs, *weights)
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *derivatives: Tensor) -> tuple[Any, ...]:
        """The gradients of rows and parameters, given that of the scores."""
        saved = ctx.saved_tensors
        outputs, weights = saved[: len(saved) // 2], saved[len(saved) // 2 :]
        found: list[Tensor] = []
        for d, h in backward(derivatives[0], outputs, ctx.activation, weights):
            found += reversed(gradients(d, h))
        by_rows = _product(d, weights[0]) if ctx.needs_input_grad[0] else None
        return by_rows, None, *reversed(found)


def _is_large(a, b):
    """Whether a product a b is one for oneDNN."""
    return (
        a.shape[0] * a.shape[1] * b.shape[1] >= _LARGE
        and a.dtype == torch.float32
        and a.device.type == "cpu"
        and torch.backends.mkldnn.is_available()
    )


def _product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a b + bias, of shapes (n, k), (k, m) and (m,)."""
    if _is_large(a, b):
        return torch.ops.mkldnn._linear_pointwise(a, b.t(), bias, "none", [], "")
    return a @ b if bias is None else torch.addmm(bias, a, b)
