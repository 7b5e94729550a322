"""One colour and one line a contender, the same in every chart; apart for colour-blind eyes, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fallline.comparison.results import Result

__all__ = ["Style", "styles"]

# fallline's batch sizes, small to large: light to dark, amber to indigo.
_RAMP = np.array(
    [(0xF0, 0xA2, 0x02), (0xE0, 0x55, 0x3A), (0xBE, 0x1E, 0x78), (0x70, 0x2A, 0xB8), (0x1B, 0x1B, 0x5E)],
    float,
)
_OTHERS = {
    "scikit-learn": ("#00866a", "dash"),
    "pytorch": ("#1a86c7", "dashdot"),
    "l-bfgs": ("#666666", "dot"),
}


class Style(NamedTuple):
    """How a contender is drawn."""

    colour: str
    dash: str


def styles(results: Sequence[Result]) -> dict[str, Style]:
    """By the contenders' keys."""
    variants = [result.key for result in results if result.family == "fallline"]
    places = np.linspace(0, 1, len(variants)) if len(variants) > 1 else [0.5]
    ramp = {key: Style(_at(place), "solid") for key, place in zip(variants, places, strict=True)}
    return ramp | {
        result.key: Style(*_OTHERS[result.key]) for result in results if result.family != "fallline"
    }


def _at(place):
    anchors = np.linspace(0, 1, len(_RAMP))
    red, green, blue = (round(float(np.interp(place, anchors, channel))) for channel in _RAMP.T)
    return f"#{red:02x}{green:02x}{blue:02x}"
