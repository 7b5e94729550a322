"""From a choice to a run: a method says which engine begins, and how it is trained.

::

    solver ──▶ method ──▶ solve ──▶ run, and why it ended
    which      engine     state,
    and why    and loop   monitors
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from fallline.data.order import Order
from fallline.data.rows import TrainingSource
from fallline.engines.base import Engine
from fallline.engines.choice import Solver
from fallline.engines.together import joining
from fallline.engines.work import work_a_row
from fallline.loop import train
from fallline.monitors.base import Monitor, Run
from fallline.parallel.alone import Alone
from fallline.state import State, Stop
from fallline.tuning.alpha import Penalised
from fallline.tuning.solving import SolverFor, train_solving
from fallline.tuning.training import train_tuned
from fallline.tuning.trials import EngineFor

__all__ = ["Method", "descending", "plain", "rated", "solve", "solving"]


class Method(NamedTuple):
    """How a model is to be trained.

    Parameters
    ----------
    engine : Engine
        The one that training begins with, and that makes the state to begin from.
    epochs : int
        Passes over the rows at most, those already in the state included.
    choice : dict
        What was chosen and why, for the state's notes.
    train : callable
        Takes a run and its monitors, trains, and says why it ended.
    """

    engine: Any
    epochs: int
    choice: dict[str, str]
    train: Callable[[Run, Sequence[Monitor]], Stop]


def plain(engine: Engine, epochs: int, choice: dict[str, str]) -> Method:
    """With an engine of which nothing has to be found out."""
    return Method(engine, epochs, choice, train)


def solving(
    solver_for: SolverFor,
    alpha: float,
    source: TrainingSource,
    epochs: int,
    choice: dict[str, str],
    mean_weight: float = 1.0,
) -> Method:
    """By a solver whose alpha is looked for, or is this one where it is not worth it; see `train_solving`."""
    tuned = partial(train_solving, solver_for=solver_for, mean_weight=mean_weight)
    return Method(solver_for(alpha, source, None), epochs, choice, tuned)


def rated(
    engine_for: EngineFor,
    epochs: int,
    choice: dict[str, str],
    rate: float | None,
    batch_size: int,
    processes: Alone = Alone(),
    penalised: Penalised | None = None,
    mean_weight: float = 1.0,
) -> Method:
    """With engines of any kind and batches of so many rows, at a rate that is looked for where it is None; see `train_tuned`."""
    tuned = partial(
        train_tuned,
        engine_for=engine_for,
        rate=rate,
        batch_size=batch_size,
        penalised=penalised,
        mean_weight=mean_weight,
        joined=lambda engine: engine.joined(processes),
    )
    return Method(engine_for(1.0 if rate is None else rate, batch_size, epochs), epochs, choice, tuned)


def descending(
    solver: Solver,
    engine_for: EngineFor,
    epochs: int,
    *,
    source: TrainingSource,
    outputs: int,
    rate: float | None,
    batch_size: int | None,
    processes: Alone = Alone(),
    sync_every: int | None = None,
    penalised: Penalised | None = None,
    mean_weight: float = 1.0,
) -> Method:
    """By descent on a linear model; see `train_tuned` for the rate and the batch size, looked for where they are None, and alpha.

    Many processes descend together, and meet every so many updates; see `joining`.
    """
    begin: Any = engine_for(1.0, 1, epochs)
    tuned = partial(
        train_tuned,
        engine_for=engine_for,
        rate=rate,
        batch_size=batch_size,
        cost=work_a_row(source, outputs, begin.optimizer),
        penalised=penalised,
        mean_weight=mean_weight,
        joined=joining(source, outputs, processes, sync_every),
    )
    return Method(begin, epochs, solver.note(), tuned)


def solve(
    method: Method,
    state: State,
    source: TrainingSource,
    order: Order,
    monitors: Sequence[Monitor],
    processes: Alone = Alone(),
    saved: tuple[State, Stop | None] | None = None,
) -> tuple[Run, Stop]:
    """Train by a method from a state on, together with other processes if there are any; the run, and why it ended.

    `saved` is a later state to go on from, and why training ended if it has; that is not to be done twice.
    """
    run = Run(method.engine, source, order, state, method.epochs, processes=processes)
    if saved is not None:
        run.begun, (run.state, run.ended) = state, saved
    run.state.notes["choice"] = method.choice
    return run, method.train(run, monitors)
