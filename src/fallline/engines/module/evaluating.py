"""What a module gives at fixed weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from fallline.data.rows import TrainingSource
from fallline.engines.base import IN_ORDER
from fallline.engines.module import devices
from fallline.engines.module.blocks import LoadedBatch
from fallline.engines.module.pieces import Gatherer, Piece, loaded
from fallline.engines.module.trees import joined, mapped

__all__ = ["call", "evaluating", "in_mode", "pieces", "predict"]

_ROWS = 1024


def call(module: Callable[..., Any], inputs: Any) -> Any:
    """Call a module with one tensor, a tuple of several, or a dict of them by name."""
    if isinstance(inputs, dict):
        return module(**inputs)
    return module(*inputs) if isinstance(inputs, tuple) else module(inputs)


@contextmanager
def in_mode(module: torch.nn.Module, training: bool) -> Iterator[None]:
    """Let a module and its parts train, or not, for a while; each is afterwards in the mode it was in."""
    modes = [(part, part.training) for part in module.modules()]
    module.train(training)
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


@contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Let a module give what it gives when it is not trained; nothing is differentiated."""
    with in_mode(module, training=False), torch.no_grad():
        yield


def pieces(source: TrainingSource, device: torch.device, rows: int) -> Iterator[tuple[Any, Iterator[Piece]]]:
    """Every block of a source in order, and what it holds, so many rows at a time."""
    gatherer = Gatherer(device)
    for block, _ in source.blocks(IN_ORDER, 0, 0, lambda: 4 * rows):
        if isinstance(block, LoadedBatch):
            yield block, iter([loaded(block, device)])
        else:
            n = len(block.rows)
            yield block, (gatherer.take(block, start, min(start + rows, n)) for start in range(0, n, rows))


def predict(module: torch.nn.Module, source: TrainingSource, *, device: Any = None, rows: int = _ROWS) -> Any:
    """What a module gives for the rows of a source, in order.

    Parameters
    ----------
    module : Module
    source : TrainingSource
        Of `TensorBlock` or `LoadedBatch`; targets are not looked at.
    device : str or device, optional
        Where to compute; by default where the module is.
    rows : int
        How many go through the module together.

    Returns
    -------
    tensor, or tuple or dict of tensors
        On the processor, rows along the first dimension.
    """
    place = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    if device is not None:
        place = devices.find_device(device)
        module.to(place)
    found = []
    with evaluating(module), devices.using(devices.threads(module, rows)):
        for _, parts in pieces(source, place, rows):
            found += [
                mapped(lambda t: t.detach().to("cpu", copy=True), call(module, part.inputs)) for part in parts
            ]
    return joined(found)
