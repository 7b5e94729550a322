"""Cutting blocks into micro-batches: which rows go through the module together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch

from fallline.engines.module.blocks import LoadedBatch, TensorBlock
from fallline.engines.module.trees import joined, mapped, rebuilt

__all__ = ["Ahead", "Gatherer", "Piece", "copied", "join", "loaded", "spans"]

# Rows that are gathered together stay in the processor's cache until they are used.
_CHUNK_BYTES = 2**18
# What PyTorch aligns its memory to.
_ALIGNMENT = 64


class Piece(NamedTuple):
    """Rows that are together: a micro-batch, or a part of one; `divisible` where they lie along the first dimension."""

    inputs: Any
    targets: Any
    weight: torch.Tensor | None
    rows: int
    divisible: bool = True

    def halves(self) -> tuple[Piece, Piece]:
        """The same rows in two pieces."""
        middle = (self.rows + 1) // 2
        return self.between(0, middle), self.between(middle, self.rows)

    def between(self, start: int, stop: int) -> Piece:
        """Some of the rows."""
        inputs, targets, weight = (
            part[start:stop]
            if type(part) is torch.Tensor and part.layout is torch.strided
            else mapped(lambda t: _rows_of(t, start, stop), part)
            for part in self[:3]
        )
        return Piece(inputs, targets, weight, stop - start)


def spans(
    rows: int, pending: int, batch_size: int, carried: int, micro: int, last: bool
) -> Iterator[tuple[int, int, bool, bool]]:
    """How a block of so many rows is cut.

    Parameters
    ----------
    rows : int
    pending, carried : int
        Rows that the unfinished batch has before the block; and of them, those of the unfinished micro-batch.
    batch_size, micro : int
        Rows of a batch and of a micro-batch.
    last : bool
        Whether the epoch, and with it the batch, ends with the block.

    Yields
    ------
    start, stop : int
        Rows that go together.
    whole, complete : bool
        Whether a micro-batch ends with them; and whether a batch does.
    """
    start = 0
    while start < rows:
        stop = start + min(rows - start, batch_size - pending, max(micro - carried, 1))
        pending, carried = pending + stop - start, carried + stop - start
        complete = pending == batch_size or (last and stop == rows)
        whole = complete or carried >= micro
        yield start, stop, whole, complete
        pending, carried = (0 if complete else pending), (0 if whole else carried)
        start = stop


class Gatherer:
    """Takes rows out of blocks, onto a device; of tensors on the processor, into memory that is used again.

    Parameters
    ----------
    device : device
        Where the rows are wanted.
    """

    def __init__(self, device: torch.device):
        self._device = device
        self._buffers: dict[Any, torch.Tensor] = {}
        self._turns = _Turns(device) if device.type == "cuda" else None

    def take(self, block: TensorBlock, start: int, stop: int) -> Piece:
        """The rows from one place of the block's selection to another; they are good until the next are taken."""
        rows = block.rows[start:stop]
        turn = 0 if self._turns is None else self._turns.next()
        piece = Piece(
            self._gathered(block.inputs, rows, ("inputs", turn)),
            self._gathered(block.targets, rows, ("targets", turn)),
            self._gathered(block.weight, rows, ("weight", turn)),
            stop - start,
        )
        if self._turns is not None:
            self._turns.done(turn)
        return piece

    def _gathered(self, values, rows, key):
        if isinstance(values, torch.Tensor):
            return self._tensor(values, rows, key)
        if values is None:
            return None
        if isinstance(values, tuple):
            return rebuilt(
                values, [self._gathered(value, rows, (*key, place)) for place, value in enumerate(values)]
            )
        if isinstance(values, dict):
            return {name: self._gathered(value, rows, (*key, name)) for name, value in values.items()}
        return values.take(rows).to(self._device)

    def _tensor(self, values, rows, key):
        if values.device == self._device and values.device.type != "cpu":
            return values.index_select(0, rows.to(self._device))
        n, buffer = len(rows), self._buffers.get(key)
        if (
            buffer is None
            or len(buffer) < n
            or buffer.shape[1:] != values.shape[1:]
            or buffer.dtype != values.dtype
        ):
            pinned = self._turns is not None
            buffer = self._buffers[key] = torch.empty(
                (n, *values.shape[1:]), dtype=values.dtype, pin_memory=pinned
            )
        out = buffer if len(buffer) == n else buffer[:n]
        torch.index_select(values, 0, rows, out=out)
        # Not the buffer itself: a module may ask for the gradient by its inputs.
        return out.detach() if self._device.type == "cpu" else out.to(self._device, non_blocking=True)


class Ahead:
    """Takes the rows of one block, from its beginning to its end; small pieces many at once, since a call costs more than a row.

    A piece begins where PyTorch would put it by itself: its kernels round by how memory is aligned, and where a block begins must
    not matter.

    Parameters
    ----------
    gatherer : Gatherer
    block : TensorBlock
    """

    def __init__(self, gatherer: Gatherer, block: TensorBlock):
        self._gatherer, self._block = gatherer, block
        self._n = len(block.rows)
        self._sizes = [size for values in block[:3] for size in _row_bytes(values)]
        self._rows = _CHUNK_BYTES // max(1, sum(self._sizes))
        self._chunk: Piece | None = None
        self._begin = self._end = 0

    def take(self, start: int, stop: int) -> Piece:
        """The rows from one place to another; they are good until the next are taken."""
        if 2 * (stop - start) > self._rows or not self._aligned(stop - start):
            self._chunk = None
            return self._gatherer.take(self._block, start, stop)
        if self._chunk is None or stop > self._end or not self._aligned(start - self._begin):
            self._begin, self._end = start, min(start + self._rows, self._n)
            self._chunk = self._gatherer.take(self._block, start, self._end)
        return self._chunk.between(start - self._begin, stop - self._begin)

    def _aligned(self, rows):
        """Whether what comes after so many rows is aligned as what comes first."""
        return not any(rows * size % _ALIGNMENT for size in self._sizes)


class _Turns:
    """Which of several pinned buffers is free: the processor gathers the next rows while the device still copies and computes."""

    def __init__(self, device):
        self._stream = torch.cuda.current_stream(device)
        self._events = [torch.cuda.Event() for _ in range(3)]
        self._turn = -1

    def next(self):
        self._turn = (self._turn + 1) % len(self._events)
        self._events[self._turn].synchronize()
        return self._turn

    def done(self, turn):
        self._events[turn].record(self._stream)


def loaded(batch: LoadedBatch, device: torch.device) -> Piece:
    """A loader's batch, on a device."""
    inputs, targets, weight = (
        mapped(lambda tensor: tensor.to(device, non_blocking=True), part) for part in batch[:3]
    )
    return Piece(inputs, targets, weight, batch.n_rows, divisible=False)


def copied(piece: Piece) -> Piece:
    """The same, in memory of its own."""
    inputs, targets, weight = (mapped(torch.Tensor.clone, part) for part in piece[:3])
    return Piece(inputs, targets, weight, piece.rows)


def join(pieces: Sequence[Piece]) -> Piece:
    """All rows of some pieces, one after the other."""
    if len(pieces) == 1:
        return pieces[0]
    inputs, targets, weight = (joined([piece[part] for piece in pieces]) for part in range(3))
    return Piece(inputs, targets, weight, sum(piece.rows for piece in pieces))


def _row_bytes(values):
    """How many bytes a row of each tensor takes; very many where it is no plain tensor, to be gathered piece by piece."""
    if values is None:
        return []
    if isinstance(values, torch.Tensor):
        return [values.element_size() * math.prod(values.shape[1:])]
    if isinstance(values, (tuple, dict)):
        parts = values.values() if isinstance(values, dict) else values
        return [size for part in parts for size in _row_bytes(part)]
    return [_CHUNK_BYTES]


def _rows_of(tensor, start, stop):
    if tensor.layout is not torch.sparse_csr:
        return tensor[start:stop]
    begins = tensor.crow_indices()[start : stop + 1]
    inside = slice(int(begins[0]), int(begins[-1]))
    columns, numbers = tensor.col_indices()[inside], tensor.values()[inside]
    return torch.sparse_csr_tensor(begins - begins[0], columns, numbers, (stop - start, tensor.shape[1]))
