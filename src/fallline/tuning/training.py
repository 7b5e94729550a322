"""A run of which rate and batch size need not be known."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from fallline.engines.together import rows_from, rows_in_turn
from fallline.errors import ParameterError
from fallline.loop import train
from fallline.monitors.base import Monitor, Run
from fallline.objective.losses import is_least_at_zero
from fallline.parallel.agreeing import told_by_first
from fallline.state import Stop
from fallline.tuning.alpha import Penalised, found_alpha
from fallline.tuning.batch import choose_batch_size
from fallline.tuning.rate import probe_rate
from fallline.tuning.recovery import ALPHA, BATCH_SIZE, LEARNING_RATE, train_recovering
from fallline.tuning.trials import EngineFor

__all__ = ["ALPHA", "BATCH_SIZE", "LEARNING_RATE", "train_tuned"]

# Where objectives say nothing about rates and sizes: of the perceptron, only the coefficients' scale depends on the rate.
_ANY = {
    LEARNING_RATE: {
        "value": 1.0,
        "reason": "convention: the loss is least before training, whatever the rate",
    },
    BATCH_SIZE: {
        "value": 32,
        "reason": "convention: the loss is least before training, whatever the size",
    },
}


def _as_it_is(engine):
    return engine


def train_tuned(
    run: Run,
    monitors: Sequence[Monitor] = (),
    *,
    engine_for: EngineFor,
    rate: float | None,
    batch_size: int | None,
    cost: Callable[[int], float] | None = None,
    penalised: Penalised | None = None,
    mean_weight: float = 1.0,
    joined: Callable[[Any], Any] = _as_it_is,
) -> Stop:
    """Find the batch size, the rate and alpha where they are not given, note them in the state, and train.

    A state that has these notes is gone on with: nothing is looked for again, and the bits are those of a run that was never
    stopped. To give the values found, as `rate`, `batch_size` and the penalty's strength, gives the same bits, too, unless
    training began anew.

    Parameters
    ----------
    run : Run
        Its engine is replaced by the one to train with; its state is replaced if training begins anew.
    monitors : sequence of Monitor
    engine_for : EngineFor
    rate : float or None
        None to look for one, and to begin anew with a tenth of it should training diverge.
    batch_size : int or None
        None to look for one.
    cost : callable, optional
        What a row costs in batches of so many rows, where a size is looked for; see `choose_batch_size`.
    penalised : callable, optional
        Where alpha, the strength of the penalty, is looked for: from it to what makes the engines to train with. The rate is
        looked for with those of `engine_for`; and where time is limited, training is with those, too.
    mean_weight : float
        See `choose_alpha`.
    joined : callable
        Makes of an engine the one that many processes train with together. What they look for, the first finds alone.

    Returns
    -------
    Stop
        Why training ended.

    Raises
    ------
    NonFiniteError
        If the data hold NaN or infinity.
    DivergenceError
        If training diverged at the rate given, or at each that was tried.
    """
    began = time.perf_counter()
    source, rows, notes, seed = (
        rows_from(run.source),
        rows_in_turn(run.source),
        run.state.notes,
        run.order.seed,
    )
    if is_least_at_zero(run.engine.loss):
        if batch_size is None:
            batch_size = notes.setdefault(BATCH_SIZE, dict(_ANY[BATCH_SIZE]))["value"]
        if rate is None:
            rate = notes.setdefault(LEARNING_RATE, dict(_ANY[LEARNING_RATE]))["value"]
        penalised = None
    if batch_size is None:
        if cost is None:
            raise ParameterError("A batch size is looked for by what a row costs. Give cost, or batch_size.")
        if BATCH_SIZE not in notes:
            visits = run.epochs * rows
            look = partial(choose_batch_size, engine_for, run.state, source, seed, cost=cost, visits=visits)
            notes[BATCH_SIZE] = told_by_first(run.processes, lambda: look().note())
        batch_size = notes[BATCH_SIZE]["value"]
    size, updates = batch_size, run.epochs * -(-rows // batch_size)
    if rate is None and LEARNING_RATE not in notes:
        notes[LEARNING_RATE] = told_by_first(
            run.processes,
            lambda: {
                **probe_rate(engine_for, run.state, source, seed, batch_size=size, updates=updates).note(),
                "restarts": [],
            },
        )
    if penalised is not None:
        highest = notes[LEARNING_RATE]["value"] if rate is None else rate
        alpha = found_alpha(
            run,
            monitors,
            partial(_begun, run, penalised, highest, size),
            mean_weight=mean_weight,
            batch_size=size,
        )
        engine_for = engine_for if alpha is None else penalised(alpha)
    run.tuning_seconds = time.perf_counter() - began
    if rate is not None:
        run.engine = joined(engine_for(rate, size, updates))
        return train(run, monitors)
    return train_recovering(run, lambda rate: joined(engine_for(rate, size, updates)), monitors)


def _begun(run, penalised, rate, batch_size, alpha, rows):
    """An engine to try an alpha with on some rows, and a state that begins where the run does; see `Begin`."""
    size = min(batch_size, rows.n_rows)
    engine = penalised(alpha)(rate, size, run.epochs * math.ceil(rows.n_rows / size)).replica()
    return engine, engine.branched(run.state)
