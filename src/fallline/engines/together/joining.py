"""From the descent of one process to that of many."""

from __future__ import annotations

import math
from collections.abc import Callable

from fallline.data.rows import TrainingSource
from fallline.data.shared import Shared
from fallline.engines.descent import DescentEngine
from fallline.engines.linear import LinearEngine
from fallline.engines.together.averaging import Averaging
from fallline.engines.together.synchronous import Synchronous
from fallline.engines.work import work_a_row
from fallline.parallel.alone import Alone

__all__ = ["joining", "usual_interval"]

# To add up over processes, in products of which a row's score and gradient take one a number each: so many, and so many for each
# number that is added up. And how many times as much work should lie between two sums. See benchmarks/processes.py.
_SUM, _SUM_NUMBER = 2.0**20, 16.0
_WORK = 16.0


def joining(
    source: TrainingSource, outputs: int, processes: Alone, every: int | None = None
) -> Callable[[DescentEngine], LinearEngine]:
    """What makes of a descent the one that many processes make together on these rows.

    Where rows are shared, their weights are averaged `every` so many updates, or as often as is usual; where each process has
    all of them, in every update. For one process, descent stays as it is.
    """

    def joined(descent: DescentEngine) -> LinearEngine:
        if processes.size == 1:
            return descent
        if not isinstance(source, Shared):
            return Synchronous(descent, processes)
        return Averaging(descent, processes, every or usual_interval(descent, source, outputs))

    return joined


def usual_interval(descent: DescentEngine, source: TrainingSource, outputs: int) -> int:
    """As many updates as make it cheap to average: the same for the same model, rows and batch size."""
    numbers = outputs * (source.n_columns + 1) * (1 + descent.optimizer.slots)
    update = descent.batch_size * work_a_row(source, outputs, descent.optimizer)(descent.batch_size)
    return math.ceil(_WORK * (_SUM + _SUM_NUMBER * numbers) / update)
