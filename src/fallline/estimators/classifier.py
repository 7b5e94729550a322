"""Classification."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metaestimators import available_if

from fallline.data.classes import as_labels, class_numbers, find_classes, signs
from fallline.engines.linear import LinearEngine
from fallline.engines.threads import on_threads
from fallline.errors import InputError, ParameterError
from fallline.estimators.base import LinearSGD
from fallline.estimators.common import all_or_nothing
from fallline.kernels.verbs import shrinks
from fallline.objective.domains import ANY_NUMBER, CLASSES
from fallline.objective.links import Identity, highest
from fallline.objective.losses import OneVersusRest
from fallline.objective.losses.log_loss import LogLoss
from fallline.objective.losses.smoothed import bends
from fallline.settings import make_loss, number

__all__ = ["SGDClassifier"]


def _suits(loss):
    """Whether a loss takes classes, or numbers such as -1 and 1 as they are."""
    return loss.domain.classes or (loss.domain == ANY_NUMBER and type(loss.link) is Identity)


def _has_probabilities(classifier):
    loss = classifier._typed_loss()
    if loss.link.probabilities is not None:
        return True
    raise AttributeError(
        f"loss={classifier.loss!r} has no probabilities. Use 'log_loss', 'multinomial' or 'modified_huber'."
    )


class SGDClassifier(ClassifierMixin, LinearSGD):
    r"""Linear classification, by default to the optimum with nothing to tune; or by mini-batch gradient descent.

    Takes the parameters of :class:`sklearn.linear_model.SGDClassifier` with the same meaning, and adds solvers, mini-batches,
    optimizers, schedules and a true multinomial loss. Where neither an optimizer nor a learning rate, a batch size or averaging
    is given, nothing has to be: see `solver`. Several classes are fitted one against the rest, all in one pass over the data, or
    together with ``loss='multinomial'``.

    Parameters
    ----------
    loss : str or loss, default='hinge'
        'hinge' (a linear support vector machine), 'log_loss' (logistic regression), 'multinomial' (softmax regression; the
        same as 'log_loss' for two classes), 'squared_hinge', 'modified_huber', 'perceptron'; or a loss of regression on targets
        -1 and 1: 'squared_error', 'huber', 'epsilon_insensitive', 'squared_epsilon_insensitive'.
    penalty : {'l2', 'l1', 'elasticnet', 'none'} or None, default='l2'
        What keeps the coefficients small; the intercept is not penalised. L1 is applied by its proximal operator and gives
        exact zeros.
    alpha : float, default=0.0001
        Strength of the penalty; also in the rate of ``learning_rate='optimal'``.
    l1_ratio : float, default=0.15
        Share of L1 in 'elasticnet', from 0 to 1.
    fit_intercept : bool, default=True
        Whether to fit an intercept.
    max_iter : int, default=1000
        Epochs (passes over the rows) at most.
    tol : float or None, default='auto'
        With `solver` 'newton' or 'saga', training stops when what is left to gain is less than this share of what has been
        gained over a model of intercepts alone; by default 1e-6 ('saga' 1e-5), or 1e-4 for losses with kinks. In descent, it
        stops when the objective (or, with `early_stopping`, the validation score) has not improved by this much in
        `n_iter_no_change` epochs running; by default 1e-3, or, where the rate is 'auto', when its schedule ends. None makes all
        `max_iter` epochs.
    shuffle : bool, default=True
        Visit the rows in a new random order in every epoch.
    verbose : int, default=0
        Above 0, show a progress bar and how training ended, on standard error.
    epsilon : float, default=0.1
        Where 'huber' turns linear; the tolerance of the epsilon-insensitive losses.
    n_jobs : int or None, default=None
        Threads that `solver` 'newton' sums on; None takes as many as there are cores, or as OMP_NUM_THREADS says, and -1 all.
        Rows of fewer than some sixty columns take one, which is faster. The model is the same, bit for bit. Descent makes one
        update after another, of all classes at once, on one.
    random_state : int, RandomState instance or None, default=None
        Chooses the orders of the rows and those held out. The same integer gives the same model, bit for bit.
    learning_rate : str or schedule, default='auto'
        Of descent. 'auto' finds a rate by short runs, for a schedule of linear warm-up and half a cosine. Otherwise, how the
        rate develops with the number t of updates, n being those of an epoch:

        - 'constant': `eta0`;
        - 'optimal': 1 / (alpha (t0 + t - 1)), with t0 by Bottou's heuristic;
        - 'invscaling': eta0 / t**power_t;
        - 'adaptive': `eta0`, divided by 5 whenever training would otherwise stop, until it is below 1e-6;
        - 'step': times `decay` after every `decay_epochs` epochs;
        - 'exponential': the same, a little at every update;
        - 'cosine': linear warm-up, then a half cosine to 0 at the end of `max_iter` epochs;
        - 'one_cycle': up and down along half cosines over `max_iter` epochs;
        - 'pa1', 'pa2': passive-aggressive, with ``loss='hinge'``: each row asks for a step along itself to where its loss
          would be 0, of at most `eta0` with 'pa1' and the shorter the smaller `eta0` with 'pa2'; an update is their mean;
        - or a value from `fallline.optim.schedules`, its lengths in updates.
    eta0 : float, default=0.01
        The first, or highest, rate; the aggressiveness C of 'pa1' and 'pa2'.
    power_t : float, default=0.5
        Exponent of 'invscaling'.
    early_stopping : bool, default=False
        Hold out a part of the rows, stop when the score on it improves no more, and keep the best weights.
    validation_fraction : float, default=0.1
        The part held out.
    n_iter_no_change : int, default=5
        Epochs to wait for an improvement.
    class_weight : dict, 'balanced' or None, default=None
        What the loss of each class's rows is multiplied by; 'balanced' makes all classes weigh the same.
    warm_start : bool, default=False
        Whether `fit` begins from the coefficients there are.
    average : bool or int, default=False
        Use the mean of the weights after all updates; with a number, after those that follow so many rows.
    solver : str, default='auto'
        How the optimum is looked for:

        - 'newton': growing-batch stochastic Newton, for models of up to some 1,500 coefficients: nothing to tune, whatever the
          scales of the columns; see :doc:`/solvers`;
        - 'saga': variance-reduced mini-batches and then a quasi-Newton method, for larger ones;
        - 'descent': mini-batch gradient descent with an `optimizer`, whose name may also stand here;
        - 'auto': descent, if an optimizer, a learning rate, a batch size or averaging is asked for; otherwise what suits the
          model's size.
    batch_size : int, float, 'full' or 'auto', default='auto'
        Of descent. 'auto' tries some sizes and takes the one that comes as far with the least work; `partial_fit` takes 32.
        Rows an update sees: 1 is stochastic, a whole number or a fraction of the rows is mini-batch, and 'full' is batch
        gradient descent. scikit-learn's own class knows 1 only.
    optimizer : str or optimizer, default=None
        Of descent; by default 'sgd'.
        'sgd', 'momentum', 'nesterov', 'adagrad', 'rmsprop', 'adam' or 'adamw'; or a value from
        `fallline.optim.optimizers`, such as ``Adam(beta_1=0.95)``.
    momentum : float, default=0.9
        Of 'momentum' and 'nesterov'.
    decay, decay_epochs : float, default=0.1 and 10
        Of the schedules 'step' and 'exponential'.
    warmup : float or None, default=None
        Share of all updates in which 'cosine' (by default 0.05) and 'one_cycle' (0.3) rise.
    time_limit : float or None, default=None
        Seconds after which training ends; those that compiling takes, once on a machine, left out.

    Attributes
    ----------
    coef_ : ndarray of shape (1, columns) or (classes, columns)
        Coefficients, float32 if the data were.
    intercept_ : ndarray of shape (1,) or (classes,)
        Intercepts.
    classes_ : ndarray of shape (classes,)
        The classes, sorted; of two, the second is the positive one.
    n_iter_ : int
        Epochs made; the last may be unfinished.
    t_ : int
        Updates made, plus 1.
    optimality_ : float or None
        How far the objective is from its optimum, relative to what was gained over a model of intercepts alone, as nearly as
        training knows.
    history_ : History
        A record an epoch, and why training stopped (``history_.stop.message``).
    n_features_in_ : int
        Columns seen while training.
    feature_names_in_ : ndarray of shape (columns,)
        Their names, where X had names that are all strings.

    Notes
    -----
    The objective is :math:`\tfrac1n \sum_i s_i \ell(x_i \cdot w + b, y_i) + \alpha P(w)` with s the weights of the rows. By
    default training goes to its minimum, whatever the scales of the columns, and `optimality_` says how near it came.

    An update of descent moves down :math:`\tfrac{1}{|B|} \sum_{i \in B} s_i \nabla \ell_i` plus the penalty's gradient;
    :math:`|B|` is the number of rows really in the batch. With ``batch_size=1`` that is scikit-learn's own step. Its steps are of
    one size in all directions, so columns should be on one scale.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from fallline import SGDClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = SGDClassifier(loss="log_loss", random_state=0).fit(X, y)
    >>> round(model.score(X, y), 2), model.optimality_ < 1e-6
    (0.97, True)

    Mini-batch gradient descent, on columns of one scale:

    >>> from sklearn.preprocessing import StandardScaler
    >>> X = StandardScaler().fit_transform(X)
    >>> model = SGDClassifier(
    ...     loss="log_loss", batch_size=16, learning_rate="constant", eta0=0.1, random_state=0
    ... ).fit(X, y)
    >>> round(model.score(X, y), 2)
    0.99
    """

    classes_: np.ndarray

    _stratified = True

    def __init__(
        self,
        loss="hinge",
        *,
        penalty="l2",
        alpha=0.0001,
        l1_ratio=0.15,
        fit_intercept=True,
        max_iter=1000,
        tol="auto",
        shuffle=True,
        verbose=0,
        epsilon=0.1,
        n_jobs=None,
        random_state=None,
        learning_rate="auto",
        eta0=0.01,
        power_t=0.5,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=5,
        class_weight=None,
        warm_start=False,
        average=False,
        solver="auto",
        batch_size="auto",
        optimizer=None,
        momentum=0.9,
        decay=0.1,
        decay_epochs=10,
        warmup=None,
        time_limit=None,
    ):
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.epsilon = epsilon
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.average = average
        self.solver = solver
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.momentum = momentum
        self.decay = decay
        self.decay_epochs = decay_epochs
        self.warmup = warmup
        self.time_limit = time_limit

    def fit(
        self, X: Any, y: Any, coef_init: Any = None, intercept_init: Any = None, sample_weight: Any = None
    ) -> SGDClassifier:
        """Train until nothing improves any more, or `max_iter` epochs are made.

        Parameters
        ----------
        X : array-like or data frame of shape (n, columns)
        y : array-like of shape (n,)
            Labels: numbers, booleans or strings.
        coef_init : array-like of shape (1, columns) or (classes, columns), optional
            Coefficients to start from.
        intercept_init : array-like of shape (1,) or (classes,), optional
            Intercepts to start from.
        sample_weight : array-like of shape (n,), optional
            What each row's loss is multiplied by, beside the weight of its class.

        Returns
        -------
        self
        """
        with all_or_nothing(self), on_threads(self._threads()):
            return self._fit(X, y, coef_init, intercept_init, sample_weight)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> SGDClassifier:
        """Make one epoch of mini-batches over these rows, going on from where the last call ended.

        Parameters
        ----------
        X : array-like or data frame of shape (n, columns)
        y : array-like of shape (n,)
        classes : array-like, optional
            All classes there will be. Needed in the first call.
        sample_weight : array-like of shape (n,), optional
            What each row's loss is multiplied by, beside the weight of its class.

        Returns
        -------
        self
        """
        self._require_parts_suffice()
        if isinstance(self.class_weight, str):
            raise ParameterError(
                f"class_weight={self.class_weight!r} needs all the data, but partial_fit sees one part at a time. "
                "Compute weights on a sample with sklearn.utils.class_weight.compute_class_weight and pass them as a dict."
            )
        with all_or_nothing(self):
            self._announce(classes)
            return self._partial_fit(X, y, sample_weight)

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores (signed distances, log-odds, ...): positive for the second of two classes; one column a class for more.

        Parameters
        ----------
        X : array-like or data frame of shape (n, columns)

        Returns
        -------
        ndarray of shape (n,) or (n, classes)
        """
        scores = self._scores(X)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> np.ndarray:
        """The class with the highest score.

        Parameters
        ----------
        X : array-like or data frame of shape (n, columns)

        Returns
        -------
        ndarray of shape (n,)
        """
        numbers = highest(self._scores(X))
        return self.classes_[numbers]

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes, for 'log_loss', 'multinomial' and 'modified_huber'.

        Classes fitted one against the rest are scaled to sum to 1.

        Parameters
        ----------
        X : array-like or data frame of shape (n, columns)

        Returns
        -------
        ndarray of shape (n, classes)
            In the order of `classes_`.
        """
        scores = self._scores(X)
        return self._typed_loss().link.probabilities(scores)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of `predict_proba`.

        Parameters
        ----------
        X : array-like or data frame of shape (n, columns)

        Returns
        -------
        ndarray of shape (n, classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _threads(self):
        """How many threads `n_jobs` asks for; None for as many as are of use."""
        if self.n_jobs is None:
            return None
        if isinstance(self.n_jobs, bool) or not isinstance(self.n_jobs, Integral) or self.n_jobs == 0:
            raise ParameterError(
                f"n_jobs={self.n_jobs!r} is not a number of threads. Give one of at least 1, -1 for all cores, or None."
            )
        return effective_n_jobs(self.n_jobs)

    def _typed_loss(self):
        """The loss of one score, or of all classes together."""
        loss = make_loss(self.loss, self.get_params(deep=False), _suits)
        two_classes = len(getattr(self, "classes_", ())) == 2
        return LogLoss() if loss.domain == CLASSES and two_classes else loss

    def _announce(self, classes):
        """Learn in the first call of `partial_fit` which classes there are."""
        if classes is None:
            if not hasattr(self, "classes_"):
                raise InputError(
                    "The first call of partial_fit needs all classes, since a part of the data may lack some. Pass classes=[...]."
                )
            return
        if not hasattr(classes, "__len__"):
            raise InputError(
                f"classes={classes!r} is not a list of classes. Give all of them, e.g. np.unique(y)."
            )
        classes = find_classes(as_labels(classes, len(classes)))
        if hasattr(self, "classes_") and not np.array_equal(classes, self.classes_):
            raise InputError(
                f"partial_fit was called with classes {classes!r}, but began with {self.classes_!r}. Pass the same, or none."
            )
        self.classes_ = classes

    def _read_targets(self, y, n, dtype, *, new):
        labels = as_labels(y, n)
        if new:
            self.classes_ = find_classes(labels)
        numbers = class_numbers(labels, self.classes_)
        loss, class_weight = self._typed_loss(), self._class_weights(labels)
        row_weight = None if (class_weight == 1).all() else class_weight[numbers]
        if len(self.classes_) == 2:
            return loss, signs(numbers, dtype), 1, row_weight
        if loss.domain == CLASSES:
            return loss, numbers.astype(dtype), len(self.classes_), row_weight
        return OneVersusRest(loss, class_weight), numbers.astype(dtype), len(self.classes_), None

    def _class_weights(self, labels):
        """A weight a class."""
        if self.class_weight is None:
            return np.ones(len(self.classes_))
        if not (isinstance(self.class_weight, dict) or self.class_weight == "balanced"):
            raise ParameterError(
                f"class_weight={self.class_weight!r} is not a dict, 'balanced' or None. Give one of them."
            )
        if isinstance(self.class_weight, dict):
            for label, weight in self.class_weight.items():
                number(f"class_weight[{label!r}]", weight, at_least=0)
        try:
            return compute_class_weight(self.class_weight, classes=self.classes_, y=labels)
        except ValueError as error:
            raise ParameterError(
                f"class_weight={self.class_weight!r} does not fit the classes {self.classes_!r}: {error}"
            ) from error

    def _doubts(self, run, stop, solver):
        """See `LinearSGD._doubts`; and whether the optimum tells classes apart at all."""
        doubts = list(super()._doubts(run, stop, solver))
        yield from doubts
        kept_at_zero = shrinks(run.engine.penalty)
        if doubts or kept_at_zero or self.coef_.any() or solver.name == "descent":
            return
        if bends(run.engine.loss):
            yield (
                f"At the optimum of loss={self.loss!r} no column is of use: all coefficients are 0, as happens where classes are "
                "rare. Others may tell more: loss='log_loss', or class_weight='balanced'."
            )

    def _score(self, loss, source, weights):
        """Accuracy on a source."""
        targets, weight = source.targets()
        numbers = targets[:, 0] > 0 if len(self.classes_) == 2 else targets[:, 0]
        return accuracy_score(numbers, highest(LinearEngine.predict(source, weights)), sample_weight=weight)
