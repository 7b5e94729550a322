"""Where a module is trained, in which precision, and by how many threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from fallline.engines.module.reading import leaves
from fallline.errors import InputError, ParameterError

__all__ = [
    "autocast",
    "find_device",
    "is_out_of_memory",
    "random_state",
    "require_on",
    "seeded",
    "set_random_state",
    "threads",
    "using",
]

_PRECISIONS = {"float32": None, "bf16": torch.bfloat16}
# An update of fewer multiplications is over before a second thread has woken up; and where threads wait for each other by
# spinning, on a machine that does other work, too, it can take a hundred times as long.
_SMALL = 10_000_000
_DENSE = (nn.Linear, nn.Embedding, nn.EmbeddingBag, nn.BatchNorm1d, nn.LayerNorm)


def find_device(device: Any) -> torch.device:
    """The device of a name; of "auto" the best there is: CUDA, then Apple's MPS, then the processor.

    Raises
    ------
    ParameterError
        If there is no such device.
    """
    if isinstance(device, str) and device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ParameterError(
            f"device={device!r} cannot be used here ({reason}). Give 'auto', 'cpu', or a device that PyTorch "
            "finds on this machine."
        ) from error
    if found.type == "cuda" and found.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return found


def require_on(device: torch.device, tree: Any, name: str) -> None:
    """Raise `InputError` if a tensor lies neither on the device nor on the processor, from which it is brought there."""
    for place, tensor in leaves(tree, name):
        if tensor.device != device and tensor.device.type != "cpu":
            raise InputError(
                f"{place} is on the device {str(tensor.device)!r}, but the module is trained on {str(device)!r}. Move one of "
                f"them: device={str(tensor.device)!r}, or tensor.to({str(device)!r})."
            )


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """What a module computes within, for a precision: "float32" changes nothing, "bf16" multiplies in 16 bits.

    Raises
    ------
    ParameterError
        For another precision.
    """
    if precision not in _PRECISIONS:
        raise ParameterError(f"precision={precision!r} is not one of 'float32', 'bf16'. Give one.")
    dtype = _PRECISIONS[precision]
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype)


def seeded(seed: int, device: torch.device) -> dict[str, torch.Tensor]:
    """The states of the generators that a module draws from, at the beginning of a seed."""
    places = {"cpu": torch.device("cpu"), device.type: device}
    return {name: torch.Generator(place).manual_seed(seed).get_state() for name, place in places.items()}


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """The states of PyTorch's generators of the processor and of a device."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def set_random_state(states: dict[str, torch.Tensor], device: torch.device) -> None:
    """Put PyTorch's generators into states that `random_state` or `seeded` gave."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(states["mps"])


def threads(module: nn.Module, rows: int) -> int | None:
    """How many threads batches of so many rows are worth; None for as many as PyTorch uses.

    A pure function of the module and the rows: sums depend on how they are divided among threads, and the same seed is to give
    the same bits.
    """
    parts = [part for part in module.modules() if next(part.parameters(recurse=False), None) is not None]
    if not all(isinstance(part, _DENSE) or _holds_tables(part) for part in parts):
        return None
    layers = (part for part in parts if isinstance(part, nn.Linear))
    return 1 if 3 * rows * sum(layer.weight.numel() for layer in layers) < _SMALL else None


def _holds_tables(part):
    return isinstance(part, nn.ParameterList)


@contextmanager
def using(count: int | None) -> Iterator[None]:
    """Let PyTorch use so many threads for a while; None changes nothing."""
    usual = torch.get_num_threads()
    if count is None or count == usual:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory did not suffice."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    words = str(error)
    return isinstance(error, RuntimeError) and ("out of memory" in words or "can't allocate memory" in words)
