"""Where the page and the numbers go: checked before the work starts, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from fallline.errors import ParameterError
from fallline.files import written_whole

__all__ = ["Outputs", "write_whole"]


class Outputs(NamedTuple):
    """The two files that a comparison writes."""

    page: Path
    numbers: Path

    @classmethod
    def checked(cls, page: str | os.PathLike[str], numbers: str | os.PathLike[str] | None = None) -> Outputs:
        """The paths, if both can be written; `ParameterError` otherwise."""
        first = _with_ending("output", Path(page), (".html", ".htm"))
        second = first.with_suffix(".json") if numbers is None else Path(numbers)
        _with_ending("json", second, (".json",))
        for path in (first, second):
            _require_room(path)
        return cls(first, second)


def write_whole(path: Path, text: str) -> None:
    """Write a text as UTF-8."""
    with written_whole(path) as file:
        file.write(text.encode())


def _with_ending(name, path, endings):
    if path.suffix.lower() not in endings:
        raise ParameterError(
            f"{name}={str(path)!r} does not end in {' or '.join(endings)}. Give a name that does."
        )
    return path


def _require_room(path):
    folder = path.parent
    if not folder.is_dir():
        raise ParameterError(
            f"There is no folder {str(folder)!r} to write {path.name!r} into. Make it first, or choose another."
        )
    if path.is_dir():
        raise ParameterError(f"{str(path)!r} is a folder. Give the name of a file.")
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ParameterError(
            f"Nothing can be written into the folder {str(folder)!r} ({error.strerror}). Choose another."
        ) from error
