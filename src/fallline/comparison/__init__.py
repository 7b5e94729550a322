"""Batch, stochastic and mini-batch gradient descent side by side, beside what else there is.

::

    table ────▶ draw ─────▶ problem ──▶ contenders ──▶ experiment ──▶ results ──▶ verdict ──▶ page
    source,     how many,   split,      who takes      rates, runs,   all the     in plain    charts,
    encoder     and which   scale       part           noise, memory  numbers     words       tables
"""

from __future__ import annotations

from fallline.comparison.comparing import compare
from fallline.comparison.results import Comparison

__all__ = ["Comparison", "compare"]
