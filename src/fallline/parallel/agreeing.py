"""Errors that all processes raise, so that none waits for one that has failed."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, TypeVar

from fallline.errors import ProcessError
from fallline.parallel.alone import Alone

__all__ = ["said_elsewhere", "together", "told_by_first"]

Value = TypeVar("Value")

_SAID = "_fallline_said_elsewhere"


def together(processes: Alone, function: Callable[[], Value]) -> Value:
    """What a function gives on each process; if it fails on some, all raise the error of the first of those."""
    if processes.size == 1:
        return function()
    value: Any = None
    error: Exception | None = None
    try:
        value = function()
    except ProcessError:
        raise
    except Exception as caught:  # noqa: BLE001 (whatever it is, the others must hear of it)
        error = caught
    found = processes.agreed(None if error is None else (processes.rank, _portable(error)))
    if found is None:
        return value
    rank, theirs = found
    if rank == processes.rank and error is not None:
        raise error
    setattr(theirs, _SAID, True)
    raise theirs


def told_by_first(processes: Alone, function: Callable[[], Value]) -> Value:
    """What a function gives on the process of rank 0, where alone it is called, told to all; so are its errors."""
    value = together(processes, lambda: function() if processes.rank == 0 else None)
    return processes.broadcast(value)  # type: ignore[return-value]


def said_elsewhere(error: BaseException) -> bool:
    """Whether an error is another process's, which says it."""
    return getattr(error, _SAID, False)


def _portable(error):
    """An error that can be sent to others."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 (what was just made)
    except Exception:  # noqa: BLE001 (pickling may raise anything)
        return ProcessError(f"Another process failed with {type(error).__name__}: {error}")
    return error
