"""Keeping the best weights."""

from __future__ import annotations

import math

from fallline.monitors.base import Monitor

__all__ = ["KeepBest"]


class KeepBest(Monitor):
    """Keeps the weights of the epoch with the best value of a quantity in `state.best`.

    Parameters
    ----------
    quantity : str
        A column of the history; scores are to rise, all else to fall.
    """

    def __init__(self, quantity: str):
        self.quantity = quantity
        self.sign = -1.0 if quantity.endswith("score") else 1.0

    def after_epoch(self, run):
        current = self.sign * run.record[self.quantity]
        note = run.state.note("keep_best", best=math.inf)
        if current < note["best"]:
            note["best"] = current
            run.state.best = run.engine.copied(run.weights)
