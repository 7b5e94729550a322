"""What both ways for processes to train a linear model together share: the descent, and what is asked of its weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.data.rows import TrainingSource
from fallline.data.shared import Shared
from fallline.engines.descent import DescentEngine, has_exploded
from fallline.engines.linear import LinearEngine
from fallline.errors import DivergenceError
from fallline.parallel.agreeing import together, told_by_first
from fallline.parallel.alone import Alone
from fallline.state import State

__all__ = ["Together", "rows_from", "rows_in_turn"]


class Together(LinearEngine):
    """Descent by many processes. Between two blocks, the state is the same on all of them.

    Parameters
    ----------
    descent : DescentEngine
        What a single process would do.
    processes : Alone or Processes
    """

    def __init__(self, descent: DescentEngine, processes: Alone):
        self.descent = descent
        self.processes = processes
        self.loss, self.penalty, self.fit_intercept = descent.loss, descent.penalty, descent.fit_intercept

    def start(
        self, columns: int, outputs: int, dtype: Any, weights: np.ndarray | None = None, *, updates: int = 0
    ) -> State:
        """See `DescentEngine.start`."""
        return self.descent.start(columns, outputs, dtype, weights, updates=updates)

    def rows_left(self, updates: int, state: State) -> int:
        """See `Engine.rows_left`; rows of this process, where it has its own."""
        return self.descent.rows_left(updates, state)

    def weights(self, state: State) -> np.ndarray:
        """See `Engine.weights`."""
        return self.descent.weights(state)

    def penalise(self, weights: np.ndarray) -> float:
        """See `LinearEngine.penalise`."""
        return self.descent.penalise(weights)

    def measure(self, source: TrainingSource, weights: np.ndarray) -> float:
        """See `Engine.measure`. Of rows that are shared, each process measures its own."""
        if not isinstance(source, Shared):
            return self.descent.measure(source, weights)
        own = source.own
        mean = together(self.processes, lambda: self.descent.measure(own, weights) if own.n_rows else 0.0)
        return float(self.processes.sum(np.array([mean * own.n_rows]))[0]) / source.n_rows

    def exploded(self, source: TrainingSource, state: State) -> bool:
        """See `Engine.exploded`."""
        return has_exploded(self, source, state)

    def divergence(self, source: TrainingSource, state: State) -> DivergenceError:
        """See `Engine.divergence`."""
        rows = rows_from(source)
        return told_by_first(self.processes, lambda: self.descent.divergence(rows, state))


def rows_from(source: TrainingSource) -> TrainingSource:
    """Rows as a process without others sees them: its own, where they are shared."""
    return source.own if isinstance(source, Shared) else source


def rows_in_turn(source: TrainingSource) -> int:
    """Of how many rows the updates of an epoch come one after the other: of all; or, where they are shared, of the most."""
    return source.most_rows if isinstance(source, Shared) else source.n_rows
