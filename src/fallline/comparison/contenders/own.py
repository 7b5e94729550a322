"""fallline itself, at one batch size."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from fallline.comparison.contenders.base import Contender, Snapshot, Stopwatch, marks
from fallline.comparison.problem import Problem
from fallline.data.order import Order
from fallline.data.rows import ArraySource, as_rows
from fallline.engines.descent import DescentEngine
from fallline.loop import train
from fallline.monitors.base import Run
from fallline.objective.penalties import L2
from fallline.optim.optimizers.sgd import SGD
from fallline.optim.schedules.constant import Constant

__all__ = ["Own", "own"]


class Own(Contender):
    """Plain gradient descent by fallline's loop, as `SGDClassifier` and `SGDRegressor` run it."""

    def trace(
        self, problem: Problem, rate: float, seed: int, epochs: int, records: int
    ) -> Iterator[Snapshot]:
        """Train; see `Contender.trace`."""
        batch_size = min(self.batch_size or problem.n, problem.n)
        watch = Stopwatch()
        with watch.running():
            engine = DescentEngine(problem.loss, SGD(), Constant(rate), batch_size, L2(problem.alpha))
            source = ArraySource(as_rows(problem.X, problem.y))
            state = engine.start(problem.X.shape[1], problem.outputs, problem.X.dtype)
            run = Run(engine, source, Order(seed), state, epochs)
        for mark in marks(epochs * math.ceil(problem.n / batch_size), records):
            run.max_updates = mark
            with watch.running():
                train(run)
            yield Snapshot(state.updates, state.rows, watch.seconds, engine.weights(state).astype(np.float64))


def own(batch_size: int, n: int) -> Own:
    """The contender of that batch size on n rows."""
    if batch_size >= n:
        return Own("batch", "batch (all rows)", "fallline", n)
    if batch_size == 1:
        return Own("stochastic", "stochastic (1 row)", "fallline", 1)
    return Own(f"mini-batch-{batch_size}", f"mini-batch of {batch_size}", "fallline", batch_size)
