"""The loop. For each block: sweep it, note what happened, ask the monitors.

It knows no loss, no file format and no device, and where many processes train together, only that what a monitor says on one
of them holds for all. Everything that changes is in the state, so a run that is given a state from earlier goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack

from fallline.monitors.base import Monitor, Run
from fallline.state import Stop

__all__ = ["train"]

_ALL_EPOCHS = Stop("epochs", "all epochs asked for were made")
_ALL_UPDATES = Stop("updates", "all updates asked for were made")


def train(run: Run, monitors: Sequence[Monitor] = ()) -> Stop:
    """Train until the epochs or updates asked for are made, or the engine or a monitor says stop.

    Parameters
    ----------
    run : Run
        Engine, source, order, limits, and the state, which is changed in place.
    monitors : sequence of Monitor
        Asked in this order after every block and every epoch; the first to give a reason ends the run.

    Returns
    -------
    Stop
        Why training ended.

    Raises
    ------
    NonFiniteError
        If the data hold NaN or infinity.
    StateError
        If the state belongs to another engine or other data.
    DivergenceError
        If the loss or the weights became non-finite on finite data.
    """
    run.engine.require(run.state, run.source)
    with ExitStack() as stack:
        for monitor in monitors:
            stack.enter_context(monitor.watching(run))
        stop = run.ended
        while stop is None:
            stop = _epoch(run, monitors) if run.state.epoch < run.epochs else _ALL_EPOCHS
            for monitor in monitors if stop is None else ():
                monitor.before_epoch(run)
        for monitor in monitors:
            monitor.finish(run, stop)
    return stop


def _epoch(run, monitors):
    """What is left of the epoch under way; then why to stop, or None."""
    state, source, stop = run.state, run.source, None
    began = time.perf_counter()
    order = run.engine.order(run.order, state)
    for block, position in source.blocks(order, state.epoch, state.position, run.block_rows):
        sums = run.engine.sweep(block, state, last=position == source.n_rows)
        if not sums.finite:
            source.require_finite(block.rows)
            raise run.engine.divergence(source, state)
        state.advance(sums, position, time.perf_counter() - began)
        said = _first([monitor.after_block(run) for monitor in monitors])
        began = time.perf_counter()
        stop = run.processes.agreed(said)
        if stop is None and run.updates_left == 0:
            stop = _ALL_UPDATES
        if stop is not None:
            break
    if state.position < source.n_rows:
        return stop
    state.end_epoch(run.engine.penalty_met(state), source.n_rows)
    finished = run.engine.finished(state)
    said = run.processes.agreed(_first([monitor.after_epoch(run) for monitor in monitors]))
    return _first([stop, finished, said])


def _first(stops):
    """The first reason given, if any; all monitors are asked before, so that none misses a block or an epoch."""
    return next((stop for stop in stops if stop is not None), None)
