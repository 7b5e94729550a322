"""How much memory may be used, and for what."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from fallline.data.cache.shuffle import BUFFER_BYTES
from fallline.data.sources.base import Source
from fallline.errors import ParameterError

__all__ = ["MINIMUM", "Budget", "free_memory", "memory_budget"]

_UNITS = {
    "": 1,
    "b": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}

MINIMUM = 128 * 10**6
"""Bytes below which a budget is refused: what the shuffling buffers and two batches take, and some to spare."""

# A buffer that fills; one that is joined; the blocks that it is cut into; and those of the one before, which are being written.
_WRITING = 4 * BUFFER_BYTES
# A batch is held as it was read, decoded, and encoded, and by what is half-way.
_COPIES = 4
# What windows use of it. Of larger ones the processor's caches hold less, and models are no better for them, not even where files
# are sorted: measured.
_MOST_IN_WINDOWS = 2**25
# Enough for every core to find work; more would only wait.
_MOST_IN_FLIGHT = max(8, 4 * (os.cpu_count() or 1))


@dataclass(frozen=True)
class Budget:
    """Bytes that may be used beyond what the interpreter and its libraries take.

    First, batches are decoded and encoded, `in_flight` of them at a time, beside the buffers that the cache is written from. Then
    these are gone, and windows take their place. What is to spare holds batches that need not be parsed again, and rows that
    need not be read back. Neither takes all of it: allocators hold on to some of what was given back.

    The results do not depend on the budget but in one point: which rows are shuffled together in an epoch. Data of which half of
    the budget holds all rows are shuffled as a whole, if they are many in groups of neighbours; larger ones in windows, whose
    size follows from `window_bytes`.

    Parameters
    ----------
    total : int
        Bytes.
    beside : int
        Of these, what reading takes beside its batches.
    """

    total: int
    beside: int = 0

    def reading(self, source: Source, columns: int) -> Budget:
        """The same while so many columns of a source are read."""
        return replace(self, beside=min(columns * source.bytes_a_column, 3 * source.size))

    @property
    def window_bytes(self) -> int:
        """For both windows of rows, the one in use and the next: half of the budget, but no more than is of use."""
        return min(self.total // 2, _MOST_IN_WINDOWS)

    def in_flight(self, batch_bytes: int) -> int:
        """How many batches of so many decoded bytes may be under way at once; never fewer than two."""
        return max(2, min(_MOST_IN_FLIGHT, self._for_batches // (_COPIES * batch_bytes)))

    def spare(self, batch_bytes: int) -> int:
        """Bytes left, while batches of so many are under way, for what is kept from one pass to the next."""
        return max(0, self._for_batches - _COPIES * batch_bytes * self.in_flight(batch_bytes))

    def lacks(self, batch_bytes: int) -> bool:
        """Whether reading takes more than there is, however few batches of so many bytes are under way."""
        return _WRITING + self.beside + 2 * _COPIES * batch_bytes > self.total

    @property
    def _for_batches(self):
        return self.total * 3 // 4 - _WRITING - self.beside

    def holds(self, rows_bytes: int) -> bool:
        """Whether encoded rows of so many bytes may be kept in memory as a whole."""
        return rows_bytes <= self.total // 2


def memory_budget(given: str | int | None = None) -> Budget:
    """The budget that was asked for; by default half of the memory that is free.

    Parameters
    ----------
    given : str or int, optional
        A number of bytes, or a text such as "1GB" (10**9 bytes), "512MiB" (2**20 each) or "1.5g".

    Raises
    ------
    ParameterError
        If it is no amount of memory, or less than `MINIMUM`.
    """
    if given is None:
        return Budget(max(free_memory() // 2, MINIMUM))
    total = _bytes(given)
    if total < MINIMUM:
        raise ParameterError(
            f"memory={given!r} is less than the {MINIMUM // 10**6} MB that reading and shuffling take at the least. Give more."
        )
    return Budget(total)


def free_memory() -> int:
    """Bytes that this process could use now without others being swapped out, or a limit of its cgroups being met."""
    return min([_free_on_machine(), *_free_in_cgroups()])


def _bytes(given):
    wanted = 'Give a number of bytes, or a text like "1GB" or "512MiB".'
    if isinstance(given, bool) or not isinstance(given, (int, str)):
        raise ParameterError(f"memory={given!r} is a {type(given).__name__}. {wanted}")
    if isinstance(given, int):
        return given
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", given)
    if match is None:
        raise ParameterError(f"memory={given!r} is no amount of memory. {wanted}")
    unit = match[2].lower()
    unit = unit if unit in _UNITS else unit.removesuffix("b")
    if unit not in _UNITS:
        raise ParameterError(
            f"memory={given!r} has the unit {match[2]!r}, but kB, MB, GB, TB, KiB, MiB, GiB and TiB are known. {wanted}"
        )
    return int(float(match[1]) * _UNITS[unit])


def _free_on_machine() -> int:
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])
    if sys.platform == "win32":
        return _free_on_windows()
    # Elsewhere what is free is not told in a simple way; half of the machine's memory usually is.
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _free_on_windows():
    import ctypes

    class Status(ctypes.Structure):
        """MEMORYSTATUSEX of the Windows API."""

        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            ("total", ctypes.c_ulonglong),
            ("free", ctypes.c_ulonglong),
            ("others", ctypes.c_ulonglong * 5),
        )

    status = Status(length=ctypes.sizeof(Status))
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined]
    return status.free


def _free_in_cgroups(
    proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> Iterator[int]:
    """What each limit leaves that holds for this process, those of the groups around its own included."""
    with suppress(OSError):
        for line in proc.read_text(encoding="utf-8").splitlines():
            _, controllers, group = line.split(":", 2)
            if not controllers:
                names = ("memory.max", "memory.current", "inactive_file")
                yield from _free_in_groups(root, group, *names)
            elif "memory" in controllers.split(","):
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
                yield from _free_in_groups(root / "memory", group, *names)


def _free_in_groups(mount, group, limit, usage, reclaimable):
    # In a container the path may be one outside of it, and only the container's own group is there.
    path = PurePosixPath(group.lstrip("/"))
    for folder in (mount / path, *(mount / parent for parent in path.parents)):
        with suppress(OSError, ValueError):  # no such group, or "max": no limit
            allowed = int((folder / limit).read_text())
            used = int((folder / usage).read_text())
            yield max(0, allowed - used + _reclaimable(folder / "memory.stat", reclaimable))


def _reclaimable(stat, name):
    """Bytes of files that the system keeps in memory only as long as nobody else needs it."""
    facts = dict(line.split() for line in stat.read_text().splitlines())
    return int(facts.get(name, 0))
