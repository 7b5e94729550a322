"""skorch, which gives PyTorch modules scikit-learn's interface."""

from __future__ import annotations

import torch
from skorch import NeuralNet

from module_rivals import RATE, network

NAME = "skorch"


def fit(X, y, hidden, batch_size, epochs):
    """Without the split for validation, and silent."""
    module, _ = network(X, y, hidden)
    criterion = torch.nn.MSELoss if y.ndim == 2 else torch.nn.CrossEntropyLoss
    net = NeuralNet(
        module, criterion, optimizer=torch.optim.Adam, lr=RATE, batch_size=batch_size, max_epochs=epochs, train_split=None,
        iterator_train__shuffle=True, verbose=0,
    )  # fmt: skip
    net.fit(X, y)
