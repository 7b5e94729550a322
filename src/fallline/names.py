"""Names that people got nearly right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "listed"]


def did_you_mean(given: str, names: Iterable[str]) -> str:
    """A sentence that suggests the nearest of the names, or lists them."""
    names = list(names)
    nearest = difflib.get_close_matches(given, names, n=1)
    return f"Did you mean {nearest[0]!r}?" if nearest else f"There are: {listed(names)}."


def listed(names: Iterable[str], most: int = 20) -> str:
    """The first names, quoted, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more
