"""Classification by a network."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.metaestimators import available_if

from fallline.errors import InputError
from fallline.estimators.common import all_or_nothing
from fallline.estimators.mlp.base import MultilayerPerceptron
from fallline.estimators.mlp.labels import Labels
from fallline.estimators.mlp.settings import stochastic_only

__all__ = ["MLPClassifier"]


class MLPClassifier(ClassifierMixin, MultilayerPerceptron):
    r"""Classification by a multi-layer perceptron, trained by PyTorch.

    Takes the parameters of :class:`sklearn.neural_network.MLPClassifier` with the same meanings and, but for the width of the
    hidden layer, the same defaults, and adds dropout, batch normalisation, embeddings of categories, batches in fractions, and
    devices. Columns of numbers should be on one scale: standardise them first.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(256,)
        Units of each hidden layer; with none, a linear model.
    activation : {'identity', 'logistic', 'tanh', 'relu', 'gelu', 'silu'}, default='relu'
        What hidden layers do to their sums.
    solver : {'sgd', 'adam', 'lbfgs'}, default='adam'
        Mini-batch gradient descent with momentum; Adam; or L-BFGS on all rows at once, for small data.
    alpha : float, default=0.0001
        Strength of the penalty: half the sum of the squares of all weights, biases left out, times alpha, divided by the rows
        of each batch (with sample weights, by their sum).
    batch_size : int, float or str, default='auto'
        Rows that an update of 'sgd' or 'adam' sees: a whole number; a fraction of all rows; "full" for all; 'auto' for 200,
        or all if they are fewer.
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        How the rate of 'sgd' develops: as it is; ``learning_rate_init / (rows seen + 1)**power_t`` after every epoch; or
        divided by 5 whenever training would otherwise stop, until it is below 1e-6.
    learning_rate_init : float, default=0.001
        The first rate, of 'sgd' and 'adam'.
    power_t : float, default=0.5
        Of 'invscaling'.
    max_iter : int, default=200
        Epochs (passes over the rows) at most; for 'lbfgs', iterations.
    shuffle : bool, default=True
        Visit the rows in a new random order in every epoch; not for 'lbfgs'.
    random_state : int, RandomState, Generator or None, default=None
        Chooses the first weights, which for an integer are scikit-learn's own, the rows held out, the orders, and what
        dropout leaves out. The same integer gives the same model, bit for bit.
    tol : float, default=0.0001
        Training stops when the loss (or, with `early_stopping`, the validation score) has not improved by this much in more
        than `n_iter_no_change` epochs running; 'lbfgs', when no derivative is larger.
    verbose : bool, default=False
        Whether to print loss and score after every epoch.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights that there are.
    momentum : float, default=0.9
        Of 'sgd', from 0 to 1.
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    early_stopping : bool, default=False
        Whether to hold rows out, to stop when the network gets no better on them, and to take the weights that were best
        there; not for 'lbfgs'.
    validation_fraction : float, default=0.1
        The share of rows held out.
    beta_1, beta_2 : float, default=0.9 and 0.999
        How slowly the means of 'adam' change.
    epsilon : float, default=1e-08
        What keeps 'adam' from dividing by 0.
    n_iter_no_change : int or inf, default=10
        See `tol`.
    max_fun : int, default=15000
        How often 'lbfgs' may evaluate the loss.
    dropout : float, default=0.0
        Share of hidden units left out of every row while training, at random.
    batch_norm : bool, default=False
        Whether the sums of hidden layers are normalised by the means and variances of the batch.
    embeddings : 'auto', int, dict of str to int, or None, default='auto'
        How many numbers stand for a category, where X is a data frame with columns of categories or text: 'auto' takes half
        as many as there are categories, and 50 at most; a dict says it column by column, and makes categories of columns of
        numbers, too. A category that was not there in training is all zeros. None refuses such columns, as scikit-learn does.
    device : str or device, default='auto'
        Where to train and to predict: 'auto' takes a GPU where PyTorch finds one, otherwise the processor.
    time_limit : float or None, default=None
        Seconds after which training ends.

    Attributes
    ----------
    classes_ : ndarray of shape (classes,)
        The labels, sorted.
    coefs_ : list of ndarray of shape (inputs, units)
        The weights of each layer, float32 if the data were. Those of the first see the columns of numbers, then the
        embeddings.
    intercepts_ : list of ndarray of shape (units,)
        Its biases.
    embeddings_ : dict of str to ndarray of shape (categories, size)
        Where there are columns of categories: what stands for each, in sorted order.
    loss_ : float
        The latest, the penalty included.
    best_loss_ : float or None
        The lowest; None with `early_stopping`.
    loss_curve_ : list of float
        One an epoch: the mean of the batches' losses as they were met. (Not for 'lbfgs', nor the next two.)
    validation_scores_ : list of float or None
        With `early_stopping`, one an epoch: the accuracy.
    best_validation_score_ : float or None
        The highest.
    n_iter_ : int
        Epochs made, or iterations of 'lbfgs', in the last call.
    t_ : int
        Rows seen in all epochs.
    n_layers_, n_outputs_ : int
        Layers, the rows themselves counted, and scores of a row.
    out_activation_ : str
        What makes predictions of scores: 'softmax', or 'logistic' for two classes and for several labels a row.
    history_ : History
        A record an epoch, and why training stopped (``history_.stop.message``).
    n_features_in_ : int
        Columns seen while training.
    feature_names_in_ : ndarray of shape (columns,)
        Their names, where X had names that are all strings.

    Notes
    -----
    The loss of a batch B is the mean, weighted by the rows' weights s, of the cross-entropies, plus the penalty:
    :math:`\tfrac{1}{S} \bigl( \sum_{i \in B} s_i \ell_i + \tfrac{\alpha}{2} \lVert W \rVert^2 \bigr)` with
    :math:`S = \sum_{i \in B} s_i`. With more than two classes the scores become probabilities together (softmax); with two, and
    with several labels a row, each by itself (logistic).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fallline import MLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = MLPClassifier(learning_rate_init=0.01, tol=1e-3, random_state=0).fit(X[:1500] / 16, y[:1500])
    >>> model.score(X[1500:] / 16, y[1500:]) > 0.9
    True
    """

    classes_: np.ndarray

    def __init__(
        self,
        hidden_layer_sizes=(256,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        dropout=0.0,
        batch_norm=False,
        embeddings="auto",
        device="auto",
        time_limit=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.embeddings = embeddings
        self.device = device
        self.time_limit = time_limit

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPClassifier:
        """Train until the loss falls no more, or `max_iter` epochs are made.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, columns)
        y : array-like of shape (n,) or (n, labels)
            Labels: numbers, booleans or strings; or a column of 0 and 1 for each label, of which a row may have several.
        sample_weight : array-like of shape (n,), optional
            How much each row counts.

        Returns
        -------
        self

        Raises
        ------
        MissingDependencyError
            If PyTorch is not installed.
        """
        with all_or_nothing(self):
            return self._fit(X, y, sample_weight, part=False)

    @available_if(stochastic_only)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """Make one epoch over these rows, going on from where the last call ended; not for 'lbfgs'.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, columns)
        y : array-like of shape (n,) or (n, labels)
        sample_weight : array-like of shape (n,), optional
            How much each row counts.
        classes : array-like, optional
            All classes there will be. Needed in the first call.

        Returns
        -------
        self
        """
        with all_or_nothing(self):
            self._announce(classes, y)
            return self._fit(X, y, sample_weight, part=True)

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class; or of several labels, those that are likelier than not.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, columns)

        Returns
        -------
        ndarray of shape (n,) or (n, labels)
        """
        scores = self._scores(X)
        return self._labels.decode(scores)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes, or of each label.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, columns)

        Returns
        -------
        ndarray of shape (n, classes)
            In the order of `classes_`.
        """
        scores = self._scores(X)
        return self._labels.probabilities(scores)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of `predict_proba`.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, columns)

        Returns
        -------
        ndarray of shape (n, classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @property
    def _loss(self):
        return self.out_activation_

    @property
    def _outputs(self):
        return self._labels.outputs

    def _announce(self, classes, y):
        """Learn in the first call of `partial_fit` which classes there are."""
        if classes is None:
            if not hasattr(self, "classes_"):
                raise InputError(
                    "The first call of partial_fit needs all classes, since a part of the data may lack some. Pass classes=[...]."
                )
            return
        labels = Labels.announced(classes, y)
        if hasattr(self, "classes_") and not np.array_equal(labels.classes, self.classes_):
            raise InputError(
                f"partial_fit was called with classes {labels.classes!r}, but began with {self.classes_!r}. Pass the same, or "
                "none."
            )
        self._adopt(labels)

    def _adopt(self, labels):
        self._labels, self.classes_, self.out_activation_ = labels, labels.classes, labels.activation

    def _read_targets(self, y, n, dtype, *, first, part):
        if part:
            return self._labels.encode(y, n)
        labels = Labels.found_in(y, n)
        if not first and not labels.same(self._labels):
            raise InputError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously got "
                f"{self.classes_}, `y` has {labels.classes}. Train a new network for others: warm_start=False."
            )
        self._adopt(labels)
        return labels.encode(y, n)

    def _strata(self, targets, share):
        return self._labels.strata(targets, share)

    def _score(self, scores, targets, weight):
        """Accuracy; of several labels, the share of rows that have all of them right."""
        numbers = targets if self._labels.several else targets[:, 0]
        return float(accuracy_score(numbers, self._labels.numbers(scores), sample_weight=weight))
