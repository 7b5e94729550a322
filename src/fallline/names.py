"""Names and amounts as people say them, and names that they got nearly right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = ["bytes_in_words", "did_you_mean", "in_short", "listed", "nearest", "which_one"]


def nearest(given: Any, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The name that was probably meant, whatever the case of its letters; None if none is near."""
    folded = {name.casefold(): name for name in reversed(list(names))}
    found = difflib.get_close_matches(str(given).casefold(), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


def did_you_mean(given: Any, names: Iterable[str]) -> str:
    """A question to end a message with, a blank before it, if some name is near; otherwise nothing."""
    near = nearest(given, names)
    return "" if near is None else f" Did you mean {near!r}?"


def which_one(given: Any, names: Iterable[str]) -> str:
    """The same, but where none is near, all the names."""
    names = list(names)
    return did_you_mean(given, names) or f" There are: {listed(names)}."


def listed(names: Iterable[Any], most: int = 20) -> str:
    """The first names, texts quoted, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def in_short(text: str, most: int = 60) -> str:
    """A text, or its beginning where it is long."""
    return text if len(text) <= most else text[: most - 1] + "…"


def bytes_in_words(count: float) -> str:
    """Such as "1.3 GB": three digits and a unit."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            break
        count /= 1000
    return f"{count:.3g} {unit}"
