"""Descent on a linear model by many processes.

::

    every update     Synchronous   each process sums the gradient of its rows of a batch; the sums are added, and all make the
                                   same update: the one that a single process makes
    every H updates  Averaging     each makes H updates on rows of its own; then their weights are averaged

The second is what several processes gain by: to add up over processes takes some hundred times as long as an update.
"""

from fallline.engines.together.averaging import Averaging
from fallline.engines.together.base import Together, rows_from, rows_in_turn
from fallline.engines.together.joining import joining, usual_interval
from fallline.engines.together.synchronous import Synchronous

__all__ = [
    "Averaging",
    "Synchronous",
    "Together",
    "joining",
    "rows_from",
    "rows_in_turn",
    "usual_interval",
]
