"""Where the page and the numbers go: checked before the work starts, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from fallline.files import require_writable, written_whole

__all__ = ["Outputs", "write_whole"]


class Outputs(NamedTuple):
    """The two files that a comparison writes."""

    page: Path
    numbers: Path

    @classmethod
    def checked(cls, page: str | os.PathLike[str], numbers: str | os.PathLike[str] | None = None) -> Outputs:
        """The paths, if both can be written; `ParameterError` otherwise."""
        first = require_writable(page, "output", (".html", ".htm"))
        second = first.with_suffix(".json") if numbers is None else Path(numbers)
        return cls(first, require_writable(second, "json", (".json",)))


def write_whole(path: Path, text: str) -> None:
    """Write a text as UTF-8."""
    with written_whole(path) as file:
        file.write(text.encode())
