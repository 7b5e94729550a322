"""A file of rows: where it lies, what it was when it was found, and how to notice that it is another one now."""

from __future__ import annotations

import os
import stat
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
    changed : int
        The same of its last change of any kind, which cannot be set back as `modified` can; 0 where that is not known.
    inode : int
        What its filesystem has it under; 0 where that is not known.
    """

    size: int
    modified: int
    changed: int = 0
    inode: int = 0

    def same_content(self, other: Stamp | None) -> bool:
        """Whether nobody wrote to it in between; a new name or new permissions are no matter."""
        return other is not None and self._replace(changed=0) == other._replace(changed=0)


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
        # Arrow takes names that are not UTF-8 as bytes only.
        return self.filesystem.open_input_file(os.fsencode(self.path) if self.local else self.path)

    def require_unchanged(self) -> None:
        """Raise InputError unless it is the file found first, with the same size and time of modification."""
        now = stamp(self.filesystem, self.path)
        if self.stamp.same_content(now):
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
    """Size and times of a file now; None if there is none.

    Raises
    ------
    InputError
        If it is a pipe, a device or the like.
    """
    if isinstance(filesystem, fs.LocalFileSystem):
        try:
            found = Path(path).stat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(found.st_mode):
            raise InputError(
                f"{path!r} is no regular file: a pipe or a device can be read only once, but the rows are read several times. "
                "Save what it gives to a file first, and give that."
            )
        return Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    info = filesystem.get_file_info(path)
    return None if info.type != fs.FileType.File else Stamp(info.size, info.mtime_ns or 0)
