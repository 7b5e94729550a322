"""What `fit` does where many processes train together: all have the same rows, which the first on a machine reads first."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fallline.data.preparing_together import budget_together
from fallline.engines.module.together import require_same_rows
from fallline.errors import InputError, ParameterError
from fallline.parallel.agreeing import together
from fallline.parallel.alone import Alone
from fallline.torch.sources.kinds import kind_of

__all__ = ["in_turn", "reading_alike", "require_alike", "require_same_settings"]

Value = TypeVar("Value")

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def in_turn(processes: Alone, function: Callable[[], Value]) -> Value:
    """What a function gives, which the first process of a machine calls first: what it caches, the others find.

    What it raises on one process, all raise.
    """
    first = together(processes, lambda: None if processes.local_rank else [function()])
    return together(processes, function if first is None else lambda: first[0])


def reading_alike(processes: Alone, data: Any, target: Any, reading: Mapping[str, Any]) -> Mapping[str, Any]:
    """How to read, the same on all processes: of files, the memory to use decides which rows are shuffled together."""
    if processes.size == 1 or together(processes, lambda: kind_of(data, target)) != "table":
        return reading
    return {**reading, "memory": budget_together(reading.get("memory"), processes).total}


def require_alike(processes: Alone, source: Any, data: Any, target: Any) -> None:
    """Raise `InputError`, on all processes, if they have different rows; each may have a DataLoader of its own."""
    if processes.size == 1:
        return
    if kind_of(data, target) != "DataLoader":
        require_same_rows(processes, source)
        return
    updates = processes.gather(source.updates)
    if len(set(updates)) > 1:
        raise InputError(
            f"The DataLoaders of the processes have {', '.join(map(str, updates))} batches, but every update takes one of each. "
            "Give all equally many: a torch.utils.data.DistributedSampler sees to it."
        )


def require_same_settings(processes: Alone, settings: Mapping[str, str]) -> None:
    """Raise `ParameterError`, on all processes, if they are to train in different ways: some would wait for the others.

    Parameters
    ----------
    processes : Alone or Group
    settings : mapping of str to str
        By what each is called. Where in memory something lies does not matter.
    """
    if processes.size == 1:
        return
    every = processes.gather({name: _ADDRESS.sub("", value) for name, value in settings.items()})
    for name in settings:
        found = list(dict.fromkeys(own[name] for own in every))
        if len(found) > 1:
            raise ParameterError(
                f"The processes were given different settings: {name} is {', elsewhere '.join(found)}. Give all the same."
            )
