"""The strength of a penalty, by what becomes of rows that were held out.

A network can follow the rows that it is trained on further than is good for others, and their objective does not tell. How
strong a penalty has to be against that differs from one table to another by a factor of hundreds.

1. Of at most 10,000 rows, a quarter judges, and the others train: as many passes as the run to come makes. Of fewer than 2,000
   rows, there are two such divisions, and their mean counts.
2. Strengths go up from 1 / rows, by a factor of five: three at the least, and on for as long as the loss on the rows held out
   falls.
3. The best is scaled to the rows of the run to come: a penalty weighs against the sum over the rows, not against their mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from fallline.data.order import Order
from fallline.data.rows import TrainingSource
from fallline.engines.base import Engine
from fallline.errors import DivergenceError
from fallline.loop import train
from fallline.monitors.base import Run
from fallline.state import State
from fallline.tuning.trials import EngineFor, drawn

__all__ = ["Penalised", "choose_strength"]

Penalised = Callable[[float], EngineFor]
"""From a strength of the penalty to what makes the engines."""

_ROWS, _JUDGED_SHARE = 10_000, 4
# Rows that should judge, in all divisions together; and how many divisions there are at most.
_JUDGED, _DIVISIONS = 500, 2
_STRIDE, _FEWEST, _MOST = 5.0, 3, 5


def choose_strength(
    penalised: Penalised,
    state: State,
    source: TrainingSource,
    seed: int,
    *,
    rate: float,
    batch_size: int,
    epochs: int,
) -> dict[str, Any]:
    """The strength to train with, as a note for the state.

    Parameters
    ----------
    penalised : callable
    state : State
        Where training will begin; it is left as it is.
    source : TrainingSource
    seed : int
        Chooses the rows, and the orders they are visited in.
    rate : float
    batch_size, epochs : int
        Those of the run to come.

    Returns
    -------
    dict
        "value", "reason", and "tried": what came of each strength. The same for the same data, state, seed and settings.

    Raises
    ------
    NonFiniteError
        If the data hold NaN or infinity.
    """
    taken = min(_ROWS, source.n_rows)
    judged = taken // _JUDGED_SHARE
    divisions = min(_DIVISIONS, math.ceil(_JUDGED / max(judged, 1)))
    rows = [
        drawn(penalised(0.0)(rate, batch_size, 1), source, seed + place, taken) for place in range(divisions)
    ]
    lose = partial(_loss, penalised, state, rows, judged, Order(seed), rate, batch_size, epochs)
    tried: dict[float, float] = {}
    best = strength = 1.0
    while len(tried) < _FEWEST or (len(tried) < _MOST and best == strength):  # (2)
        strength = _STRIDE ** len(tried)
        tried[strength] = lose(strength)  # (1)
        best = min(tried, key=tried.__getitem__)
    return {
        "value": best / source.n_rows,  # (3)
        "reason": f"the loss on rows held out, {divisions * judged:,} of them, after training with {len(tried)} strengths",
        "tried": [
            {"alpha": strength / source.n_rows, "loss": loss if math.isfinite(loss) else None}
            for strength, loss in tried.items()
        ],
    }


def _loss(penalised, state, divisions, judged, order, rate, batch_size, epochs, strength):
    """The mean loss on rows held out, after training on the others; infinite where that diverged."""
    return sum(
        _held_out(penalised, state, rows, judged, order, rate, batch_size, epochs, strength)
        for rows in divisions
    ) / len(divisions)


def _held_out(penalised, state, rows, judged, order, rate, batch_size, epochs, strength):
    n = rows.n_rows - judged
    size = min(batch_size, n)
    engine: Engine = penalised(strength / n)(rate, size, epochs * math.ceil(n / size)).replica()
    if 0 < n % size < engine.least_rows:
        n -= n % size
    copied = engine.branched(state)
    try:
        train(Run(engine, rows.part(judged, judged + n), order, copied, epochs))
    except DivergenceError:
        return math.inf
    return engine.measure(rows.part(0, judged), engine.weights(copied))
