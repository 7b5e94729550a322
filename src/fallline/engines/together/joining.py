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

# What it costs processes to meet, in products of which a row's score and gradient take one a number each: so many, and so many
# for each number that is added up. How many times as much work should lie between two meetings, and how many there should be in
# an epoch, even where it is short. Measured by benchmarks/processes.py.
_MEETING, _NUMBER = 2.0**20, 16.0
_WORK, _AN_EPOCH = 64.0, 2


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


def usual_interval(descent: DescentEngine, source: Shared, outputs: int) -> int:
    """As many updates as make it cheap to meet, but a few times an epoch: the same for the same model, rows and batch size."""
    numbers = outputs * (source.n_columns + 1) * (1 + descent.optimizer.slots)
    update = descent.batch_size * work_a_row(source, outputs, descent.optimizer)(descent.batch_size)
    epoch = math.ceil(source.most_rows / descent.batch_size)
    cheap = math.ceil(_WORK * (_MEETING + _NUMBER * numbers) / update)
    # 1 means that all updates are made together, which is another way to train.
    return max(2, min(cheap, math.ceil(epoch / _AN_EPOCH)))
