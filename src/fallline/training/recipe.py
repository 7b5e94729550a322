"""How to train: from what was given to typed values, once it is known how many rows and classes there are."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fallline.data.rows import TrainingSource
from fallline.engines.choice import Solver, choose_solver, solver_engine
from fallline.engines.descent import DescentEngine
from fallline.engines.linear import LinearEngine
from fallline.objective.domains import CLASSES
from fallline.objective.losses import LOSSES, OneVersusRest
from fallline.settings import (
    integer,
    is_auto,
    make_loss,
    make_optimizer,
    make_penalty,
    make_schedule,
    number,
    rows_per_batch,
    takes_rate,
)
from fallline.tuning import EngineFor, passes_for

__all__ = ["Recipe", "class_loss", "regression_loss", "task_for"]

# Passes of a solver that says itself when it is there.
_MOST_PASSES = 100
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


class Recipe(NamedTuple):
    """What was given; see `fallline.train`."""

    penalty: str | None
    alpha: float | None
    l1_ratio: float
    solver: Any
    optimizer: Any
    learning_rate: float | str
    schedule: Any
    batch_size: float | str
    epochs: int | None

    def check(self) -> None:
        """Raise `ParameterError` for what cannot be used, before any work is done."""
        loss = LOSSES["log_loss"]()
        solver = self.solver_for(loss, 10, 1)
        make_penalty(self.penalty, self.alpha_for(1000), self.l1_ratio)
        self.epochs_for(1000, solver)
        if solver.name == "descent":
            self.engine_for(loss, 1000, solver)(self.rate or 1.0, self.batch_size_for(1000) or 1, 1)

    def solver_for(self, loss: Any, columns: int, outputs: int) -> Solver:
        """Which solver, and why."""
        usual = {"learning_rate": "auto", "schedule": None, "batch_size": "auto"}
        given = [name for name, value in usual.items() if getattr(self, name) != value]
        return choose_solver(self.solver, self.optimizer, given, loss, columns, outputs)

    def alpha_for(self, rows: int) -> float:
        """Strength of the penalty for so many rows."""
        return 1.0 / rows if self.alpha is None else number("alpha", self.alpha, at_least=0)

    def epochs_for(self, rows: int, solver: Solver) -> int:
        """Passes over so many rows, at most."""
        usual = passes_for(rows) if solver.name == "descent" else _MOST_PASSES
        return usual if self.epochs is None else integer("epochs", self.epochs)

    @property
    def schedule_or_usual(self) -> Any:
        """How the rate of descent develops."""
        return "cosine" if self.schedule is None else self.schedule

    def batch_size_for(self, rows: int) -> int | None:
        """Rows an update sees; None where that is to be found out."""
        return None if is_auto(self.batch_size) else rows_per_batch(self.batch_size, rows)

    @property
    def rate(self) -> float | None:
        """The highest rate; None where that is to be found out. A schedule that names no rate of its own has nothing to find."""
        if not is_auto(self.learning_rate):
            return number("learning_rate", self.learning_rate, above=0)
        return None if takes_rate(self.schedule_or_usual) else 1.0

    def solving(self, loss: Any, source: TrainingSource, solver: Solver) -> LinearEngine:
        """The engine of a solver that needs no rate, for a loss and the rows of a source."""
        penalty = make_penalty(self.penalty, self.alpha_for(source.n_rows), self.l1_ratio)
        return solver_engine(solver.name, loss, penalty, source)

    def engine_for(self, loss: Any, rows: int, solver: Solver) -> EngineFor:
        """What makes the engine of descent for a loss and so many rows, from rate, batch size and updates."""
        alpha, epochs = self.alpha_for(rows), self.epochs_for(rows, solver)
        optimizer = make_optimizer("adam" if solver.optimizer is None else solver.optimizer)
        penalty = make_penalty(self.penalty, alpha, self.l1_ratio)
        given = {**_SCHEDULE_PARAMETERS, "alpha": alpha}

        def engine(rate, batch_size, updates):
            schedule = make_schedule(
                self.schedule_or_usual, loss, {**given, "eta0": rate}, epochs, updates / epochs
            )
            return DescentEngine(loss, optimizer, schedule, batch_size, penalty)

        return engine
