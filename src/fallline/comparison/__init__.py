"""Batch, stochastic and mini-batch gradient descent side by side, beside what else there is.

::

    table ──▶ task ──▶ problem ──▶ contenders ──▶ experiment ──▶ results ──▶ verdict ──▶ page
    rows and  classes  split,      who takes      rates, runs,   all the     in plain    charts,
    a target  or not   scale       part           noise, memory  numbers     words       tables
"""

from __future__ import annotations

from fallline.comparison.comparing import compare
from fallline.comparison.results import Comparison

__all__ = ["Comparison", "compare"]
