"""The folder that cache files lie in: where it is, who writes there, and what has to go."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from fallline.errors import CacheError, FalllineWarning
from fallline.names import bytes_in_words

__all__ = [
    "default_folder",
    "explained",
    "make_room",
    "new_file",
    "path_of",
    "remove_leftovers",
    "unnamed_file",
]

_ENDING = ".fallcache"
# Of the disk that the folder is on: what all cache files together may take.
_SHARE = 0.25
# Left free on the disk for others.
_MARGIN = 2**26

_ELSEWHERE = "Choose another folder with --cache DIR, or do without with --no-cache."
_FULL = (errno.ENOSPC, errno.EDQUOT)


def default_folder() -> Path:
    """Where cache files lie if nothing else is said: the folder that the platform has for what can be computed again."""
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "fallline"
    if sys.platform == "win32":
        return (
            Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "fallline" / "Cache"
        )
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "fallline"
    return Path.home() / ".cache" / "fallline"


def path_of(folder: Path, key: str) -> Path:
    """The file that belongs to a key."""
    return folder / (key + _ENDING)


def new_file(folder: Path, key: str) -> tuple[FileIO, Path]:
    """A new file under a temporary name, locked for as long as it is open, so that others can tell it from a leftover."""
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            descriptor, name = tempfile.mkstemp(".tmp", f".{key}{_ENDING}.", folder)
            file, path = FileIO(descriptor, "r+"), Path(name)
            # Between its making and its locking another process may have taken it for a leftover.
            if _lock(file) is not False and path.exists():
                return file, path
            file.close()


def unnamed_file() -> FileIO:
    """A new file without a name, which vanishes with the process. Not on a file system in memory, if there is another."""
    large = Path("/var/tmp")  # noqa: S108 (no name is made there that could be guessed)
    folder = Path(tempfile.gettempdir())
    if "TMPDIR" not in os.environ and os.access(large, os.W_OK):
        folder = large
    with explained(folder), tempfile.TemporaryFile("w+b", buffering=0, dir=folder) as file:
        return FileIO(os.dup(file.fileno()), "r+")


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed left half-written."""
    for path in folder.glob(f".*{_ENDING}.*.tmp"):
        with suppress(OSError):
            if sys.platform == "win32":  # where a file that is open cannot be removed
                path.unlink()
                continue
            with FileIO(path, "r+") as file:
                if _lock(file):
                    path.unlink()


def make_room(folder: Path, needed: int) -> None:
    """See that a file of `needed` bytes fits, and the folder into its share of the disk; the least recently used files go.

    Raises
    ------
    CacheError
        If it would not fit even then: nothing is removed.
    """
    disk = shutil.disk_usage(folder)
    files = sorted(_cache_files(folder))
    kept = sum(size for _, size, _ in files)
    if disk.free + kept < needed + _MARGIN:
        raise CacheError(
            f"The encoded rows need about {bytes_in_words(needed)} of disk, and {bytes_in_words(disk.free)} are free in "
            f"{str(folder)!r}. Free some. {_ELSEWHERE}"
        )
    free = disk.free
    for _, size, path in files:
        if free >= needed + _MARGIN and kept + needed <= _SHARE * disk.total:
            return
        with suppress(OSError):
            path.unlink()
            free, kept = free + size, kept - size
            warnings.warn(
                f"The cache file {str(path)!r} ({bytes_in_words(size)}) was removed to make room: it had not been used "
                "for longest.",
                FalllineWarning,
                stacklevel=4,
            )


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Say in a sentence what a failure to write means, and what to do about it."""
    try:
        yield
    except CacheError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            reason = (
                f"The disk filled up ({error.strerror}{_left(folder)}) while encoded rows were written to"
            )
        elif error.errno == errno.EFBIG:
            reason = f"The system allows no file as large ({error.strerror}) as that of the encoded rows in"
        else:
            reason = f"Encoded rows cannot be written ({error.strerror or error}) to"
        raise CacheError(
            f"{reason} the folder {str(folder)!r}. Nothing is left there. {_ELSEWHERE}"
        ) from error


def _left(folder):
    """How much room there is now, for the middle of a sentence; nothing for a folder that is not there."""
    try:
        return f"; {bytes_in_words(shutil.disk_usage(folder).free)} are free now"
    except OSError:
        return ""


def _cache_files(folder):
    """Time of last use, size and path of every cache file."""
    for path in folder.glob(f"*{_ENDING}"):
        with suppress(OSError):
            facts = path.stat()
            yield facts.st_mtime, facts.st_size, path


def _lock(file):
    """Lock a file without waiting: whether nobody else has; None where files cannot be locked."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True
