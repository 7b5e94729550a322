"""fallline's own classifier."""

from __future__ import annotations

from fallline import SGDClassifier
from rivals import RATE

NAME = "fallline"
ORDERS = (True, False)


def fit(X, y, batch_size, shuffle, epochs):
    """Train as the scikit-learn surface does, everything included."""
    SGDClassifier(
        loss="log_loss", learning_rate="constant", eta0=RATE, batch_size=batch_size, max_iter=epochs, tol=None, shuffle=shuffle,
        random_state=0,
    ).fit(X, y)  # fmt: skip
