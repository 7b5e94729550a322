"""The cross-entropy of small batches, and its derivative by the scores, by a kernel of our own."""

from __future__ import annotations

import torch
from torch import Tensor

from fallline.engines.module.labels import IGNORED
from fallline.kernels.cross_entropy import cross_entropy

__all__ = ["with_derivative"]

# Of more scores, what PyTorch does on several threads is as fast.
_MOST = 2**16
_TYPES = {torch.float32, torch.float64}


def with_derivative(
    scores: Tensor, classes: Tensor, ignored: int = IGNORED, *, mean: bool = False
) -> tuple[Tensor, Tensor] | None:
    """The losses of rows and their derivatives by the scores.

    Parameters
    ----------
    scores : tensor of shape (n, classes)
    classes : int64 tensor of shape (n,)
    ignored : int
        The class of rows that count for nothing.
    mean : bool
        Whether the mean over the rows that count is wanted, not each row's loss.

    Returns
    -------
    losses : tensor of shape (n,), or their mean
    derivative : tensor of shape (n, classes)

    None instead where this is not for the kernel: other types, another device, very many scores, a class that none is of.
    """
    if (
        scores.dtype not in _TYPES
        or classes.dtype != torch.int64
        or scores.ndim != 2
        or classes.shape != scores.shape[:1]
        or {scores.device.type, classes.device.type} != {"cpu"}
        or not (scores.is_contiguous() and classes.is_contiguous())
        or not 0 < scores.numel() <= _MOST
    ):
        return None
    losses, derivative = scores.new_empty(len(scores)), torch.empty_like(scores)
    arrays = losses.numpy(), derivative.numpy()
    total, known = cross_entropy(scores.detach().numpy(), classes.numpy(), ignored, *arrays, mean)
    if not known:
        return None
    return losses.new_tensor(total) if mean else losses, derivative
