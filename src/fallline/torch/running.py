"""Who watches the training of a module, from where it goes on, and how it ends."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fallline.engines.module.engine import ModuleEngine
from fallline.errors import InterruptedWarning
from fallline.history import History
from fallline.monitors.base import Monitor, Run
from fallline.monitors.checkpoint import Checkpoint, gone_on_from
from fallline.monitors.interrupt import Interrupt
from fallline.monitors.keep_best import KeepBest
from fallline.monitors.long_epochs import LongEpochs
from fallline.monitors.no_improvement import NoImprovement
from fallline.monitors.progress import Progress
from fallline.monitors.tell import Tell
from fallline.monitors.validation import Validation
from fallline.parallel import told_by_first
from fallline.state import Stop
from fallline.torch.data import Data
from fallline.torch.scores import make_score

__all__ = ["ended", "trained", "watching"]


def watching(
    engine: ModuleEngine,
    judging: Data | None,
    metric: Any,
    patience: int | None,
    limits: Sequence[Monitor],
    progress: Any,
) -> list[Monitor]:
    """Who watches, in this order."""
    judges, quantity = [], "objective"
    if judging is not None:
        judges = [Validation(judging, make_score(metric, engine, judging))]
        quantity = "validation_loss" if metric is None else "validation_score"
    patient = [] if patience is None else [KeepBest(quantity), NoImprovement(quantity, None, patience)]
    shown = Tell(progress) if callable(progress) else Progress(progress)
    return [LongEpochs(), *judges, *patient, *limits, Interrupt(), shown]


def trained(
    run: Run,
    descend: Callable[..., Stop],
    monitors: Sequence[Monitor],
    checkpoint: str | os.PathLike | None,
    marks: Mapping[str, str],
) -> Stop:
    """Train, from a checkpoint on if there is one; why it ended."""
    if checkpoint is None:
        return descend(run, monitors=monitors)
    found = told_by_first(run.processes, lambda: gone_on_from(checkpoint, marks))
    if found is not None:
        state, end = found
        goes_on = end is not None and end.reason == "epochs"  # more of them may be asked for by now
        run.begun, run.state, run.ended = run.state, state, None if goes_on else end
    return descend(run, monitors=[*monitors, Checkpoint(checkpoint, marks)])


def ended(run: Run, stop: Stop, patience: int | None, encoder: Any) -> History:
    """The history; the module with its best weights, where it was waited for better ones."""
    state = run.state
    best = patience is not None and state.best is not None
    if best:
        engine: Any = run.engine
        engine.put(state.best)
    if stop.reason == "interrupted":
        weights = "the weights of its best epoch" if best else f"the weights of update {state.updates}"
        warnings.warn(
            f"Training was interrupted in epoch {state.epoch + 1} of {run.epochs}; the module has {weights}.",
            InterruptedWarning,
            stacklevel=3,
        )
    return History(state.history, stop, state.notes, encoder)
