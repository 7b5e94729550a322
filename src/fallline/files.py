"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from fallline.errors import ParameterError

__all__ = ["checksum_of", "require_writable", "written_whole"]


@contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when complete; otherwise nothing changes.

    Where the system has files without a name, not even a process that is killed leaves anything behind.
    """
    path = Path(path)
    descriptor, temporary = _new_file(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.fileno(), 0o666 & ~_umask())
            if not temporary.exists():
                _give_name(file.fileno(), temporary)
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            # Writing to a file that is open fails without saying which.
            error.filename = str(path)
        raise


def _new_file(path: Path) -> tuple[int, Path]:
    """A new file in the folder of a path, if possible without a name; and the name that it has or may be given."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    if hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").is_dir():
        with suppress(OSError):  # a file system that has only files with names
            return os.open(path.parent, os.O_TMPFILE | os.O_RDWR, 0o600), temporary
    return os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), temporary


def _give_name(descriptor, path):
    # Given a folder, though it needs none, Python asks the system to follow the link.
    os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor)


def require_writable(path: str | os.PathLike, name: str, endings: tuple[str, ...] = ()) -> Path:
    """The path, if a file can be written there; asked before long work begins.

    Parameters
    ----------
    path : path
    name : str
        What it was given as, for messages.
    endings : tuple of str
        Those that the file may have; by default any.

    Raises
    ------
    ParameterError
        For another ending, a folder that is missing or cannot be written into, or a folder in the file's place.
    """
    path = Path(path)
    if endings and not path.name.lower().endswith(endings):
        raise ParameterError(
            f"{name}={str(path)!r} does not end in {' or '.join(endings)}. Give a name that does."
        )
    if not path.parent.is_dir():
        raise ParameterError(
            f"There is no folder {str(path.parent)!r} to write {path.name!r} into. Make it first, or choose another."
        )
    if path.is_dir():
        raise ParameterError(f"{name}={str(path)!r} is a folder. Give the name of a file.")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise ParameterError(
            f"Nothing can be written into the folder {str(path.parent)!r} ({error.strerror}). Choose another."
        ) from error
    return path


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def checksum_of(text: str, arrays: Mapping[str, Any]) -> str:
    """CRC-32 of a text and of named arrays, their types and shapes included, as hexadecimal digits."""
    checksum = zlib.crc32(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        checksum = zlib.crc32(f"{name} {array.dtype.str} {array.shape}".encode(), checksum)
        checksum = zlib.crc32(array.tobytes(), checksum)
    return f"{checksum:08x}"
