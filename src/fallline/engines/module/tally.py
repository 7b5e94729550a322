"""What a sweep found, read from the device once."""

from __future__ import annotations

import math
from typing import Any

import torch

__all__ = ["Tally"]


class Tally:
    """The losses of a block's updates, as they were met.

    Attributes
    ----------
    factor : float
        What rates are multiplied by.
    last : bool
        Whether the coming update is the block's last.
    norm, rate : float
        Of the last update; NaN where there was none.
    """

    def __init__(self, factor: float):
        self.factor = factor
        self.last = False
        self.norm = self.rate = math.nan
        self._values: list[torch.Tensor] = []
        self._rows: list[int] = []

    def add(self, value: torch.Tensor, rows: int) -> None:
        """Note the loss of an update of so many rows."""
        self._values.append(value)
        self._rows.append(rows)

    def sum(self, before: float) -> tuple[float, Any]:
        """The sum of all losses, added to the one before; and of the first not finite, its place from the end, and what."""
        if not self._values:
            return before, None
        for place, value in enumerate(torch.stack(self._values).tolist()):
            if not math.isfinite(value):
                return math.nan, (len(self._values) - place, value)
            before += value * self._rows[place]
        return before, None
