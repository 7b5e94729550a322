"""A file of rows: where it lies, what it was when it was found, and how to notice that it is another one now."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import fs

from fallline.errors import InputError

__all__ = ["COMPRESSIONS", "File", "Stamp", "stamp"]

COMPRESSIONS = {".gz": "gzip", ".bgz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".zstd": "zstd"}
"""What a last ending says about how a text file is compressed, in Arrow's words."""


class Stamp(NamedTuple):
    """What changes when a file does.

    Parameters
    ----------
    size : int
        In bytes, as it lies there.
    modified : int
        Nanoseconds since 1970.
    """

    size: int
    modified: int


class File(NamedTuple):
    """A file as it was when it was found.

    Parameters
    ----------
    name : str
        What to call it in messages: its path as the user would write it.
    path : str
        Where its filesystem has it.
    stamp : Stamp
    filesystem : FileSystem
    keys : tuple of (str, str or None)
        What the folders it lies in say about its rows: `year=2013/month=1/` is (("year", "2013"), ("month", "1")).
    compression : str or None
        "gzip", "bz2" or "zstd".
    """

    name: str
    path: str
    stamp: Stamp
    filesystem: Any
    keys: tuple[tuple[str, str | None], ...] = ()
    compression: str | None = None

    @property
    def size(self) -> int:
        """Bytes, as it lies there, compressed or not."""
        return self.stamp.size

    @property
    def ending(self) -> str:
        """The last ending in lower case, that of a compression left out: ".csv" for "A.CSV.gz"."""
        path = Path(self.path.lower())
        return path.with_suffix("").suffix if path.suffix in COMPRESSIONS else path.suffix

    @property
    def local(self) -> bool:
        """Whether it lies on this machine."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def open(self) -> pa.NativeFile:
        """The bytes of the file, as they lie there, at any position.

        Raises
        ------
        InputError
            If it is no longer the file that was found.
        """
        self.require_unchanged()
        return self.filesystem.open_input_file(self.path)

    def require_unchanged(self) -> None:
        """Raise InputError unless size and time of modification are those found first."""
        now = stamp(self.filesystem, self.path)
        if now == self.stamp:
            return
        if now is None:
            raise InputError(f"{self.name!r} has gone since it was found. Start again when it is back.")
        how = "it was written to"
        if now.size != self.size:
            how = f"it had {self.size:,} bytes and has {now.size:,} now"
        raise InputError(
            f"{self.name!r} changed while it was being read: {how}. Start again when nothing writes to it any more."
        )


def stamp(filesystem: Any, path: str) -> Stamp | None:
    """Size and time of a file now; None if there is none."""
    if isinstance(filesystem, fs.LocalFileSystem):
        try:
            found = Path(path).stat()
        except FileNotFoundError:
            return None
        return Stamp(found.st_size, found.st_mtime_ns)
    info = filesystem.get_file_info(path)
    return None if info.type != fs.FileType.File else Stamp(info.size, info.mtime_ns or 0)
