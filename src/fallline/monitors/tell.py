"""Telling a listener how far training is."""

from __future__ import annotations

from collections.abc import Callable

from fallline.monitors.base import Monitor

__all__ = ["Tell"]


class Tell(Monitor):
    """Tells a function the share of the work that is done, and what is being done, after every block.

    Parameters
    ----------
    listener : callable
        Takes a number from 0 to 1 and a text.
    """

    def __init__(self, listener: Callable[[float, str], None]):
        self.listener = listener

    def after_block(self, run):
        state, n = run.state, run.source.n_rows
        share = min((state.epoch + state.position / n) / run.epochs, 1.0)
        loss = state.loss_sum / max(state.position, 1)
        speed = state.rows / max(state.seconds, 1e-9)
        self.listener(
            share, f"training: epoch {state.epoch + 1} of {run.epochs}, loss {loss:.5g}, {speed:,.0f} rows/s"
        )
