"""Loss and score on rows that are not trained on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fallline.data.rows import TrainingSource
from fallline.monitors.base import Monitor

__all__ = ["Validation"]


class Validation(Monitor):
    """Adds "validation_loss", and "validation_score" where a function of the weights gives one, to each epoch's record."""

    def __init__(self, source: TrainingSource, score: Callable[[Any], float] | None = None):
        self.source = source
        self.score = score

    def after_epoch(self, run):
        run.record["validation_loss"] = run.engine.measure(self.source, run.weights)
        if self.score is not None:
            run.record["validation_score"] = self.score(run.weights)
