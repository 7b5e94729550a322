"""One colour and one line a contender, the same in every chart; apart for colour-blind eyes, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fallline.compare.results import Result

__all__ = ["Style", "styles"]

# fallline's batch sizes, small to large: light to dark, orange to violet.
_RAMP = np.array([(0xE8, 0x82, 0x0C), (0xD3, 0x45, 0x6B), (0x8E, 0x1F, 0x9A), (0x23, 0x18, 0x80)], float)
_OTHERS = {"scikit-learn": ("#00866a", "dash"), "pytorch": ("#1a86c7", "dashdot"), "l-bfgs": ("#666666", "dot")}


class Style(NamedTuple):
    """How a contender is drawn."""

    colour: str
    dash: str


def styles(results: Sequence[Result]) -> dict[str, Style]:
    """By the contenders' keys."""
    variants = [result.key for result in results if result.family == "fallline"]
    places = np.linspace(0, 1, len(variants)) if len(variants) > 1 else [0.5]
    ramp = {key: Style(_at(place), "solid") for key, place in zip(variants, places, strict=True)}
    return ramp | {result.key: Style(*_OTHERS[result.key]) for result in results if result.family != "fallline"}


def _at(place):
    anchors = np.linspace(0, 1, len(_RAMP))
    red, green, blue = (round(float(np.interp(place, anchors, channel))) for channel in _RAMP.T)
    return f"#{red:02x}{green:02x}{blue:02x}"
