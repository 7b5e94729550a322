"""What classifiers and regressors share: from parameters to a network, and from its training to attributes."""

from __future__ import annotations

import math
import warnings

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from fallline.data.arrays import as_matrix, as_weight, column_names
from fallline.data.rows import ArraySource, as_rows
from fallline.errors import InputError, InterruptedWarning, ParameterError
from fallline.estimators.common import split_rows
from fallline.estimators.mlp.columns import read_columns
from fallline.estimators.mlp.following import Course
from fallline.estimators.mlp.settings import STOCHASTIC, check
from fallline.estimators.mlp.training import Task, predicted, sources, train_network
from fallline.history import History
from fallline.networks.factories import require_torch
from fallline.settings import number, seed_from

__all__ = ["MultilayerPerceptron"]


class MultilayerPerceptron(BaseEstimator):
    """A multi-layer perceptron with scikit-learn's parameters.

    Subclasses say what their targets are: `_read_targets` turns y into numbers, `_loss` names what is to fall and `_outputs` how
    many scores that takes, `_strata` says by which classes rows are held out, and `_score` judges scores on these.
    """

    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]
    n_iter_: int
    t_: int

    _rest: dict[str, np.ndarray] = {}  # noqa: RUF012 (replaced, never changed)
    _columns = None
    _optimizer = None

    # ------------------------------------------------------------------------------------------------ training

    def _fit(self, X, y, sample_weight, *, part):
        settings = check(self)
        if part and settings.early_stopping:
            raise ParameterError(
                "partial_fit does not support early_stopping=True: a part of the data at a time leaves none to judge by. Use fit."
            )
        require_torch()
        first = not hasattr(self, "coefs_") or not (part or settings.warm_start)
        matrix, weight = self._read_rows(X, sample_weight, first)
        targets = self._read_targets(y, matrix.shape[0], matrix.dtype, first=first, part=part)
        names = column_names(X) if self._columns is None else None
        rows = as_rows(matrix, targets.astype(matrix.dtype), weight)
        _require_finite(rows, names)
        generator = _generator(self.random_state)
        task = Task(settings, self._network(settings, matrix, first, generator), self._loss, self._outputs)
        training = held_out = None
        if settings.early_stopping and settings.solver in STOCHASTIC:
            training, held_out = self._split(targets, weight, generator)
        course = Course() if first else self._course()
        outcome = train_network(
            task,
            *sources(task, rows, training, held_out, weighted=weight is not None),
            course,
            batch_size=self.batch_size,
            device=self.device,
            seed=seed_from(generator),
            before=self._optimizer if part else None,
            part=part,
            score=None if held_out is None else self._judge(targets, weight, held_out),
        )
        self._publish(outcome, course, settings)
        self._warn(outcome, settings, part)
        return self

    def _read_rows(self, X, sample_weight, first):
        if first:
            self._columns = read_columns(X, self.embeddings)
        matrix = self._matrix(X, None if first else self.coefs_[0].dtype)
        validate_data(self, X if hasattr(X, "shape") else matrix, skip_check_array=True, reset=first)
        return matrix, as_weight(sample_weight, matrix.shape[0], matrix.dtype)

    def _matrix(self, X, dtype):
        """Rows of numbers, as the network sees them."""
        return as_matrix(X, dtype) if self._columns is None else self._columns.encode(X, dtype)

    def _network(self, settings, matrix, first, generator):
        """A new network, or the one that was trained so far."""
        from fallline.networks.arrays import made, restored

        shape = self._shape(settings, matrix.shape[1])
        if first:
            return made(shape, generator, matrix.dtype)
        return restored(shape, self.coefs_, self.intercepts_, self._rest, copy=True)

    def _shape(self, settings, features):
        from fallline.networks.arrays import Shape

        groups = [] if self._columns is None else self._columns.groups
        return Shape(
            features,
            self._outputs,
            settings.hidden,
            settings.activation,
            settings.dropout,
            settings.batch_norm,
            groups,
        )

    def _split(self, targets, weight, generator):
        share = number("validation_fraction", self.validation_fraction, above=0, below=1)
        strata = self._strata(targets, share)
        classes = targets if strata is None else strata
        training, held_out = split_rows(classes, weight, share, generator, stratified=strata is not None)
        if len(held_out) < 2:
            raise InputError(
                f"The validation set is too small: it has {len(held_out)} row. Increase 'validation_fraction' or the size of "
                "your dataset."
            )
        return training, held_out

    def _judge(self, targets, weight, held_out):
        """The score of what the network gives for the rows held out."""
        weight = None if weight is None else weight[held_out]
        return lambda scores: self._score(scores, targets[held_out], weight)

    def _course(self):
        """How training has gone so far."""
        course = Course(list(getattr(self, "loss_curve_", [])))
        course.idle, course.rows = getattr(self, "_no_improvement_count", 0), getattr(self, "t_", 0)
        scores, lowest = getattr(self, "validation_scores_", None), getattr(self, "best_loss_", None)
        if scores is not None:
            course.scores, course.best_score = list(scores), max(scores, default=-math.inf)
        if lowest is not None:
            course.best_loss = lowest
        return course

    def _publish(self, outcome, course, settings):
        from fallline.networks.arrays import arrays_of

        self.coefs_, self.intercepts_, self._rest = arrays_of(outcome.network)
        self._optimizer = outcome.optimizer
        self._trained = settings
        self.n_layers_, self.n_outputs_ = len(self.coefs_) + 1, self._outputs
        self.n_iter_, self.loss_ = outcome.iterations, outcome.loss
        self.history_ = History(outcome.records, outcome.stop)
        self.t_ = course.rows
        if settings.solver in STOCHASTIC:
            judged = settings.early_stopping
            self.loss_curve_, self.best_loss_ = course.losses, None if judged else course.best_loss
            self.validation_scores_ = course.scores if judged else None
            self.best_validation_score_ = course.best_score if judged else None
            self._no_improvement_count = course.idle
        if self._columns is not None:
            tables = (self._rest[f"tables.{place}"] for place in range(len(self._columns.categories)))
            self.embeddings_ = dict(zip(self._columns.categories, tables, strict=True))

    def _warn(self, outcome, settings, part):
        """Say what is wrong with the network, if something is."""
        stop = outcome.stop
        if outcome.diverged:
            warnings.warn(
                f"Training diverged, and the weights of the epoch with the best validation score were kept. {stop.message}",
                ConvergenceWarning,
                stacklevel=5,
            )
        elif stop.reason == "interrupted":
            warnings.warn(
                f"Training interrupted by user after {outcome.iterations} epochs; the network is as it was then.",
                InterruptedWarning,
                stacklevel=5,
            )
        elif stop.reason in ("epochs", "updates") and not part:
            warnings.warn(
                f"Maximum iterations reached ({stop.message}) and the optimization hasn't converged yet. Raise max_iter"
                f"{' or max_fun' if settings.solver == 'lbfgs' else ''}, or choose another learning rate or tol.",
                ConvergenceWarning,
                stacklevel=5,
            )

    # ---------------------------------------------------------------------------------------------- prediction

    def _scores(self, X):
        """What the network gives, (rows, outputs)."""
        check_is_fitted(self, "coefs_")
        require_torch()
        from fallline.networks.arrays import restored

        dtype = self.coefs_[0].dtype
        matrix = self._matrix(X, dtype if dtype in (np.float32, np.float64) else np.float64)
        validate_data(self, X if hasattr(X, "shape") else matrix, skip_check_array=True, reset=False)
        rows = as_rows(matrix)
        _require_finite(rows, column_names(X) if self._columns is None else None)
        shape = self._shape(getattr(self, "_trained", None) or check(self), matrix.shape[1])
        shape = shape._replace(hidden=tuple(coef.shape[1] for coef in self.coefs_[:-1]))
        network = restored(shape, self.coefs_, self.intercepts_, self._rest, copy=False)
        return predicted(network, rows, self.device)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _generator(random_state):
    """What the first weights, the rows held out and the orders are drawn from."""
    if random_state is None:
        return np.random.RandomState(seed_from(None) % 2**32)
    if isinstance(random_state, (np.random.RandomState, np.random.Generator)):
        return random_state
    return np.random.RandomState(seed_from(random_state) % 2**32)


def _require_finite(rows, names):
    """Raise `NonFiniteError` if any number is not finite; a sum tells fast that all are."""
    numbers = rows.X if hasattr(rows, "X") else rows.data
    with np.errstate(all="ignore"):
        suspect = not math.isfinite(numbers.sum(dtype=np.float64))
    if suspect:
        ArraySource(rows, columns=names).require_finite(np.arange(rows.n_rows, dtype=np.uint64))
