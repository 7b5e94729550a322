"""fallline, the module engine."""

from __future__ import annotations

import fallline.torch
from module_rivals import RATE, network

NAME = "`fallline.torch.fit`"


def fit(X, y, hidden, batch_size, epochs):
    """One call."""
    module, _ = network(X, y, hidden)
    loss = "mse" if y.ndim == 2 else "cross_entropy"
    fallline.torch.fit(
        module,
        (X, y),
        loss=loss,
        optimizer="adam",
        learning_rate=RATE,
        batch_size=batch_size,
        epochs=epochs,
        progress=False,
    )
