"""The strength of a penalty, alpha, by what becomes of rows that are held out.

A model with many weights can follow the rows that it is trained on further than is good for others, and their objective does not
tell. How strong a penalty has to be against that differs from one table to another by a factor of hundreds.

1. Of at most 10,000 rows, a quarter judges, and the others train: as many passes as the run to come makes; of fewer rows where
   it makes very many. Where fewer than 500 rows would judge, there are two such divisions, and their mean counts.
2. Alpha goes up from 1 / rows, by a factor of five: three times at the least, and on for as long as the loss on the rows held out
   falls.
3. The best is scaled to the rows of the run to come: a penalty weighs against the sum over the rows, not against their mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fallline.data.order import Order
from fallline.data.rows import TrainingSource
from fallline.engines.base import Engine
from fallline.engines.together import rows_from, rows_in_turn
from fallline.monitors.base import Monitor, Run
from fallline.monitors.time_limit import TimeLimit
from fallline.parallel.agreeing import told_by_first
from fallline.state import State
from fallline.tuning.recovery import ALPHA
from fallline.tuning.trials import EngineFor, descended, drawn, whole_batches

__all__ = ["Begin", "Penalised", "choose_alpha", "found_alpha"]

Penalised = Callable[[float], EngineFor]
"""From alpha to what makes the engines."""

Begin = Callable[[float, TrainingSource], tuple[Engine, State]]
"""From alpha and rows to an engine that trains on them, and a state to train from, which is its own."""

_ROWS, _PARTS = 10_000, 4
# Visits to rows after which no more rows are taken, unless there would be very few.
_VISITS, _FEW = 1_000_000, 1000
# Fewer rows say nothing of it; and what makes more passes than these over the fewest rows takes longer than it is worth.
_LEAST_ROWS, _MOST_EPOCHS = 100, _VISITS // _FEW
# Rows that should judge, in all divisions together.
_JUDGED = 500
_STRIDE, _FEWEST, _MOST = 5.0, 3, 5


class _Division(NamedTuple):
    """Some rows in two parts."""

    training: Any
    judging: Any
    order: Order


def choose_alpha(
    begin: Begin,
    engine: Engine,
    source: TrainingSource,
    seed: int,
    *,
    rows: int,
    mean_weight: float = 1.0,
    batch_size: int = 1,
    epochs: int,
) -> dict[str, Any]:
    """The alpha to train with, as a note for the state.

    Parameters
    ----------
    begin : callable
    engine : Engine
        Of the kind that will train.
    source : TrainingSource
        Of four rows at the least.
    seed : int
        Chooses the rows, and the orders they are visited in.
    rows : int
        Those of the run to come.
    mean_weight : float
        Of a row: what alpha times rows is at the least.
    batch_size, epochs : int
        Those of the run to come.

    Returns
    -------
    dict
        "value", "reason", and "tried": what came of each. The same for the same data, state, seed and settings.

    Raises
    ------
    NonFiniteError
        If the data hold NaN or infinity.
    """
    most = min(_ROWS, max(_VISITS // epochs, _FEW))
    divisions = _divisions(engine, source, seed, most, batch_size)

    def loss(factor):
        """With alpha as so many times the least; infinite where training diverged."""
        found = [
            _held_out(begin, part, factor * mean_weight / part.training.n_rows, epochs) for part in divisions
        ]
        return sum(found) / len(found)

    tried: dict[float, float] = {}
    best = factor = 1.0
    while len(tried) < _FEWEST or (len(tried) < _MOST and best == factor):  # (2)
        factor = _STRIDE ** len(tried)
        tried[factor] = loss(factor)
        best = min(tried, key=tried.__getitem__)
    judged = sum(part.judging.n_rows for part in divisions)
    return {
        "value": best * mean_weight / rows,  # (3)
        "reason": f"the loss on rows held out, {judged:,} of them, after training with {len(tried)} values",
        "tried": [
            {"alpha": factor * mean_weight / rows, "loss": loss if math.isfinite(loss) else None}
            for factor, loss in tried.items()
        ],
    }


def found_alpha(
    run: Run,
    monitors: Sequence[Monitor],
    begin: Begin,
    *,
    mean_weight: float = 1.0,
    batch_size: int = 1,
) -> float | None:
    """The alpha of the run's notes, looked for and noted if there is none; see `choose_alpha`.

    None where nothing is to be looked for: time is limited, rows are few, passes very many, or training has begun with another.
    """
    notes, source = run.state.notes, run.source
    limited = any(isinstance(monitor, TimeLimit) for monitor in monitors)
    worth = rows_in_turn(source) >= _LEAST_ROWS and run.epochs <= _MOST_EPOCHS
    if ALPHA not in notes and worth and not limited and not run.state.rows:
        notes[ALPHA] = told_by_first(
            run.processes,
            lambda: choose_alpha(
                begin,
                run.engine,
                rows_from(source),
                run.order.seed,
                rows=source.n_rows,
                mean_weight=mean_weight,
                batch_size=batch_size,
                epochs=run.epochs,
            ),
        )
    return notes[ALPHA]["value"] if ALPHA in notes else None


def _divisions(
    engine: Engine, source: TrainingSource, seed: int, most: int, batch_size: int
) -> list[_Division]:
    """(1), of so many rows at most, given an engine of the kind that will train."""
    divisions: list[_Division] = []
    while len(divisions) < 2 and sum(part.judging.n_rows for part in divisions) < _JUDGED:
        number = seed + len(divisions)
        rows = drawn(engine, source, number, most)
        judged = rows.n_rows // _PARTS
        end = judged + whole_batches(rows.n_rows - judged, batch_size, engine.least_rows)
        divisions.append(_Division(rows.part(judged, end), rows.part(0, judged), Order(number)))
    return divisions


def _held_out(begin, division, alpha, epochs):
    """The loss on the rows that judge, after training on the others."""
    engine, state = begin(alpha, division.training)
    finite = descended(engine, state, division.training, division.order, epochs)
    return engine.measure(division.judging, engine.weights(state)) if finite else math.inf
