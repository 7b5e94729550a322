"""What a module gives at fixed weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch.func import functional_call
from torch.nn.utils.rnn import PackedSequence

from fallline.data.rows import TrainingSource
from fallline.engines.base import IN_ORDER
from fallline.engines.module import devices
from fallline.engines.module.blocks import LoadedBatch
from fallline.engines.module.failures import Call, explaining
from fallline.engines.module.losses import Objective
from fallline.engines.module.pieces import Gatherer, Piece, loaded
from fallline.engines.module.reading import leaves
from fallline.engines.module.trees import joined, mapped
from fallline.engines.module.weights import weights_of
from fallline.errors import InputError

__all__ = ["Evaluator", "call", "evaluating", "in_mode", "pieces", "predict"]

_ROWS = 1024


def call(module: Callable[..., Any], inputs: Any) -> Any:
    """Call a module with one tensor or packed sequence, a tuple of several, or a dict of them by name."""
    if isinstance(inputs, dict):
        return module(**inputs)
    several = isinstance(inputs, tuple) and not isinstance(inputs, PackedSequence)
    return module(*inputs) if several else module(inputs)


@contextmanager
def in_mode(module: torch.nn.Module, training: bool) -> Iterator[None]:
    """Let a module and its parts train, or not, for a while; each is afterwards in the mode it was in.

    Of a module that is in training mode, parts that are not, such as normalisations whose means are to stay, remain so.
    """
    modes = [(part, part.training) for part in module.modules()]
    if not (training and module.training):
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


def in_parts(function: Callable[[Piece], Any], piece: Piece) -> list[Any]:
    """What a function gives of a piece; where memory does not suffice, of its halves, and so on."""
    try:
        return [function(piece)]
    except RuntimeError as error:
        if not (devices.is_out_of_memory(error) and piece.divisible and piece.rows > 1):
            raise
    return [found for half in piece.halves() for found in in_parts(function, half)]


class Evaluator:
    """What a module gives, and how much it loses, at fixed weights.

    Parameters
    ----------
    module : Module
    objective : Objective
    device : device
    precision : str
        See `devices.autocast`.
    threads : int or None
        See `devices.threads`.
    rows : int
        How many go through the module together.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        objective: Objective,
        device: torch.device,
        precision: str,
        threads: int | None,
        rows: int,
    ):
        self._module, self._objective, self._device = module, objective, device
        self._precision, self._threads, self._rows = precision, threads, rows
        self._seen: Any = None

    def mean_loss(self, source: TrainingSource, weights: dict[str, torch.Tensor]) -> float:
        """The mean of weight times loss over a source; NaN where it is not finite."""
        total = count = 0.0
        module = self._at(weights)
        with evaluating(self._module), devices.using(self._threads):
            if source is not self._seen:
                self._seen = None
            for block, parts in pieces(source, self._device, self._rows):
                for piece in parts:
                    for loss, rows in in_parts(partial(self._loss, module, block), piece):
                        total, count = total + loss, count + rows
                    self._seen = source
                if not math.isfinite(total):
                    source.require_finite(block.rows)
                    return math.nan
        return total / count

    def _loss(self, module, block, piece):
        """The sum of the loss over a piece, and what it is to be divided by."""
        own = self._objective
        outputs = self._outputs(module, piece, block)
        with explaining(Call(self._module, piece, block, outputs, own.function, own.ignored)):
            if self._seen is None:
                own.first(outputs, piece.targets, piece.weight, piece.rows)
            loss, rows = own.sums(outputs, piece.targets, piece.weight, piece.rows)
        return float(loss), float(rows)

    def outputs(self, source: TrainingSource, weights: dict[str, torch.Tensor]) -> tuple[Any, Any]:
        """The module's outputs and the targets of a source's rows, in order, on the processor."""
        module = self._at(weights)
        with evaluating(self._module), devices.using(self._threads):
            found: list[Any] = []
            for block, parts in pieces(source, self._device, self._rows):

                def both(part, block=block):
                    outputs = self._outputs(module, part, block)
                    _require_rows(self._module, outputs, part)
                    return mapped(_fetched, outputs), mapped(_fetched, part.targets)

                for piece in parts:
                    found += in_parts(both, piece)
        outputs, targets = zip(*found, strict=True)
        return joined(outputs), joined(targets)

    def _outputs(self, module, piece, block):
        """What the module gives for a piece, in the precision asked for."""
        about = Call(self._module, piece, block)
        with explaining(about), devices.autocast(self._device, self._precision):
            outputs = call(module, piece.inputs)
        if self._precision == "float32":
            return outputs
        return mapped(lambda t: t.float() if t.is_floating_point() else t, outputs)

    def _at(self, weights):
        """The module at some weights, as a function."""
        live = weights_of(self._module)
        if all(weights[name].data_ptr() == tensor.data_ptr() for name, tensor in live.items()):
            return self._module
        return lambda *inputs, **named: functional_call(self._module, weights, inputs, named)


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
    tensor, or tuple, list or dict of tensors
        On the processor, rows along the first dimension.
    """
    place = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    if device is not None:
        place = devices.find_device(device)
        module.to(place)
    found = []
    with evaluating(module), devices.using(devices.threads(module, min(rows, source.n_rows))):
        for block, parts in pieces(source, place, rows):

            def outputs(part, block=block):
                with explaining(Call(module, part, block)):
                    found = call(module, part.inputs)
                _require_rows(module, found, part)
                return mapped(_fetched, found)

            for piece in parts:
                found += in_parts(outputs, piece)
    return joined(found)


def _require_rows(module, outputs, piece):
    """Raise `InputError` unless all that a module gives has its rows along the first dimension, as far as that is known."""
    whose = f"{type(module).__name__} gives"
    for place, tensor in leaves(outputs, "outputs"):
        if not isinstance(tensor, torch.Tensor):
            raise InputError(
                f"{whose} {place} of type {type(tensor).__name__}, which cannot be put together row by row. Give a module that "
                "gives tensors, or tuples, lists or dicts of them."
            )
        if tensor.ndim == 0:
            raise InputError(
                f"{whose} one number for all rows that it sees together, but outputs are wanted for each row. Give a module that "
                "keeps the first dimension."
            )
        if piece.divisible and len(tensor) != piece.rows:
            raise InputError(
                f"{whose} {place} of shape {tuple(tensor.shape)} for {piece.rows} rows that it sees together, but outputs are "
                "put together row by row, along the first dimension. Give a module that has its rows there (batch_first=True, "
                "transpose(0, 1)), or leaves such outputs out."
            )


def _fetched(tensor):
    return tensor.detach().to("cpu", copy=True)
