"""Outlier detection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.utils.validation import check_is_fitted

from fallline.data.rows import ArraySource, as_rows
from fallline.engines.threads import single_threaded
from fallline.errors import ParameterError
from fallline.estimators.base import LinearSGD
from fallline.estimators.coefficients import initial_values
from fallline.estimators.common import all_or_nothing
from fallline.objective.losses.hinge import Hinge
from fallline.objective.losses.quantile import Quantile
from fallline.objective.penalties import Linear
from fallline.settings import number

__all__ = ["SGDOneClassSVM"]


class SGDOneClassSVM(OutlierMixin, LinearSGD):
    r"""The linear one-class support vector machine: a half-space that holds most of the rows, as far from 0 as possible.

    Takes the parameters of :class:`sklearn.linear_model.SGDOneClassSVM` with the same meaning, and adds solvers without a rate,
    mini-batches, optimizers and schedules. After a map such as :class:`sklearn.kernel_approximation.Nystroem` it comes close to
    :class:`sklearn.svm.OneClassSVM`, in time that grows with the rows instead of with their square.

    Parameters
    ----------
    nu : float, default=0.5
        At most this share of the rows lies outside, and at least this share outside or on the border; above 0, up to 1. Also
        the strength of the penalty.
    fit_intercept : bool, default=True
        Whether to fit the offset; otherwise it stays where it begins, at 0.
    max_iter : int, default=1000
        Epochs (passes over the rows) at most.
    tol : float or None, default='auto'
        As for :class:`fallline.SGDClassifier`.
    shuffle : bool, default=True
        Visit the rows in a new random order in every epoch.
    verbose : int, default=0
        Above 0, show a progress bar and how training ended, on standard error.
    random_state : int, RandomState instance or None, default=None
        Chooses the orders of the rows. The same integer gives the same model, bit for bit.
    learning_rate : str or schedule, default='auto'
        As for :class:`fallline.SGDClassifier`, with `nu` in the place of alpha in 'optimal', which is scikit-learn's default.
    eta0 : float, default=0.01
        The first, or highest, rate.
    power_t : float, default=0.5
        Exponent of 'invscaling'.
    warm_start : bool, default=False
        Whether `fit` begins from the coefficients there are.
    average : bool or int, default=False
        Use the mean of the weights after all updates; with a number, after those that follow so many rows.
    n_iter_no_change : int, default=5
        Epochs to wait for an improvement.
    solver, batch_size, optimizer, momentum, decay, decay_epochs, warmup, time_limit
        As for :class:`fallline.SGDClassifier`.

    Attributes
    ----------
    coef_ : ndarray of shape (columns,)
        Coefficients w, float32 if the data were.
    offset_ : ndarray of shape (1,)
        The offset :math:`\rho`, which decisions subtract from the scores.
    n_iter_ : int
        Epochs made; the last may be unfinished.
    t_ : int
        Updates made, plus 1.
    optimality_ : float or None
        As for :class:`fallline.SGDClassifier`.
    history_ : History
        A record an epoch, and why training stopped (``history_.stop.message``).
    n_features_in_ : int
        Columns seen while training.
    feature_names_in_ : ndarray of shape (columns,)
        Their names, where X had names that are all strings.

    Notes
    -----
    The objective is that of Schölkopf et al. (Estimating the support of a high-dimensional distribution, 2001), times nu:

    .. math:: \tfrac{\nu}{2} \|w\|^2 - \nu \rho + \tfrac1n \sum_i s_i \max(0, \rho - x_i \cdot w)

    with s the weights of the rows. Descent sees a hinge loss whose rows are all of the positive class, with the intercept
    :math:`b = 1 - \rho` and a penalty :math:`\nu b` on it.

    The other solvers see a quantile regression. With :math:`S = \tfrac1n \sum_i s_i` and :math:`\bar x` the weighted mean of
    the rows, :math:`-\nu \rho = \tfrac{\nu}{S} \tfrac1n \sum_i s_i (x_i \cdot w - \rho) - \nu \bar x \cdot w`. The first term
    joins each row's loss, which becomes the quantile loss at :math:`1 - \nu / S`; the second makes :math:`\|w\|^2` a
    :math:`\|w - \bar x\|^2`, up to a constant. So :math:`v = w - \bar x` are the coefficients of a quantile regression of
    :math:`-\bar x \cdot x_i` on the rows, with the penalty :math:`\tfrac{\nu}{2} \|v\|^2` and the intercept :math:`-\rho`.

    Examples
    --------
    >>> import numpy as np
    >>> from fallline import SGDOneClassSVM
    >>> X = np.random.default_rng(0).normal(2.0, 0.1, size=(200, 2))
    >>> model = SGDOneClassSVM(nu=0.1, random_state=0).fit(X)
    >>> model.predict([[2.0, 2.0], [0.1, 0.2]])
    array([ 1, -1])
    >>> (model.predict(X) < 0).mean() < 0.15
    np.True_
    """

    # What the other estimators let users choose.
    penalty = "l2"
    l1_ratio = 0.0
    early_stopping = False

    def __init__(
        self,
        nu=0.5,
        fit_intercept=True,
        max_iter=1000,
        tol="auto",
        shuffle=True,
        verbose=0,
        random_state=None,
        learning_rate="auto",
        eta0=0.01,
        power_t=0.5,
        warm_start=False,
        average=False,
        n_iter_no_change=5,
        solver="auto",
        batch_size="auto",
        optimizer=None,
        momentum=0.9,
        decay=0.1,
        decay_epochs=10,
        warmup=None,
        time_limit=None,
    ):
        self.nu = nu
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.warm_start = warm_start
        self.average = average
        self.n_iter_no_change = n_iter_no_change
        self.solver = solver
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.momentum = momentum
        self.decay = decay
        self.decay_epochs = decay_epochs
        self.warmup = warmup
        self.time_limit = time_limit

    def fit(
        self, X: Any, y: Any = None, coef_init: Any = None, offset_init: Any = None, sample_weight: Any = None
    ) -> SGDOneClassSVM:
        """Train until nothing improves any more, or `max_iter` epochs are made.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n, columns)
        y : ignored
        coef_init : array-like of shape (columns,), optional
            Coefficients to start from.
        offset_init : float or array-like of shape (1,), optional
            The offset to start from.
        sample_weight : array-like of shape (n,), optional
            What each row's loss is multiplied by.

        Returns
        -------
        self
        """
        intercept = None if offset_init is None else 1 - initial_values("offset_init", offset_init, (1,))
        with all_or_nothing(self):
            return self._fit(X, y, coef_init, intercept, sample_weight)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> SGDOneClassSVM:
        """Make one epoch of mini-batches over these rows, going on from where the last call ended.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n, columns)
        y : ignored
        sample_weight : array-like of shape (n,), optional
            What each row's loss is multiplied by.

        Returns
        -------
        self
        """
        self._require_parts_suffice()
        with all_or_nothing(self):
            self._centre = None
            return self._partial_fit(X, y, sample_weight)

    def score_samples(self, X: Any) -> np.ndarray:
        """The scores x . w, from which no offset is subtracted.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n, columns)

        Returns
        -------
        ndarray of shape (n,)
        """
        check_is_fitted(self)
        return self._scores(X, intercepts=np.zeros_like(self.intercept_))[:, 0]

    def decision_function(self, X: Any) -> np.ndarray:
        """The scores less the offset: positive inside, negative outside.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n, columns)

        Returns
        -------
        ndarray of shape (n,)
        """
        check_is_fitted(self)
        return self._scores(X, intercepts=-self.offset_)[:, 0]

    def predict(self, X: Any) -> np.ndarray:
        """1 for rows inside, -1 for outliers.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n, columns)

        Returns
        -------
        ndarray of shape (n,)
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    @property
    def alpha(self) -> float:
        """The strength of the penalty."""
        return number("nu", self.nu, above=0, at_most=1)

    @property
    def offset_(self) -> np.ndarray:
        """What decisions subtract from the scores."""
        return 1 - self.intercept_

    def _read_targets(self, y, n, dtype, *, new):
        return Hinge(), np.ones((n, 1), dtype), 1, None

    _centre: np.ndarray | None

    def _as_trained(self, loss, targets, matrix, weight):
        """The quantile regression of the notes, unless descent is asked for."""
        self._centre = None
        share = self.alpha if weight is None else self.alpha / weight.mean(dtype=np.float64)
        if share >= 1 and self.solver in {"newton", "saga"}:
            raise ParameterError(
                f"nu={self.nu!r} is not below the mean weight of the rows: they are all outside, wherever the offset is beyond "
                f"them, and solver={self.solver!r} finds no optimum. Give a smaller nu, or use solver='descent'."
            )
        if share >= 1 or super()._solver(loss, matrix.shape[1], 1).name == "descent":
            return super()._as_trained(loss, targets, matrix, weight)
        weight = np.ones(len(targets)) if weight is None else weight.astype(np.float64)
        with single_threaded():
            centre = matrix.T @ weight / weight.sum()
            along = matrix @ centre
        if not np.isfinite(centre).all():
            ArraySource(as_rows(matrix)).require_finite(np.arange(len(targets), dtype=np.uint64))
        self._centre = centre
        return Quantile(1 - share), -along.astype(matrix.dtype)[:, np.newaxis]

    def _solver(self, loss, columns, outputs):
        if isinstance(loss, Quantile):
            return super()._solver(loss, columns, outputs)
        return (
            super()._solver(loss, columns, outputs)._replace(name="descent", reason="nu leaves no row inside")
        )

    def _engine_for(self, solver, loss, epochs, *, without_end=False):
        engine_for = super()._engine_for(solver, loss, epochs, without_end=without_end)

        def with_penalty(rate, batch_size, updates):
            return replace(engine_for(rate, batch_size, updates), intercept_penalty=Linear(self.alpha))

        return with_penalty

    def _initial(self, coef_init, intercept_init, outputs, columns):
        if self._centre is not None and coef_init is None and intercept_init is None:
            return None
        intercept = np.ones(1) if intercept_init is None else intercept_init
        weights = super()._initial(coef_init, intercept, outputs, columns)
        return weights if self._centre is None else weights - np.append(self._centre, 1.0)

    def _publish(self, state, weights, stop):
        if self._centre is not None:
            weights = (weights + np.append(self._centre, 1.0)).astype(weights.dtype)
        super()._publish(state, weights, stop)
        self.coef_ = self.coef_[0]
