"""The processes that are there."""

from __future__ import annotations

import atexit
import importlib.util
import os
import sys
from contextlib import suppress
from datetime import timedelta
from typing import Any

from fallline.errors import MissingDependencyError, ProcessError
from fallline.parallel.alone import Alone
from fallline.parallel.meeting import meet
from fallline.parallel.place import Place, place_in

__all__ = ["find"]

# How long the first to come wait for the last.
_MEETING = timedelta(minutes=10)

# The group that was found, and the processes made of it: groups of our own are made once.
_found: dict[str, Any] = {}


def find() -> Alone:
    """The processes that train together: torch's default group if it is initialised, otherwise those the environment tells of.

    Where nothing tells of others, there is one process; none is ever made up, and torch is not imported. Where something
    does, all of them have to call this.

    Returns
    -------
    Alone or Processes

    Raises
    ------
    ParameterError
        If the environment contradicts itself.
    MissingDependencyError
        If there are many processes but no torch for them to speak by.
    ProcessError
        If they do not meet.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not (distributed.is_available() and distributed.is_initialized()):
        place = place_in(os.environ)
        if place is None:
            return Alone()
        _join(place)
        return _on_own_device(_of_group())
    return _of_group()


def _of_group() -> Alone:
    """The processes of the group that is initialised."""
    import torch.distributed as dist

    if dist.get_world_size() == 1:
        return Alone()
    if _found.get("group") is not dist.group.WORLD:
        from fallline.parallel.processes import Processes

        _found.update(group=dist.group.WORLD, processes=Processes())
        atexit.register(_leave)
    return _found["processes"]


def _join(place: Place) -> None:
    """Meet the others."""
    if importlib.util.find_spec("torch") is None:
        raise MissingDependencyError(
            f"{place.told_by} started {place.size} processes, and they speak to each other by torch, which is not installed. "
            'Install it with: pip install "fallline[torch]"'
        )
    import torch
    import torch.distributed as dist

    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    os.environ.setdefault("MASTER_ADDR", place.address)
    os.environ.setdefault("MASTER_PORT", str(place.port))
    try:
        dist.init_process_group(
            backend, store=meet(place, _MEETING), rank=place.rank, world_size=place.size, timeout=_MEETING
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ProcessError(
            f"Process {place.rank} of {place.size}, as {place.told_by} tells, does not meet the others at "
            f"{place.address}:{place.port} ({reason}). See that all are started, and that they reach each other there."
        ) from error
    _found["joined"] = True


def _on_own_device(processes: Alone) -> Alone:
    """Let each process of a machine have a GPU of its own, where there are several."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(processes.local_rank % torch.cuda.device_count())
    return processes


def _leave() -> None:
    """Leave the groups that were made here, at the end of the program."""
    import torch.distributed as dist

    with suppress(Exception):
        _found["processes"].leave()
    joined = _found.get("joined", False)
    _found.clear()
    with suppress(Exception):
        if joined and dist.is_initialized():
            dist.destroy_process_group()
