"""How to descend: from what was given to typed values, once it is known how many rows and classes there are."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fallline.data.rows import TrainingSource
from fallline.engines.descent import DescentEngine
from fallline.objective.domains import CLASSES
from fallline.objective.losses import LOSSES, OneVersusRest
from fallline.settings import (
    integer,
    make_loss,
    make_optimizer,
    make_penalty,
    make_schedule,
    number,
    rows_per_batch,
)

__all__ = ["Extent", "Recipe", "class_loss", "regression_loss", "task_for"]

# As many epochs as make so many visits to rows, within limits: small data need many passes, large ones few.
_ROW_VISITS = 4_000_000
_FEWEST_EPOCHS, _MOST_EPOCHS = 5, 100
# Enough rows for a batch to be quick; more where an update, which visits all coefficients, would take longer than its gradient,
# which visits what is not zero; and enough batches for an epoch to come somewhere.
_ROWS_A_BATCH, _MOST_ROWS_A_BATCH, _BATCHES_AN_EPOCH = 128, 1024, 32

_LOSS_PARAMETERS = {"epsilon": 0.1, "quantile": 0.5, "power": 1.5}
_SCHEDULE_PARAMETERS = {"power_t": 0.25, "decay": 0.1, "decay_epochs": 10, "warmup": None}


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
    return make_loss(loss or "squared_error", _LOSS_PARAMETERS, lambda kind: not kind.domain.classes)


def class_loss(loss: Any, n_classes: int) -> Any:
    """A loss for so many classes; one of margins is taken one class against the rest where there are more than two."""
    usual = "log_loss" if n_classes == 2 else "multinomial"
    found = make_loss(loss or usual, _LOSS_PARAMETERS, lambda kind: kind.domain.classes)
    if n_classes == 2:
        return LOSSES["log_loss"]() if found.domain == CLASSES else found
    return found if found.domain == CLASSES else OneVersusRest(found, np.ones(n_classes))


class Extent(NamedTuple):
    """How large data are.

    Parameters
    ----------
    rows, columns : int
    numbers_a_row : float
        Numbers that a row holds on average, zeros of sparse rows not counted.
    """

    rows: int
    columns: int
    numbers_a_row: float

    @classmethod
    def of(cls, source: TrainingSource) -> Extent:
        """That of a source."""
        return cls(source.n_rows, source.n_columns, source.numbers_a_row)


class Recipe(NamedTuple):
    """What was given; see `fallline.train`."""

    penalty: str | None
    alpha: float | None
    l1_ratio: float
    optimizer: Any
    learning_rate: float
    schedule: Any
    batch_size: float | str | None
    epochs: int | None

    def check(self) -> None:
        """Raise `ParameterError` for what cannot be used, before any work is done."""
        self.engine(LOSSES["log_loss"](), Extent(1000, 10, 10.0))

    def alpha_for(self, rows: int) -> float:
        """Strength of the penalty for so many rows."""
        return 1.0 / rows if self.alpha is None else number("alpha", self.alpha, at_least=0)

    def epochs_for(self, rows: int) -> int:
        """Passes over so many rows."""
        if self.epochs is not None:
            return integer("epochs", self.epochs)
        return min(max(math.ceil(_ROW_VISITS / rows), _FEWEST_EPOCHS), _MOST_EPOCHS)

    def batch_size_for(self, extent: Extent) -> int:
        """Rows an update sees."""
        if self.batch_size is not None:
            return rows_per_batch(self.batch_size, extent.rows)
        usual = _ROWS_A_BATCH
        while usual < min(extent.columns / max(extent.numbers_a_row, 1.0), _MOST_ROWS_A_BATCH):
            usual *= 2
        return max(1, min(usual, extent.rows // _BATCHES_AN_EPOCH))

    def engine(self, loss: Any, extent: Extent) -> DescentEngine:
        """The engine for a loss and data of such an extent."""
        rows = extent.rows
        batch_size, alpha = self.batch_size_for(extent), self.alpha_for(rows)
        given = {**_SCHEDULE_PARAMETERS, "eta0": self.learning_rate, "alpha": alpha}
        updates = -(-rows // batch_size)
        return DescentEngine(
            loss=loss,
            optimizer=make_optimizer(self.optimizer),
            schedule=make_schedule(self.schedule, loss, given, self.epochs_for(rows), updates),
            batch_size=batch_size,
            penalty=make_penalty(self.penalty, alpha, self.l1_ratio),
        )
