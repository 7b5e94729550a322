"""The other loop that is written by hand: every batch is gathered, and the optimizer is fused."""

from __future__ import annotations

import torch

from module_rivals import RATE, network

NAME = "PyTorch by hand, gather every batch, fused"


def fit(X, y, hidden, batch_size, epochs):
    """Batches by their row numbers."""
    module, loss = network(X, y, hidden)
    optimizer = torch.optim.Adam(module.parameters(), lr=RATE, fused=True)
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(batch_size):
            optimizer.zero_grad()
            loss(module(X[rows]), y[rows]).backward()
            optimizer.step()
