"""Linear models: by a solver that needs no rate, or by descent."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fallline.data.encoder import Encoder
from fallline.data.rows import TrainingSource
from fallline.engines.choice import Solver, choose_solver, solver_engine
from fallline.engines.descent import DescentEngine
from fallline.engines.together import Averaging, Together
from fallline.errors import ParameterError
from fallline.monitors.base import Run
from fallline.objective.losses import LOSSES
from fallline.parallel.alone import Alone
from fallline.scorers import LinearScorer
from fallline.settings import (
    integer,
    is_auto,
    make_optimizer,
    make_penalty,
    make_schedule,
    number,
    rows_per_batch_or_auto,
    takes_rate,
)
from fallline.training.losses import n_outputs
from fallline.training.recipes.base import Begun
from fallline.tuning import (
    ALPHA,
    BATCH_SIZE,
    LEARNING_RATE,
    Method,
    Penalised,
    SolverFor,
    descending,
    passes_for,
    plain,
    solving,
)

__all__ = ["LinearRecipe"]

# A model with more than one coefficient for so many rows can follow them further than is good for others.
_ROWS_A_COEFFICIENT = 10
# Passes of a solver that says itself when it is there.
_MOST_PASSES = 100
# So many updates many processes make together, unless asked to do otherwise: it takes a few seconds at most.
_FEW_UPDATES = 4096


class LinearRecipe(NamedTuple):
    """What was given for a linear model; see `fallline.train`, and `Recipe` for what can be done with it."""

    penalty: str | None
    alpha: float | None
    l1_ratio: float
    solver: Any
    optimizer: Any
    learning_rate: float | str
    schedule: Any
    batch_size: float | str
    epochs: int | None
    processes: Alone = Alone()
    sync_every: int | None = None

    def check(self) -> None:
        """See `Recipe.check`."""
        loss = LOSSES["log_loss"]()
        solver = self._solver_for(loss, 10, 1)
        if self.sync_every is not None:
            integer("sync_every", self.sync_every)
        make_penalty(self.penalty, self._alpha_for(1000), self.l1_ratio)
        self._epochs_for(1000, solver)
        if solver.name == "descent":
            engine_for = self._penalised(loss, 1000, solver)(self._alpha_for(1000))
            engine_for(self._rate or 1.0, self._batch_size_for(1000) or 1, 1)

    def begin(self, loss: Any, encoder: Encoder, source: TrainingSource, seed: int) -> Begun:  # noqa: ARG002 (the run's order has it)
        """See `Recipe.begin`."""
        outputs = n_outputs(encoder)
        # A penalty weighs against the sum of the losses, each as much as its row.
        method = self._method(loss, source, outputs, encoder.mean_weight)
        state = method.engine.start(source.n_columns, outputs, np.float32)
        return Begun(
            method,
            state,
            rows=lambda source: source,
            scorer=lambda run, weights: LinearScorer(weights),  # noqa: ARG005 (see `Begun`)
            told=partial(self._told, mean_weight=encoder.mean_weight),
        )

    def divides(self, rows: int) -> bool:
        """See `Recipe.divides`. Where there are few updates, each process should not make but a part of them."""
        if self.processes.size == 1 or self.sync_every is not None:
            return self.processes.size > 1 and self.sync_every != 1
        batch_size, solver = self._batch_size_for(rows), Solver("descent", None, "")
        return batch_size is None or self._epochs_for(rows, solver) * -(-rows // batch_size) > _FEW_UPDATES

    def _told(self, run: Run, mean_weight: float) -> dict[str, Any]:
        """See `Begun`."""
        notes = run.state.notes
        choice, solved = notes["choice"], notes.get("solver", {})
        found = {name: notes[name] for name in (BATCH_SIZE, LEARNING_RATE, ALPHA) if name in notes}
        return {
            "penalty": self.penalty or "none",
            "alpha": found[ALPHA]["value"]
            if ALPHA in found
            else self._alpha_for(run.source.n_rows, mean_weight),
            "solver": choice["solver"],
            "why_solver": choice["reason"],
            "optimality": solved.get("left"),
            **self._together_told(run),
            **(self._descent_told(run) if choice["solver"] == "descent" else {}),
            "found": found,
        }

    def _together_told(self, run):
        """What only many processes have."""
        if not isinstance(run.engine, Together):
            return {}
        every = run.engine.every if isinstance(run.engine, Averaging) else 1
        return {"processes": self.processes.size, "sync_every": every}

    def _descent_told(self, run):
        """What only descent has."""
        engine = run.engine.descent if isinstance(run.engine, Together) else run.engine
        notes = run.state.notes
        rate = self._rate if takes_rate(self._schedule) else None
        if rate is None and LEARNING_RATE in notes:
            rate = notes[LEARNING_RATE]["value"]
        return {
            "optimizer": type(engine.optimizer).__name__,
            "schedule": type(engine.schedule).__name__,
            "learning_rate": rate,
            "batch_size": engine.batch_size,
        }

    def _method(self, loss: Any, source: TrainingSource, outputs: int, mean_weight: float) -> Method:
        """The solver that was asked for or suits, with what it needs."""
        rows = source.n_rows
        solver = self._solver_for(loss, source.n_columns, outputs)
        epochs, alpha = self._epochs_for(rows, solver), self._alpha_for(rows, mean_weight)
        seeks = self._seeks_alpha(rows, outputs * source.n_columns)
        if solver.name != "descent":
            solver_for = self._solver_engines(solver.name, loss, outputs)
            if seeks:
                return solving(solver_for, alpha, source, epochs, solver.note(), mean_weight)
            return plain(solver_for(alpha, source, None), epochs, solver.note())
        penalised = self._penalised(loss, rows, solver)
        return descending(
            solver,
            penalised(alpha),
            epochs,
            source=source,
            outputs=outputs,
            rate=self._rate,
            batch_size=self._batch_size_for(rows),
            processes=self.processes,
            sync_every=self.sync_every,
            penalised=penalised if seeks else None,
            mean_weight=mean_weight,
        )

    def _solver_engines(self, name: str, loss: Any, outputs: int) -> SolverFor:
        """What makes the engines of a solver."""

        def engine(alpha, rows, tolerance):
            penalty = make_penalty(self.penalty, alpha, self.l1_ratio)
            return solver_engine(name, loss, penalty, rows, outputs, tolerance=tolerance)

        return engine

    def _seeks_alpha(self, rows: int, coefficients: int) -> bool:
        """Whether alpha is looked for, which takes several runs on some of the rows."""
        wanted = self.penalty == "l2" and self.alpha is None
        return wanted and rows < _ROWS_A_COEFFICIENT * coefficients

    def _solver_for(self, loss: Any, columns: int, outputs: int) -> Solver:
        """Which solver, and why."""
        usual = {"learning_rate": "auto", "schedule": None, "batch_size": "auto"}
        given = [name for name, value in usual.items() if getattr(self, name) != value]
        chosen = choose_solver(self.solver, self.optimizer, given, loss, columns, outputs)
        if self.processes.size == 1 or chosen.name == "descent":
            return chosen
        if self.solver != "auto":
            raise ParameterError(
                f"solver={self.solver!r} trains on one process, but {self.processes.size} are here. Start one, or choose "
                "solver='descent', which is divided among them."
            )
        return Solver(
            "descent", None, f"of the solvers, {self.processes.size} processes can divide only this one"
        )

    def _alpha_for(self, rows: int, mean_weight: float = 1.0) -> float:
        """Strength of the penalty for so many rows of such a mean weight, unless it is found out."""
        return mean_weight / rows if self.alpha is None else number("alpha", self.alpha, at_least=0)

    def _epochs_for(self, rows: int, solver: Solver) -> int:
        """Passes over so many rows, at most."""
        usual = passes_for(rows) if solver.name == "descent" else _MOST_PASSES
        return usual if self.epochs is None else integer("epochs", self.epochs)

    @property
    def _schedule(self) -> Any:
        """How the rate of descent develops."""
        return "cosine" if self.schedule is None else self.schedule

    def _batch_size_for(self, rows: int) -> int | None:
        """Rows an update sees; None where that is to be found out."""
        return rows_per_batch_or_auto(self.batch_size, rows)

    @property
    def _rate(self) -> float | None:
        """The highest rate; None where that is to be found out. A schedule that names no rate of its own has nothing to find."""
        if not is_auto(self.learning_rate):
            return number("learning_rate", self.learning_rate, above=0)
        return None if takes_rate(self._schedule) else 1.0

    def _penalised(self, loss: Any, rows: int, solver: Solver) -> Penalised:
        """What makes the engines of descent for so many rows: from alpha; and then from rate, batch size and updates."""
        epochs = self._epochs_for(rows, solver)
        optimizer = make_optimizer("adam" if solver.optimizer is None else solver.optimizer)

        def engine(alpha, rate, batch_size, updates):
            given = {"alpha": alpha, "eta0": rate}
            schedule = make_schedule(self._schedule, loss, given, epochs, updates / epochs, name="schedule")
            penalty = make_penalty(self.penalty, alpha, self.l1_ratio)
            return DescentEngine(loss, optimizer, schedule, batch_size, penalty)

        return lambda alpha: partial(engine, alpha)
