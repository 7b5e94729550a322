"""Learning rates ahead of the updates they are for: what is compiled of an update then serves all schedules."""

from __future__ import annotations

import numpy as np

from fallline.kernels.compile import kernel
from fallline.kernels.verbs import rate

__all__ = ["rates_after"]


@kernel
def rates_after(schedule, factor, updates, count):
    """The rates of the `count` updates that come after so many, each times a factor."""
    rates = np.empty(count)
    for i in range(count):
        rates[i] = factor * rate(schedule, updates + i + 1)
    return rates
