"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = [
    "amount",
    "counted",
    "joined",
    "megabytes",
    "multiple",
    "percent",
    "sentence_case",
    "share",
    "short",
    "time",
]


def amount(value: float) -> str:
    """A count: 1,437; 2.4 million."""
    if value >= 999_500:
        return f"{value / 1e6:.3g} million" if value < 1e9 else f"{value / 1e9:.3g} billion"
    if value >= 10 or value == round(value):
        return f"{value:,.0f}"
    return np.format_float_positional(value, precision=2, fractional=False, trim="-")


def counted(count: int, noun: str) -> str:
    """1 column, 64 columns."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def short(value: float) -> str:
    """A count in little room: 260k, 1.7M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.995 * size:
            return f"{float(f'{value / size:.2g}'):g}{letter}"
    return f"{value:.0f}"


def time(seconds: float) -> str:
    """A duration: 4.1 ms, 2.3 s, 3 min 20 s."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 99.5:
        return f"{seconds:.3g} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def share(value: float) -> str:
    """A part of a whole: 97.2%, 0.03%."""
    if value >= 1e-3:
        return percent(value).replace(".0%", "%")
    return f"{100 * value:.1g}%" if value >= 1e-6 else "<0.0001%" if value > 0 else "0%"


def multiple(ratio: float) -> str:
    """How many times as much: 1.3, 14, 230."""
    return f"{ratio:.2g}" if ratio < 100 else f"{float(f'{ratio:.2g}'):,.0f}"


def percent(value: float) -> str:
    """A score: 95.0%."""
    return f"{100 * value:.1f}%"


def megabytes(count: float) -> str:
    """An amount of memory: 0.019 MB, 1.2 MB, 340 MB."""
    if count < 1e5:
        return f"{amount(count / 1e6)} MB"
    return f"{count / 1e6:.1f} MB" if count < 99.5e6 else f"{count / 1e6:,.0f} MB"


def joined(words: Sequence[str], last: str = "and") -> str:
    """a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def sentence_case(text: str) -> str:
    """With a capital at the beginning."""
    return text[:1].upper() + text[1:]
