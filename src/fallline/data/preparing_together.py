"""Rows that are encoded once a machine, by its first process; the others open the file that it wrote."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from fallline.data.budget import MINIMUM, Budget, memory_budget
from fallline.data.cache import Cache, find
from fallline.data.encoder import Encoder, Plan
from fallline.data.prepared import Prepared, Preparing, prepare
from fallline.data.shared import fits_whole
from fallline.data.sources.base import Source
from fallline.data.sources.joined import JoinedSource
from fallline.errors import CacheError, InputError
from fallline.parallel.agreeing import together
from fallline.parallel.alone import Alone

__all__ = ["budget_together", "prepare_together"]


class _Written(NamedTuple):
    """What the first process of a machine tells the others there."""

    path: str
    found: bool
    seconds: dict[str, float]


def budget_together(given: str | int | None, processes: Alone) -> Budget:
    """The memory that each process may use: what was asked for, or its share of what is free; the same for all.

    Which rows are shuffled together depends on it, and no process may think otherwise than the others.
    """
    if processes.size == 1:
        return memory_budget(given)
    mine = together(processes, lambda: memory_budget(given)).total
    if given is None:
        mine //= len(processes.machine)
    return Budget(max(min(processes.gather(mine)), MINIMUM))


def prepare_together(
    source: Source, plan: Plan, how: Preparing, processes: Alone, divides: Callable[[int], bool]
) -> Prepared:
    """Encoded rows, the same in all processes; see `prepare`.

    `divides` says of a number of rows whether the processes divide them; then only few are taken into memory here.

    Raises
    ------
    InputError
        On all processes, if they were given different data.
    """
    if processes.size == 1:
        return prepare(source, plan, how)
    if not isinstance(source, JoinedSource):
        prepared = together(processes, lambda: prepare(source, plan, how))
        _require_same(processes, source.fingerprint)
        return prepared
    with _folder(how.folder, processes) as folder:
        cache, written = _encoded_once(source, plan, how._replace(folder=folder), processes)
    _require_same(processes, cache.fingerprint)
    whole = not divides(cache.n_rows) or fits_whole(cache.rows, cache.nbytes, how.budget, processes.size)
    encoder = Encoder.from_tensors(cache.tensors, cache.header["encoder"])
    prepared = Prepared.cached(encoder, cache, how._replace(in_memory=whole), found=written.found)
    prepared.seconds = written.seconds
    return prepared


def _encoded_once(source, plan, how, processes):
    """The cache file that the first process of the machine found or wrote, open; and what it tells."""
    stamps = processes.gather(together(processes, lambda: source.fingerprint))
    if len({stamps[rank] for rank in processes.machine}) > 1:
        _refuse()

    def encode():
        if processes.local_rank:
            return None
        prepared = prepare(source, plan, how._replace(in_memory=False))
        assert prepared.cache is not None  # noqa: S101 (there is a folder for it)
        return _Written(str(prepared.cache.path), prepared.found, prepared.seconds)

    told = processes.gather(together(processes, encode))
    written = told[processes.machine[0]]
    return together(processes, lambda: _open(Path(written.path))), written


def _open(path: Path) -> Cache:
    cache = find(path.parent, path.stem)
    if cache is None:
        raise CacheError(
            f"The encoded rows that another process wrote to {str(path)!r} are not there any more. Train again."
        )
    return cache


@contextmanager
def _folder(asked: Path | None, processes: Alone) -> Iterator[Path]:
    """The folder for encoded rows: where none can be kept, a temporary one, gone when all have opened what is in it."""
    if asked is not None:
        yield asked
        return
    large = Path("/var/tmp")  # noqa: S108 (a folder of a name that cannot be guessed is made in it)
    where = large if "TMPDIR" not in os.environ and os.access(large, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="fallline-", dir=where))
    try:
        yield folder
        processes.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _require_same(processes, mark):
    if len(set(processes.gather(mark))) > 1:
        _refuse()


def _refuse():
    raise InputError(
        "The processes were given different data. Give all of them the same: they divide the rows among themselves."
    )
