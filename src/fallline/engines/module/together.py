"""A module trained by many processes: each sums the gradient of its rows of a batch, and the sums are added.

What `DistributedDataParallel` does by hooks within the backward pass is done here after it, once an update, however many
micro-batches there are: gradients, the loss and the count go over in one flat tensor, and are divided once by the count of all.
So a process that has no rows of a batch takes part with zeros and runs nothing; micro-batches may be halved on one process and
not on another; and parameters that a batch does not use, and sparse gradients, need no provision.
"""

from __future__ import annotations

import hashlib
from typing import Any

import torch

from fallline.data.order import Order
from fallline.engines.module.blocks import LoadedBatch
from fallline.engines.module.memory import ModuleMemory
from fallline.engines.module.reading import leaves
from fallline.engines.module.weights import put_into, weights_of
from fallline.errors import InputError, ParameterError
from fallline.parallel.alone import Alone

__all__ = ["add_up", "level_buffers", "mark_of_rows", "require_same_rows", "seed_of", "spread"]

# Rows that are compared to see whether processes were given the same data.
_COMPARED = 256


def add_up(processes: Alone, memory: ModuleMemory, parameters: list[torch.nn.Parameter]) -> None:
    """Replace the sums over this process's rows of a batch by those over all processes' rows."""
    if processes.size == 1:
        return
    found = memory.gradients or [None] * len(parameters)
    reals = [_real(parameter.detach()) for parameter in parameters]
    place, device = torch.promote_types(reals[0].dtype, torch.float32), reals[0].device
    flags = [[g is not None for g in found], [g is not None and g.is_sparse for g in found]]
    told = [
        torch.as_tensor(value, dtype=place, device=device).reshape(1)
        for value in (memory.total, memory.count)
    ]
    head = [torch.tensor(flags, dtype=place, device=device).reshape(-1), *told]
    flat = processes.sum(torch.cat([*head, *map(_dense, found, reals)]))
    n, start = len(parameters), 2 * len(parameters) + 2
    used, sparse = flat[:n].tolist(), flat[n : 2 * n].tolist()
    memory.total, memory.count, memory.gradients = flat[start - 2], flat[start - 1], []
    for parameter, real, is_used, is_sparse in zip(parameters, reals, used, sparse, strict=True):
        gradient = flat[start : start + real.numel()].view_as(real).to(real.dtype)
        start += real.numel()
        if parameter.is_complex():
            gradient = torch.view_as_complex(gradient.clone())  # a pair may not begin anywhere
        # An update leaves alone what no row of the batch has used.
        memory.gradients.append(None if not is_used else gradient.to_sparse(1) if is_sparse else gradient)


def _real(tensor):
    """Complex numbers as pairs of real ones."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def _dense(gradient, real):
    if gradient is None:
        return torch.zeros(real.numel(), dtype=real.dtype, device=real.device)
    return _real(gradient.to_dense() if gradient.is_sparse else gradient).reshape(-1)


@torch.no_grad()
def level_buffers(processes: Alone, module: torch.nn.Module) -> None:
    """Replace what a module gathers beside its parameters, such as batch normalisation's means, by the mean over processes."""
    for buffer in module.buffers():
        if buffer.is_floating_point() and buffer.numel():
            mean = buffer.detach().clone().contiguous()
            buffer.copy_(processes.sum(mean) / processes.size)


def spread(processes: Alone, module: torch.nn.Module) -> None:
    """Let all have the weights of the first process's module.

    Raises
    ------
    ParameterError
        If a module has other parameters or buffers than the first's.
    """
    own = weights_of(module)
    theirs = processes.broadcast({name: tensor.cpu() for name, tensor in own.items()})
    shapes = [{name: (tuple(t.shape), t.dtype) for name, t in some.items()} for some in (own, theirs)]
    if processes.agreed(None if shapes[0] == shapes[1] else True):
        raise ParameterError(
            "The processes were given different modules: names, shapes or types of their parameters are not the same. Build it "
            "the same way on each; the weights it begins with are those of the first."
        )
    put_into(module, theirs)


def seed_of(seed: int, rank: int, updates: int) -> int:
    """What a process draws from in the sweep that begins after so many updates: no two of them the same."""
    text = f"{seed} {rank} {updates}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def require_same_rows(processes: Alone, source: Any) -> None:
    """Raise `InputError`, on all processes, if they were given different data. Of many rows, some are compared."""
    if processes.size == 1:
        return
    mark = mark_of_rows(source)
    if not mark:
        return  # each process has a loader of its own, and may well have given it a part of the data
    marks = processes.gather((source.n_rows, mark))
    if len(set(marks)) > 1:
        found = sorted({rows for rows, _ in marks})
        rows = f"{found[0]:,} rows" if len(found) == 1 else f"from {found[0]:,} to {found[-1]:,} rows"
        raise InputError(
            f"The processes were given different data, {rows} each. Give all of them the same: they divide the rows of every "
            "batch among themselves."
        )


def mark_of_rows(source: Any) -> str:
    """A text that others' rows would not have: of many, some are looked at. Empty where only a loader knows which rows come."""
    block, _ = next(source.blocks(Order(0), 0, 0, lambda: _COMPARED), (None, 0))
    if block is None or isinstance(block, LoadedBatch):
        return ""
    mark = hashlib.blake2b(digest_size=16)
    for part in block[:3]:
        for _, tensor in leaves(part, ""):
            if isinstance(tensor, torch.Tensor) and tensor.layout is torch.strided:
                taken = tensor[block.rows.to(tensor.device)].detach().cpu().contiguous()
                mark.update(taken.view(torch.uint8).numpy().tobytes() if taken.numel() else b"")
    return mark.hexdigest()
