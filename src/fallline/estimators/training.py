"""From a linear estimator's parameters to how it is trained: which solver, by which method, and who watches."""

from __future__ import annotations

import warnings
from inspect import signature

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.extmath import row_norms

from fallline.engines.choice import choose_solver, solver_engine
from fallline.engines.descent import DescentEngine
from fallline.errors import FalllineWarning, ParameterError
from fallline.monitors.interrupt import Interrupt
from fallline.monitors.keep_best import KeepBest
from fallline.monitors.long_epochs import LongEpochs
from fallline.monitors.no_improvement import NoImprovement
from fallline.monitors.progress import Progress
from fallline.monitors.time_limit import TimeLimit
from fallline.objective.losses.epsilon_insensitive import EpsilonInsensitive
from fallline.objective.losses.hinge import Hinge
from fallline.objective.losses.huber import Huber
from fallline.objective.losses.passive_aggressive import (
    PASSIVE_AGGRESSIVE,
    PassiveAggressive1,
    PassiveAggressive2,
)
from fallline.optim.optimizers.sgd import SGD
from fallline.optim.schedules import SCHEDULES
from fallline.optim.schedules.constant import Constant
from fallline.settings import (
    flag,
    integer,
    is_auto,
    make_averaging,
    make_optimizer,
    make_penalty,
    make_schedule,
    number,
    rows_per_batch,
)
from fallline.tuning import descending, passes_for, plain

__all__ = ["TrainingParameters"]

# Of parameters that not every setting uses.
_LIMITS: dict[str, dict[str, float]] = {
    "l1_ratio": {"at_least": 0, "at_most": 1},
    **Huber.limits,
    "validation_fraction": {"above": 0, "below": 1},
}
# What scikit-learn takes for an improvement of descent.
_IMPROVEMENT = 1e-3


class TrainingParameters(BaseEstimator):
    """Parameters of an estimator, as attributes, and what they mean for training."""

    def _require_parameters(self):
        """Refuse what no setting takes, also where nothing is made of it: a mistake it is all the same."""
        for name, limits in _LIMITS.items():
            value = getattr(self, name, None)
            if value is not None:  # which says that it is of no use, and is refused where it is
                number(name, value, **limits)
        integer("n_iter_no_change", self.n_iter_no_change)

    def _solver(self, loss, columns, outputs):
        """Which solver, and why."""
        given = [name for name in ("learning_rate", "batch_size") if not is_auto(getattr(self, name))]
        if self.average is not False:
            given.append("average")
        if is_auto(self.learning_rate):
            self._warn_of_rates()
        return choose_solver(self.solver, self.optimizer, given, loss, columns, outputs)

    def _warn_of_rates(self):
        """Say so where a parameter of a schedule was given, and the schedule is not."""
        usual = {name: parameter.default for name, parameter in signature(type(self)).parameters.items()}
        for name in ("eta0", "power_t", "decay", "decay_epochs", "warmup"):
            if getattr(self, name) != usual[name]:
                warnings.warn(
                    f"{name}={getattr(self, name)!r} says nothing with learning_rate='auto', which finds a rate by itself. "
                    "Give a learning_rate such as 'constant' or 'invscaling' to go with it, or leave it out.",
                    FalllineWarning,
                    stacklevel=5,
                )

    def _method(self, solver, loss, source, size):
        """How to train on a source a model of this size: (columns, outputs, dtype, initial weights)."""
        most = integer("max_iter", self.max_iter)
        if solver.name != "descent":
            tolerance = None if is_auto(self.tol) else 0.0 if self.tol is None else self._tolerance()
            engine = solver_engine(
                solver.name,
                loss,
                make_penalty(self.penalty, self.alpha, self.l1_ratio),
                source,
                size[1],
                fit_intercept=flag("fit_intercept", self.fit_intercept),
                tolerance=tolerance,
            )
            return plain(engine, most, solver.note())
        epochs = min(most, passes_for(source.n_rows)) if is_auto(self.learning_rate) else most
        return descending(
            solver,
            self._engine_for(solver, loss, epochs),
            epochs,
            source=source,
            outputs=size[1],
            rate=self._rate,
            batch_size=None if is_auto(self.batch_size) else rows_per_batch(self.batch_size, source.n_rows),
        )

    @property
    def _rate(self):
        """The highest rate: None where it is to be found out; schedules that users choose have their own."""
        return None if is_auto(self.learning_rate) else 1.0

    def _engine_for(self, solver, loss, epochs, *, without_end=False):
        """What makes an engine of descent: from rate, batch size and updates in all."""
        flag("warm_start", self.warm_start)
        optimizer = make_optimizer(solver.optimizer or "sgd", self.momentum)
        penalty = make_penalty(self.penalty, self.alpha, self.l1_ratio)
        fit_intercept = flag("fit_intercept", self.fit_intercept)

        def engine(rate, batch_size, updates):
            return DescentEngine(
                loss=loss,
                optimizer=optimizer,
                schedule=self._schedule(
                    loss, optimizer, rate, epochs, updates / epochs, without_end=without_end
                ),
                batch_size=batch_size,
                penalty=penalty,
                averaging=make_averaging(self.average, batch_size),
                fit_intercept=fit_intercept,
            )

        return engine

    def _passive_aggressive(self, loss, targets, matrix):
        """The loss and the targets that passive-aggressive steps take, where `learning_rate` asks for these."""
        kind = PASSIVE_AGGRESSIVE.get(str(self.learning_rate))
        if kind is None:
            return loss, targets
        if not isinstance(getattr(loss, "binary", loss), (Hinge, EpsilonInsensitive)):
            raise ParameterError(
                f"learning_rate={self.learning_rate!r} goes to where a row's loss is 0, which is defined for 'hinge' (of "
                f"classifiers) and 'epsilon_insensitive' only, but loss is {self.loss!r}. Choose one of them, or another rate."
            )
        squares = row_norms(matrix, squared=True).astype(matrix.dtype, copy=False)
        targets = np.column_stack([targets.reshape(len(targets), -1), squares])
        return kind(loss, number("eta0", self.eta0, above=0)), targets

    def _schedule(self, loss, optimizer, rate, epochs, updates, *, without_end):
        """The learning rate; of passive-aggressive steps, what their loss expects."""
        if isinstance(loss, (PassiveAggressive1, PassiveAggressive2)):
            if not isinstance(optimizer, SGD):
                raise ParameterError(
                    f"learning_rate={self.learning_rate!r} says how far each row moves the weights, so it goes with "
                    f"optimizer='sgd' only, but optimizer is {self.optimizer!r}. Leave it out, or choose another rate."
                )
            return Constant(loss.aggressiveness)
        given = {**self.get_params(deep=False), "alpha": self.alpha}
        if is_auto(self.learning_rate):
            usual = "invscaling" if without_end else "cosine"
            return make_schedule(usual, loss, {**given, "eta0": rate}, epochs, updates)
        return make_schedule(self.learning_rate, loss, given, epochs, updates)

    def _optimizer_of_parts(self):
        """Of `partial_fit`, which is always descent."""
        if self.solver in ("newton", "saga"):
            raise ParameterError(
                f"solver={self.solver!r} needs all rows, so partial_fit cannot use it. Use fit, or solver='auto'."
            )
        return choose_solver(self.solver, self.optimizer, ["partial_fit"], None, 1, 1).optimizer

    def _require_parts_suffice(self):
        """Refuse what `partial_fit` cannot do because it needs all the data, or the end of training."""
        if flag("early_stopping", self.early_stopping):
            raise ParameterError(
                "early_stopping should be False with partial_fit: a part of the data at a time leaves none to judge by. Use fit."
            )
        if getattr(SCHEDULES.get(str(self.learning_rate), self.learning_rate), "needs_end", False):
            raise ParameterError(
                f"learning_rate={self.learning_rate!r} needs to know where training ends, which partial_fit does not. Use fit, "
                "or a schedule without an end, such as 'invscaling'."
            )

    def _judges(self, solver, early_stopping):
        """What keeps the best weights, and says stop when nothing improves."""
        quantity = "validation_score" if early_stopping else "objective"
        by_itself = solver.name != "descent" or (is_auto(self.learning_rate) and is_auto(self.tol))
        if by_itself and not early_stopping:
            return []
        return [KeepBest(quantity), *self._patience(quantity)]

    def _patience(self, quantity):
        """What ends training when nothing improves; nothing for tol=None."""
        if self.tol is None:
            return []
        epochs = integer("n_iter_no_change", self.n_iter_no_change)
        return [
            NoImprovement(quantity, self._tolerance(), epochs, lower_rate=self.learning_rate == "adaptive")
        ]

    def _tolerance(self):
        return _IMPROVEMENT if is_auto(self.tol) else number("tol", self.tol, at_least=0)

    def _monitors(self, judges):
        """Who watches: the judges, and what watches every run."""
        limits = (
            [] if self.time_limit is None else [TimeLimit(number("time_limit", self.time_limit, above=0))]
        )
        return [LongEpochs(), *judges, *limits, Interrupt(), Progress(show=bool(self.verbose))]
