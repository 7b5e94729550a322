"""A module's outputs for rows of any kind."""

from __future__ import annotations

from typing import Any

import torch

from fallline.engines.module.evaluating import predict as predict_source
from fallline.torch.data import as_source

__all__ = ["predict"]


def predict(module: torch.nn.Module, data: Any, *, device: Any = None, batch_size: int = 1024) -> Any:
    """What a module gives for rows, in their order, when it is not trained.

    Parameters
    ----------
    module : Module
    data : tensor, array, tuple or dict of such, Dataset or DataLoader
        As for `fit`; if there are targets, they are not looked at.
    device : str or device, optional
        Where to compute; by default where the module is. The module stays there.
    batch_size : int
        Rows that go through the module together. A `DataLoader` has its own.

    Returns
    -------
    tensor, or tuple or dict of tensors
        On the processor, rows along the first dimension.
    """
    size = None if isinstance(data, torch.utils.data.DataLoader) else batch_size
    source = as_source(data, batch_size=size, shuffle=False)
    try:
        return predict_source(module, source, device=device, rows=batch_size)
    finally:
        source.close()
