"""scikit-learn's multi-layer perceptron, in NumPy."""

from __future__ import annotations

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from module_rivals import RATE

NAME = "scikit-learn"


def fit(X, y, hidden, batch_size, epochs):
    """So many epochs, whatever the loss does."""
    kind, y = (MLPRegressor, y.ravel()) if y.ndim == 2 else (MLPClassifier, y)
    model = kind(
        hidden_layer_sizes=(hidden,),
        alpha=0.0,
        batch_size=batch_size,
        learning_rate_init=RATE,
        max_iter=epochs,
        n_iter_no_change=epochs + 1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
