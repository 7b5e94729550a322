"""A run by a solver, of which nothing but the strength of the penalty need be known."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from fallline.data.rows import TrainingSource
from fallline.engines.linear import OptimumEngine
from fallline.loop import train
from fallline.monitors.base import Monitor, Run
from fallline.state import Stop
from fallline.tuning.alpha import found_alpha
from fallline.tuning.recovery import FOUND

__all__ = ["SolverFor", "train_solving"]

SolverFor = Callable[[float, TrainingSource, float | None], OptimumEngine]
"""From alpha, rows and a tolerance, or None for the usual one, to the engine that trains on them."""

# To tell values of alpha apart, no optimum is needed.
_ROUGHLY = 1e-3


def train_solving(
    run: Run, monitors: Sequence[Monitor] = (), *, solver_for: SolverFor, mean_weight: float = 1.0
) -> Stop:
    """Find alpha, note it in the state, and train with it; see `found_alpha` for when none is looked for.

    Parameters
    ----------
    run : Run
        Its engine and its state are replaced by those of the alpha found.
    monitors : sequence of Monitor
    solver_for : callable
    mean_weight : float
        See `choose_alpha`.

    Returns
    -------
    Stop
        Why training ended.
    """
    began = time.perf_counter()
    outputs = len(run.state.memory.weights)

    def begin(alpha, rows, tolerance=_ROUGHLY):
        engine = solver_for(alpha, rows, tolerance)
        return engine, engine.start(rows.n_columns, outputs, rows.dtype)

    alpha = found_alpha(run, monitors, begin, mean_weight=mean_weight)
    if alpha is not None and run.state.rows:
        run.engine = solver_for(alpha, run.source, None)
    elif alpha is not None:
        found = {name: note for name, note in run.state.notes.items() if name in FOUND}
        run.engine, run.state = begin(alpha, run.source, None)
        run.state.notes |= found
    run.tuning_seconds = time.perf_counter() - began
    return train(run, monitors)
