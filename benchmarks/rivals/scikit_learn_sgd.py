"""scikit-learn's SGDClassifier: one row at a time, whatever the batch size asked for."""

from __future__ import annotations

from sklearn.linear_model import SGDClassifier

from rivals import RATE

NAME = "scikit-learn SGDClassifier (batch 1)"
ORDERS = (True, False)


def fit(X, y, batch_size, shuffle, epochs):
    """Train on the whole array."""
    SGDClassifier(
        loss="log_loss",
        learning_rate="constant",
        eta0=RATE,
        max_iter=epochs,
        tol=None,
        shuffle=shuffle,
        random_state=0,
    ).fit(X, y)
