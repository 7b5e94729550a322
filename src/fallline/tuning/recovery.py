"""Training that does not end in divergence."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from fallline.engines.base import Engine
from fallline.errors import DivergenceError
from fallline.loop import train
from fallline.monitors.base import Monitor, Run
from fallline.state import State, Stop

__all__ = ["ALPHA", "BATCH_SIZE", "FOUND", "LEARNING_RATE", "train_recovering"]

LEARNING_RATE = "learning_rate"
"""The note of the state that `probe_rate` leaves; its "value" is the rate that training is under way with."""

BATCH_SIZE = "batch_size"
"""The note of the state that `choose_batch_size` leaves; see `LEARNING_RATE`."""

ALPHA = "alpha"
"""The note of the state that `choose_alpha` leaves; see `LEARNING_RATE`."""

FOUND = ("choice", BATCH_SIZE, LEARNING_RATE, ALPHA)
"""Notes of a state that stay where training begins anew."""

_RESTARTS = 3
# By how much of it the loss is higher than at the beginning.
_WORSE = 0.1


def train_recovering(
    run: Run, engine_at: Callable[[float], Engine], monitors: Sequence[Monitor] = ()
) -> Stop:
    """Train with the rate that was found; if that diverges, begin anew with a tenth of it.

    A probe sees a sample of the rows. Where a few others are far larger, its rate may be too high for them. Then the state is put
    back to where it was, and what happened is noted in it. Only if a thousandth of the rate diverges, too, that is an error.

    Parameters
    ----------
    run : Run
        Its engine is replaced by that of the rate in the notes; its state is replaced if training begins anew.
    engine_at : callable
        From a rate to the engine to train with.
    monitors : sequence of Monitor

    Returns
    -------
    Stop
        Why training ended.

    Raises
    ------
    NonFiniteError
        If the data hold NaN or infinity.
    DivergenceError
        If there is no rate that training does not diverge with.
    """
    while True:
        begin = _beginning(run)
        note = begin.notes[LEARNING_RATE]
        last = len(note["restarts"]) == _RESTARTS
        run.engine = engine_at(note["value"])
        try:
            stop = train(run, monitors)
            if last or not _failed(run, begin, stop):
                return stop
        except DivergenceError:
            if last:
                raise
        _begin_anew(run, begin)


def _beginning(run: Run) -> State:
    """A copy of the state that training began with, which the run may be past; with what has been looked for and found since."""
    begin = run.engine.kept(run.state if run.begun is None else run.begun)
    begin.notes.update(
        {name: copy.deepcopy(run.state.notes[name]) for name in FOUND if name in run.state.notes}
    )
    return begin


def _failed(run: Run, begin: State, stop: Stop) -> bool:
    """Whether the weights at the end, though finite, are clearly worse than those that training began with."""
    if stop.reason in {"interrupted", "time_limit"} or not run.state.history:
        return False
    if run.engine.exploded(run.source, run.state):
        return True
    # Of later parts of the data, the losses before any update are not known.
    start, loss = begin.notes[LEARNING_RATE]["start"], run.state.history[-1]["loss"]
    if begin.rows or not _worse(loss, start):
        return False
    # The start was measured on some of the rows. Others may weigh more.
    return _worse(loss, run.engine.measure(run.source, run.engine.weights(begin)))


def _worse(loss, start):
    return loss > start + _WORSE * abs(start)


def _begin_anew(run: Run, begin: State) -> None:
    """Put the state back; note what happened, and a tenth of the rate."""
    note = begin.notes[LEARNING_RATE]
    note["restarts"].append({"rate": note["value"], "updates": run.state.updates})
    note["reason"] += (
        f"; at {note['value']:.3g} training diverged by update {run.state.updates:,} and began anew with a tenth"
    )
    note["value"] /= 10
    run.state = begin
