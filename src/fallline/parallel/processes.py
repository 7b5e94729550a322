"""Many processes, on torch.distributed."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist

from fallline.errors import ProcessError
from fallline.parallel.alone import Alone

__all__ = ["Processes"]

Value = TypeVar("Value")

# A process that ends is noticed at once, by its closed connections. These bound the wait for one that hangs, or whose machine is
# gone: in sums, to which all come at about the same time; and elsewhere, where some may wait for another to read a large file.
_SUM, _ELSE = timedelta(minutes=30), timedelta(days=1)


class Processes(Alone):
    """The processes of torch's default group. They speak by gloo; tensors on a GPU are summed by the backend of the group.

    Raises
    ------
    ProcessError
        By every verb, if another process has ended or cannot be reached.
    """

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        with _explained():
            self._groups: dict[str, Any] = {
                "sums": dist.new_group(backend="gloo", timeout=_SUM),
                "others": dist.new_group(backend="gloo", timeout=_ELSE),
            }
        here = _machine()
        self.machine = [rank for rank, there in enumerate(self.gather(here)) if there == here]
        self.local_rank = self.machine.index(self.rank)

    def sum(self, array: Any) -> Any:
        """See `Alone.sum`."""
        # A copy: a thread of gloo may be the last to let a tensor go, and where the memory is NumPy's, it needs Python for that,
        # which may be ending.
        tensor = torch.tensor(array) if isinstance(array, np.ndarray) else array
        with _explained():
            dist.all_reduce(tensor, group=self._groups["sums"] if tensor.device.type == "cpu" else None)
        if tensor is not array:
            array[...] = tensor.numpy()
        return array

    def broadcast(self, value: Value) -> Value:
        """See `Alone.broadcast`."""
        values: list[Any] = [value]
        with _explained():
            dist.broadcast_object_list(values, 0, group=self._groups["others"])
        return values[0]

    def gather(self, value: Value) -> list[Value]:
        """See `Alone.gather`."""
        values: list[Any] = [None] * self.size
        with _explained():
            dist.all_gather_object(values, value, group=self._groups["others"])
        return values

    def agreed(self, value: Value | None) -> Value | None:
        """See `Alone.agreed`. As long as all give None, it costs no more than to sum a number."""
        given = torch.tensor([value is not None], dtype=torch.int64)
        with _explained():
            dist.all_reduce(given, group=self._groups["others"])
        if not given.item():
            return None
        return next(found for found in self.gather(value) if found is not None)

    def wait(self) -> None:
        """See `Alone.wait`."""
        with _explained():
            dist.barrier(group=self._groups["others"])

    def leave(self) -> None:
        """Close the connections, before Python ends: a thread of a group that outlives it ends the process by force."""
        while self._groups:
            dist.destroy_process_group(self._groups.popitem()[1])


@contextmanager
def _explained() -> Iterator[None]:
    """Say in a sentence what it means that others do not answer."""
    try:
        yield
    except RuntimeError as error:
        # Only what happened: neither the place in the code before it, nor the advice after it.
        reason = re.sub(r"^\[[^\]]*\] ", "", str(error).strip()).split(". ")[0]
        raise ProcessError(
            f"Another of the processes has ended, or cannot be reached ({reason}). What it said tells why. "
            "Start all of them again; with a checkpoint, training goes on from there."
        ) from error


def _machine() -> str:
    """The machine that a process is on, containers told apart."""
    try:
        started = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        started = ""
    return f"{socket.gethostname()} {started}"
