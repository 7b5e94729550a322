"""How processes meet: through a store that all can reach, in which others may have met before.

Torchrun that starts processes anew keeps its store, and with it the addresses of those that are gone. Whoever reads such a one
waits for a dead process. So those who are here make sure that they are the ones that the others mean, and then use a part of the
store that nobody has used:

1. Each says hello with a token of its own.
2. The first tells the tokens that it has read and a name for the meeting; those that it read too early are old.
3. Who finds its own token there confirms the name. The first tells again until all have.
"""

from __future__ import annotations

import json
import secrets
import time
from datetime import timedelta
from typing import Any

from fallline.parallel.place import Place

__all__ = ["meet"]

_PAUSE = 0.02


def meet(place: Place, timeout: timedelta) -> Any:
    """A store in which only those processes are that are here now.

    Raises
    ------
    RuntimeError
        If they do not meet in time.
    """
    import torch
    from torch.distributed.rendezvous import rendezvous

    part: Any = torch.distributed.PrefixStore  # type: ignore[attr-defined]
    store, _, _ = next(iter(rendezvous("env://", place.rank, place.size, timeout=timeout)))
    lobby, until = part("fallline", store), time.monotonic() + timeout.total_seconds()
    return part((_invite if place.rank == 0 else _accept)(lobby, place, until), lobby)


def _invite(store, place, until):
    """(2): the name of the meeting, once all have confirmed it."""
    name, others = secrets.token_hex(8), range(1, place.size)
    while True:
        tokens = {str(rank): store.get(f"hello {rank}").decode() for rank in others}
        store.set("invitation", json.dumps({"name": name, "tokens": tokens}))
        if all(_read(store, f"confirmed {rank}") == name for rank in others):
            return name
        _pause(until, place)


def _accept(store, place, until):
    """(1) and (3): the name of the meeting that this process is invited to."""
    token = secrets.token_hex(8)
    store.set(f"hello {place.rank}", token)
    while True:
        invitation = json.loads(store.get("invitation"))
        if invitation["tokens"].get(str(place.rank)) == token:
            store.set(f"confirmed {place.rank}", invitation["name"])
            return invitation["name"]
        _pause(until, place)


def _read(store, key):
    return store.get(key).decode() if store.check([key]) else None


def _pause(until, place):
    if time.monotonic() > until:
        raise RuntimeError(f"not all {place.size} processes have come in time")
    time.sleep(_PAUSE)
