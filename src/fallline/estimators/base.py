"""What the linear estimators share: from rows to a training run, and from its state to attributes."""

from __future__ import annotations

import copy
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import validate_data

from fallline.data.arrays import as_matrix, as_weight, column_names
from fallline.data.order import Order
from fallline.data.rows import ArraySource, as_rows
from fallline.engines.choice import Solver, left_to_gain
from fallline.errors import InterruptedWarning
from fallline.estimators.coefficients import Coefficients, dense, initial_values
from fallline.estimators.common import split_rows
from fallline.estimators.training import TrainingParameters
from fallline.history import History
from fallline.kernels.sweep import Memory
from fallline.monitors.validation import Validation
from fallline.settings import flag, is_auto, rows_per_batch, seed_from
from fallline.state import State
from fallline.tuning import descending, solve

__all__ = ["LinearSGD"]

# How far from the optimum is worth a warning.
_FAR = 1e-3
# Rows an update of `partial_fit` sees: what is right for a part is not right for the next.
_PART_BATCH = 32


class LinearSGD(TrainingParameters, Coefficients):
    """A linear model trained by mini-batch gradient descent.

    Subclasses say what their targets are: `_read_targets` turns y into numbers and a loss, `_stratified` whether they are classes
    to be held out in equal shares, and `_score` judges scores on rows held out.
    """

    _stratified = False

    def _fit(self, X, y, coef_init, intercept_init, sample_weight):
        self._require_parameters()
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
        for sentence in self._doubts(run, stop, solver):
            warnings.warn(sentence, ConvergenceWarning, stacklevel=3)
        return self

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

    def _read_rows(self, X, sample_weight, *, reset, dtype=None):
        matrix = as_matrix(X, dtype)
        validate_data(self, X if hasattr(X, "shape") else matrix, skip_check_array=True, reset=reset)
        return matrix, as_weight(sample_weight, matrix.shape[0], matrix.dtype)

    def _as_trained(self, loss, targets, matrix, weight):
        """The loss and the targets that `fit` trains on."""
        return self._passive_aggressive(loss, targets, matrix)

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

    def _doubts(self, run, stop, solver):
        """What is wrong with the model, as sentences."""
        if run.engine.exploded(run.source, run.state):
            yield str(run.engine.divergence(run.source, run.state))
        judged_early, left = self.early_stopping, self.optimality_
        if solver.name == "descent":
            if stop.reason == "epochs" and self.tol is not None and not is_auto(self.learning_rate):
                yield (
                    f"All {self.max_iter} epochs were made and the {'validation score' if judged_early else 'objective'} was "
                    "still improving. Raise max_iter, or choose another learning rate."
                )
        elif (
            (left is None or left > _FAR)
            and stop.reason in ("epochs", "converged")
            and self.tol is not None
            and not judged_early
        ):
            known = left is not None and left < 1
            far = (
                f", and is some {left:.1%} of what was gained away from it" if known else f": {stop.message}"
            )
            yield (
                f"After {run.state.epoch} passes the objective may not be at its optimum{far}."
                + (" Raise max_iter." if stop.reason == "epochs" else "")
            )
        elif run.engine.separable(run.state):
            yield (
                "Some plane separates the classes perfectly, and nothing keeps the coefficients small: the optimum is at "
                "infinity, and training ended on the way. Give a penalty."
            )

    def _publish(self, state, weights, stop):
        # What `partial_fit` goes on from; other solvers' memories are large, and nothing goes on from them.
        self._state = state if isinstance(state.memory, Memory) else None
        self.coef_, self.intercept_ = weights[:, :-1].copy(), weights[:, -1].copy()
        self.n_iter_ = state.epoch + (state.position > 0)
        self.t_ = state.updates + 1
        self.history_ = History(state.history, stop, state.notes)


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
