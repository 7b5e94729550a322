"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from fallline.errors import ParameterError

__all__ = ["require_writable", "written_whole"]


@contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when complete; otherwise nothing changes."""
    path = Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


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
