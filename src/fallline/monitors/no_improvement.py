"""Stopping, or lowering the rate, when nothing improves any more."""

from __future__ import annotations

import math

from fallline.monitors.base import Monitor
from fallline.state import Stop

__all__ = ["NoImprovement"]


class NoImprovement(Monitor):
    """Stops when a quantity of the epochs' records has not improved for some epochs running.

    Parameters
    ----------
    quantity : str
        A column of the history: "objective", "validation_loss" or "validation_score"; scores are to rise, all else to fall.
    tolerance : float or None
        An epoch improves on the best so far by at least this much, or does not count; None where any improvement counts.
    epochs : int
        How many epochs without improvement to wait for.
    lower_rate : bool
        Instead of stopping, divide the learning rate by 5, until it is below 1e-6 (scikit-learn's "adaptive").
    """

    def __init__(self, quantity: str, tolerance: float | None, epochs: int, *, lower_rate: bool = False):
        self.quantity = quantity
        self.sign = -1.0 if quantity.endswith("score") else 1.0
        self.tolerance = tolerance
        self.epochs = epochs
        self.lower_rate = lower_rate

    def after_epoch(self, run):
        current = self.sign * run.record[self.quantity]
        note = run.state.note("no_improvement", best=math.inf, epochs=0)
        best = note["best"]
        improved = current < best if self.tolerance is None else current <= best - self.tolerance
        note["epochs"] = 0 if improved else note["epochs"] + 1
        note["best"] = min(note["best"], current)
        if note["epochs"] < self.epochs:
            return None
        if self.lower_rate and run.state.rate > 1e-6:
            run.state.rate_factor /= 5.0
            note["epochs"] = 0
            return None
        what = self.quantity.replace("_", " ")
        little = "did not improve" if self.tolerance is None else f"improved by less than {self.tolerance:g}"
        message = f"the {what} {little} in each of {self.epochs} epochs running"
        return Stop("early_stopping" if self.quantity.startswith("validation") else "converged", message)
