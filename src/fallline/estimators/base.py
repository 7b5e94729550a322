"""What the linear estimators share: from parameters to a training run, and from its state to attributes."""

from __future__ import annotations

import copy
import warnings
from inspect import signature
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.extmath import row_norms
from sklearn.utils.validation import check_is_fitted, validate_data

from fallline.data.arrays import as_matrix, as_weight, column_names
from fallline.data.order import Order
from fallline.data.rows import ArraySource, as_rows
from fallline.engines.choice import Solver, choose_solver, left_to_gain, solver_engine
from fallline.engines.descent import DescentEngine
from fallline.engines.linear import LinearEngine
from fallline.errors import FalllineWarning, InputError, InterruptedWarning, ParameterError
from fallline.estimators.common import split_rows
from fallline.history import History
from fallline.kernels.sweep import Memory
from fallline.monitors.interrupt import Interrupt
from fallline.monitors.keep_best import KeepBest
from fallline.monitors.long_epochs import LongEpochs
from fallline.monitors.no_improvement import NoImprovement
from fallline.monitors.progress import Progress
from fallline.monitors.time_limit import TimeLimit
from fallline.monitors.validation import Validation
from fallline.objective.losses.epsilon_insensitive import EpsilonInsensitive
from fallline.objective.losses.hinge import Hinge
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
    seed_from,
)
from fallline.state import State
from fallline.tuning import descending, passes_for, plain, solve

__all__ = ["LinearSGD", "copy_attributes", "dense", "initial_values"]


# How far from the optimum is worth a warning.
_FAR = 1e-3
# What scikit-learn takes for an improvement of descent.
_IMPROVEMENT = 1e-3
# Rows an update of `partial_fit` sees: what is right for a part is not right for the next.
_PART_BATCH = 32


class LinearSGD(BaseEstimator):
    """A linear model trained by mini-batch gradient descent.

    Subclasses say what their targets are: `_read_targets` turns y into numbers and a loss, `_stratified` whether they are classes
    to be held out in equal shares, and `_score` judges scores on rows held out.
    """

    _stratified = False

    t_: int

    coef_: Any
    intercept_: np.ndarray

    # ------------------------------------------------------------------------------------------------ training

    def _fit(self, X, y, coef_init, intercept_init, sample_weight):
        early_stopping = flag("early_stopping", self.early_stopping)
        matrix, weight = self._read_rows(X, sample_weight, reset=True)
        loss, targets, outputs, class_weight = self._read_targets(y, matrix.shape[0], matrix.dtype, new=True)
        weight = _product(weight, class_weight, matrix.dtype)
        training, held_out = None, None
        if early_stopping:
            training, held_out = split_rows(
                targets, weight, self.validation_fraction, self.random_state, stratified=self._stratified
            )
        seed = seed_from(self.random_state)
        loss, targets = self._as_trained(loss, targets, matrix, weight)
        rows = as_rows(matrix, targets, weight)
        source, validation = (
            ArraySource(rows, subset=subset, columns=column_names(X)) for subset in (training, held_out)
        )
        if self.warm_start and hasattr(self, "coef_"):
            coef_init = dense(self.coef_) if coef_init is None else coef_init
            intercept_init = self.intercept_ if intercept_init is None else intercept_init
        initial = self._initial(coef_init, intercept_init, outputs, matrix.shape[1])
        solver = self._solver(loss, matrix.shape[1], outputs)
        judges = self._judges(solver, early_stopping)
        if early_stopping:
            judges.insert(0, Validation(validation, lambda weights: self._score(loss, validation, weights)))
        size = matrix.shape[1], outputs, matrix.dtype, initial
        method = self._method(solver, loss, source, size)
        state = method.engine.start(*size)
        order = Order(seed, flag("shuffle", self.shuffle))
        run, stop = solve(method, state, source, order, self._monitors(judges))
        _warn_if_interrupted(run, stop)
        state = run.state
        if stop.reason in ("early_stopping", "interrupted") and state.best is not None:
            run.engine.settle(state)
            state.memory.weights[:] = weights = state.best
            left = None
        else:
            weights, left = run.engine.weights(state), state.notes.get("solver", {}).get("left")
        self._publish(state, weights, stop)
        if solver.name != "newton":
            # Of a model small enough a pass tells; a larger one's solver has but an estimate, and descent has none.
            seen = left_to_gain(method.engine, source, weights)
            left = left if seen is None else seen
        self.optimality_ = left
        self._warn(run, stop, solver, early_stopping)
        return self

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

    def _judges(self, solver, early_stopping):
        """What keeps the best weights, and says stop when nothing improves."""
        quantity = "validation_score" if early_stopping else "objective"
        by_itself = solver.name != "descent" or (is_auto(self.learning_rate) and is_auto(self.tol))
        if by_itself and not early_stopping:
            return []
        return [KeepBest(quantity), *self._patience(quantity)]

    def _warn(self, run, stop, solver, early_stopping):
        """Say what is wrong with a model, if something is."""
        if run.engine.exploded(run.source, run.state):
            _warn(str(run.engine.divergence(run.source, run.state)))
        if solver.name != "descent":
            left = self.optimality_
            far_from_it = left is None or left > _FAR
            if (
                far_from_it
                and stop.reason in ("epochs", "converged")
                and self.tol is not None
                and not early_stopping
            ):
                known = left is not None and left < 1
                far = (
                    f", and is some {left:.1%} of what was gained away from it"
                    if known
                    else f": {stop.message}"
                )
                raise_it = " Raise max_iter." if stop.reason == "epochs" else ""
                _warn(
                    f"After {run.state.epoch} passes the objective may not be at its optimum{far}.{raise_it}"
                )
            elif run.engine.separable(run.state):
                _warn(
                    "Some plane separates the classes perfectly, and nothing keeps the coefficients small: the optimum is at "
                    "infinity, and training ended on the way. Give a penalty."
                )
        elif stop.reason == "epochs" and self.tol is not None and not is_auto(self.learning_rate):
            quantity = "validation score" if early_stopping else "objective"
            _warn(
                f"All {self.max_iter} epochs were made and the {quantity} was still improving. "
                "Raise max_iter, or choose another learning rate."
            )

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

    def _partial_fit(self, X, y, sample_weight):
        first = not hasattr(self, "coef_")
        matrix, weight = self._read_rows(
            X, sample_weight, reset=first, dtype=None if first else self.coef_.dtype
        )
        loss, targets, outputs, class_weight = self._read_targets(y, matrix.shape[0], matrix.dtype, new=False)
        weight = _product(weight, class_weight, matrix.dtype)
        loss, targets = self._passive_aggressive(loss, targets, matrix)
        flag("shuffle", self.shuffle)
        solver = Solver("descent", self._optimizer_of_parts(), "parts of the data at a time")
        engine_for = self._engine_for(solver, loss, 1, without_end=True)
        batch_size = rows_per_batch(
            _PART_BATCH if is_auto(self.batch_size) else self.batch_size, matrix.shape[0]
        )
        begin = engine_for(1.0, batch_size, 1)
        before: State | None = getattr(self, "_state", None)
        if before is not None:
            # Work on a copy: if anything goes wrong, the model stays as it was.
            state = copy.deepcopy(before)
        else:
            coef, intercept = (None, None) if first else (dense(self.coef_), self.intercept_)
            initial = self._initial(coef, intercept, outputs, matrix.shape[1])
            updates = 0 if first else self.t_ - 1
            state = begin.start(matrix.shape[1], outputs, matrix.dtype, initial, updates=updates)
        begin.leave_epoch(state)
        source = ArraySource(as_rows(matrix, targets, weight), columns=column_names(X))
        method = descending(
            solver,
            engine_for,
            state.epoch + 1,
            source=source,
            outputs=outputs,
            rate=self._rate,
            batch_size=batch_size,
        )
        order = Order(seed_from(self.random_state), self.shuffle)
        run, stop = solve(method, state, source, order, self._monitors([]))
        _warn_if_interrupted(run, stop)
        self._publish(run.state, run.engine.weights(run.state), stop)
        self.n_iter_ = 1
        return self

    def _optimizer_of_parts(self):
        """Of `partial_fit`, which is always descent."""
        if self.solver in ("newton", "saga"):
            raise ParameterError(
                f"solver={self.solver!r} needs all rows, so partial_fit cannot use it. Use fit, or solver='auto'."
            )
        return choose_solver(self.solver, self.optimizer, ["partial_fit"], None, 1, 1).optimizer

    def _read_rows(self, X, sample_weight, *, reset, dtype=None):
        matrix = as_matrix(X, dtype)
        validate_data(self, X if hasattr(X, "shape") else matrix, skip_check_array=True, reset=reset)
        return matrix, as_weight(sample_weight, matrix.shape[0], matrix.dtype)

    def _as_trained(self, loss, targets, matrix, weight):
        """The loss and the targets that `fit` trains on."""
        return self._passive_aggressive(loss, targets, matrix)

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

    def _initial(self, coef_init, intercept_init, outputs, columns):
        """Weights to start from, (outputs, columns + 1), or None for zero."""
        if coef_init is None and intercept_init is None:
            return None
        weights = np.zeros((outputs, columns + 1))
        if coef_init is not None:
            weights[:, :-1] = initial_values("coef_init", coef_init, (outputs, columns))
        if intercept_init is not None:
            weights[:, -1] = initial_values("intercept_init", intercept_init, (outputs,))
        return weights

    def _monitors(self, judges):
        """Who watches: the judges, and what watches every run."""
        limits = (
            [] if self.time_limit is None else [TimeLimit(number("time_limit", self.time_limit, above=0))]
        )
        return [LongEpochs(), *judges, *limits, Interrupt(), Progress(show=bool(self.verbose))]

    def _publish(self, state, weights, stop):
        # What `partial_fit` goes on from; other solvers' memories are large, and nothing goes on from them.
        self._state = state if isinstance(state.memory, Memory) else None
        self.coef_, self.intercept_ = weights[:, :-1].copy(), weights[:, -1].copy()
        self.n_iter_ = state.epoch + (state.position > 0)
        self.t_ = state.updates + 1
        self.history_ = History(state.history, stop, state.notes)

    # ----------------------------------------------------------------------------------------- the coefficients

    def sparsify(self) -> Self:
        """Hold `coef_` as a sparse array, which takes less memory where most coefficients are zero.

        Returns
        -------
        self
        """
        check_is_fitted(self)
        if not sp.issparse(self.coef_):
            self.coef_ = sp.csr_array(self.coef_)
        return self

    def densify(self) -> Self:
        """Hold `coef_` as an array again, as before `sparsify`.

        Returns
        -------
        self
        """
        check_is_fitted(self)
        self.coef_ = dense(self.coef_)
        return self

    def to_sklearn(self, n_samples: int | None = None) -> Any:
        """The estimator of scikit-learn with the same objective, fitted if this one is, and predicting the same numbers.

        That is its estimator of the same name where it knows the loss, and otherwise `LogisticRegression` ('multinomial' with
        more than two classes), `PoissonRegressor`, `GammaRegressor`, `TweedieRegressor` or `QuantileRegressor`. Parameters of
        training are kept where it has them, with values that it knows.

        Parameters
        ----------
        n_samples : int, optional
            How many rows it is trained on: what `LogisticRegression` needs to know for the strength of its penalty.

        Returns
        -------
        estimator of scikit-learn

        Raises
        ------
        ParameterError
            If it has no such objective.
        """
        from fallline.estimators.to_scikit import to_sklearn

        return to_sklearn(self, n_samples)

    def _adopt(self, coefficients, intercepts, t):
        """Take coefficients that were trained elsewhere, in `t` - 1 updates."""
        dtype = coefficients.dtype if coefficients.dtype == np.float32 else np.float64
        outputs = len(coefficients) if coefficients.ndim == 2 else 1
        self.coef_ = coefficients.astype(dtype)
        self.intercept_ = np.broadcast_to(np.ravel(intercepts), outputs).astype(dtype)
        self.t_ = t

    # ---------------------------------------------------------------------------------------------- prediction

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _scores(self, X, intercepts=None):
        """Linear predictions, (rows, outputs); with other `intercepts` than the model's, if given."""
        check_is_fitted(self)
        outputs = np.atleast_1d(self.intercept_ if intercepts is None else intercepts)
        weights = np.column_stack([np.reshape(dense(self.coef_), (len(outputs), -1)), outputs])
        if weights.dtype not in (np.float32, np.float64):
            weights = weights.astype(np.float64)
        matrix = as_matrix(X, weights.dtype)
        validate_data(self, X if hasattr(X, "shape") else matrix, skip_check_array=True, reset=False)
        return LinearEngine.predict(ArraySource(as_rows(matrix), columns=column_names(X)), weights)


def dense(coefficients: Any) -> np.ndarray:
    """Coefficients as an array, also after `sparsify`."""
    return coefficients.toarray() if sp.issparse(coefficients) else coefficients


def copy_attributes(source: Any, target: Any) -> None:
    """Copy what training leaves behind beside coefficients, where scikit-learn and fallline mean the same by it."""
    for name in ("classes_", "n_features_in_", "feature_names_in_"):
        if hasattr(source, name):
            setattr(target, name, getattr(source, name))
    if getattr(source, "n_iter_", None) is not None:
        target.n_iter_ = int(np.max(source.n_iter_))


def initial_values(name: str, given: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers to start from, float64, in the shape wanted; of a single output the shape may differ where the size is right."""
    try:
        values = np.asarray(given, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name} does not hold numbers ({error}). Give numbers, or leave it out.") from error
    if not np.isfinite(values).all():
        raise InputError(f"{name} holds NaN or infinity. Give finite numbers, or leave it out.")
    if values.size != np.prod(shape) or (shape[0] > 1 and values.shape != shape):
        raise InputError(
            f"Provided {name} does not match dataset: its shape is {values.shape}, and the data ask for {shape}. "
            "Leave it out to start from zero."
        )
    return values.reshape(shape)


def _product(weight, class_weight, dtype):
    """Weights of the rows times those of their classes; None where all are 1."""
    if class_weight is None:
        return weight
    return (class_weight if weight is None else weight * class_weight).astype(dtype)


def _warn_if_interrupted(run, stop):
    """Say so where Ctrl-C ended training, where the caller called `fit`."""
    if stop.reason == "interrupted":
        warnings.warn(
            f"Training was interrupted in epoch {run.state.epoch + 1}; the model holds the best weights so far.",
            InterruptedWarning,
            stacklevel=4,
        )


def _warn(message):
    """A warning, shown where the caller called `fit`."""
    warnings.warn(message, ConvergenceWarning, stacklevel=5)
