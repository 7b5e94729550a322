"""A first layer over sparse rows, as a function that autograd knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fallline.kernels.sparse_layer import multiply_rows, spread_rows

__all__ = ["sparse_product"]

_WRITTEN_OUT = {torch.float32, torch.float64}


def sparse_product(x: Tensor, weight: Tensor) -> Tensor:
    """The product of sparse rows and a layer's weights.

    PyTorch's own takes ten times as long on the processor: what it makes of the weights is as large as they are, several times.

    Parameters
    ----------
    x : sparse CSR tensor of shape (n, columns)
    weight : tensor of shape (units, columns)

    Returns
    -------
    tensor of shape (n, units)
    """
    by_hand = x.device.type == "cpu" and weight.dtype in _WRITTEN_OUT and not torch.is_autocast_enabled("cpu")
    return _Product.apply(x, weight) if by_hand else x @ weight.T


class _Product(torch.autograd.Function):
    """The same, and its derivative by the weights; that by the rows is nobody's."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        """The product."""
        ctx.x, ctx.shape = x, weight.shape
        out = weight.new_empty(x.shape[0], len(weight))
        multiply_rows(*_parts(x, weight), weight.detach().contiguous().numpy(), out.numpy())
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slopes: Tensor) -> tuple[None, Tensor]:
        """The derivative by the weights."""
        slopes = slopes.contiguous()
        # NumPy gets its zeros from the system, in large pages; PyTorch writes them, page by page.
        gradient = np.zeros(ctx.shape, slopes.numpy().dtype)
        spread_rows(*_parts(ctx.x, slopes), slopes.numpy(), gradient)
        return None, torch.from_numpy(gradient)


def _parts(x, like):
    """Starts, columns and numbers as kernels take them; of unsigned columns, none need be checked."""
    starts, columns = (indices.numpy().view(np.uint64) for indices in (x.crow_indices(), x.col_indices()))
    return starts, columns, x.values().to(like.dtype).numpy()
