"""Regression."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from fallline.data.arrays import as_numbers
from fallline.engines.linear import LinearEngine
from fallline.estimators.base import LinearSGD
from fallline.estimators.common import all_or_nothing
from fallline.settings import make_loss

__all__ = ["SGDRegressor"]


def _suits(loss):
    """Whether a loss takes numbers."""
    return not loss.domain.classes


class SGDRegressor(RegressorMixin, LinearSGD):
    r"""Linear regression, by default to the optimum with nothing to tune; or by mini-batch gradient descent.

    Takes the parameters of :class:`sklearn.linear_model.SGDRegressor` with the same meaning, and adds solvers, mini-batches,
    optimizers, schedules, losses and several targets. Where neither an optimizer nor a learning rate, a batch size or averaging
    is given, nothing has to be: see `solver`.

    Parameters
    ----------
    loss : str or loss, default='squared_error'
        'squared_error', 'huber', 'epsilon_insensitive', 'squared_epsilon_insensitive', 'quantile', 'poisson', 'gamma' or
        'tweedie'; or a value from `fallline.objective.losses`. The last three predict through a logarithmic link.
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
        - 'pa1', 'pa2': passive-aggressive, with ``loss='epsilon_insensitive'``: each row asks for a step along itself to where
          its loss would be 0, of at most `eta0` with 'pa1' and the shorter the smaller `eta0` with 'pa2'; an update is their
          mean;
        - or a value from `fallline.optim.schedules`, its lengths in updates.
    eta0 : float, default=0.01
        The first, or highest, rate; the aggressiveness C of 'pa1' and 'pa2'.
    power_t : float, default=0.25
        Exponent of 'invscaling'.
    early_stopping : bool, default=False
        Hold out a part of the rows, stop when the score on it improves no more, and keep the best weights.
    validation_fraction : float, default=0.1
        The part held out.
    n_iter_no_change : int, default=5
        Epochs to wait for an improvement.
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
    quantile : float, default=0.5
        The quantile that 'quantile' predicts.
    power : float, default=1.5
        The power of 'tweedie'.

    Attributes
    ----------
    coef_ : ndarray of shape (columns,) or (targets, columns)
        Coefficients, float32 if the data were.
    intercept_ : ndarray of shape (1,) or (targets,)
        Intercepts.
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
    >>> from sklearn.datasets import load_diabetes
    >>> from fallline import SGDRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = SGDRegressor(random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.5, model.optimality_ < 1e-6
    (True, True)

    Mini-batch gradient descent, on columns of one scale:

    >>> from sklearn.preprocessing import StandardScaler
    >>> X = StandardScaler().fit_transform(X)
    >>> model = SGDRegressor(batch_size=16, learning_rate="invscaling", eta0=0.05, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.5
    True
    """

    def __init__(
        self,
        loss="squared_error",
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
        random_state=None,
        learning_rate="auto",
        eta0=0.01,
        power_t=0.25,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=5,
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
        quantile=0.5,
        power=1.5,
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
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
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
        self.quantile = quantile
        self.power = power

    def fit(
        self, X: Any, y: Any, coef_init: Any = None, intercept_init: Any = None, sample_weight: Any = None
    ) -> SGDRegressor:
        """Train until nothing improves any more, or `max_iter` epochs are made.

        Parameters
        ----------
        X : array-like or data frame of shape (n, columns)
        y : array-like of shape (n,) or (n, targets)
        coef_init : array-like of shape (columns,) or (targets, columns), optional
            Coefficients to start from.
        intercept_init : array-like of shape (1,) or (targets,), optional
            Intercepts to start from.
        sample_weight : array-like of shape (n,), optional
            What each row's loss is multiplied by.

        Returns
        -------
        self
        """
        with all_or_nothing(self):
            return self._fit(X, y, coef_init, intercept_init, sample_weight)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> SGDRegressor:
        """Make one epoch of mini-batches over these rows, going on from where the last call ended.

        Parameters
        ----------
        X : array-like or data frame of shape (n, columns)
        y : array-like of shape (n,) or (n, targets)
        sample_weight : array-like of shape (n,), optional
            What each row's loss is multiplied by.

        Returns
        -------
        self
        """
        self._require_parts_suffice()
        with all_or_nothing(self):
            return self._partial_fit(X, y, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """Expected targets.

        Parameters
        ----------
        X : array-like or data frame of shape (n, columns)

        Returns
        -------
        ndarray of shape (n,) or (n, targets)
            In the units of y: for losses with a logarithmic link, e to the linear prediction.
        """
        scores = self._scores(X)
        means = self._loss.link.mean(scores)
        return means if self._several else means[:, 0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _read_targets(self, y, n, dtype, *, new):
        loss = make_loss(self.loss, self.get_params(deep=False), _suits)
        targets = as_numbers(y, n, dtype)
        loss.domain.check(targets, self.loss)
        self._loss = loss
        self._several = targets.ndim == 2 and targets.shape[1] > 1
        return loss, targets.reshape(n, -1), targets.size // n, None

    def _adopt(self, coefficients, intercepts, t):
        super()._adopt(coefficients, intercepts, t)
        self._loss = make_loss(self.loss, self.get_params(deep=False), _suits)
        self._several = coefficients.ndim == 2

    def _publish(self, state, weights, stop):
        super()._publish(state, weights, stop)
        if not self._several:
            self.coef_ = self.coef_[0]

    def _score(self, loss, source, weights):
        """R2 on a source."""
        y, weight = source.targets()
        return r2_score(
            y[:, : len(weights)], loss.link.mean(LinearEngine.predict(source, weights)), sample_weight=weight
        )
