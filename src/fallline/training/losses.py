"""Which loss, and which task it is for."""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.data.encoder import Encoder
from fallline.objective.domains import CLASSES
from fallline.objective.losses import LOSSES, OneVersusRest
from fallline.settings import make_loss

__all__ = ["class_loss", "loss_for", "n_outputs", "regression_loss", "task_for"]

_PARAMETERS = {"epsilon": 0.1, "quantile": 0.5, "power": 1.5}


def task_for(task: str | None, loss: Any) -> str | None:
    """The task that was asked for, also by asking for a loss; None if neither says."""
    if task is not None:
        # Whether classes are two or more need not be said.
        return "multiclass" if task == "classification" else task
    asked = LOSSES[loss]() if loss in LOSSES else loss
    if type(asked) not in LOSSES.values():
        return None
    return "multiclass" if asked.domain.classes else "regression"


def regression_loss(loss: Any) -> Any:
    """A loss for numbers, from its name; by default the squared error."""
    return make_loss(loss or "squared_error", _PARAMETERS, lambda kind: not kind.domain.classes)


def class_loss(loss: Any, n_classes: int) -> Any:
    """A loss for so many classes; one of margins is taken one class against the rest where there are more than two."""
    usual = "log_loss" if n_classes == 2 else "multinomial"
    found = make_loss(loss or usual, _PARAMETERS, lambda kind: kind.domain.classes)
    if n_classes == 2:
        return LOSSES["log_loss"]() if found.domain == CLASSES else found
    return found if found.domain == CLASSES else OneVersusRest(found, np.ones(n_classes))


def loss_for(loss: Any, encoder: Encoder) -> Any:
    """A loss for what an encoder predicts."""
    return class_loss(loss, len(encoder.classes)) if encoder.classes else regression_loss(loss)


def n_outputs(encoder: Encoder) -> int:
    """How many scores a row has."""
    return len(encoder.classes or ()) if encoder.task == "multiclass" else 1
