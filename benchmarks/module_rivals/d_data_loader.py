"""PyTorch as its tutorials write it: a DataLoader over a TensorDataset."""

from __future__ import annotations

import torch
from torch.utils.data import DataLoader, TensorDataset

from module_rivals import RATE, network

NAME = "PyTorch, DataLoader"


def fit(X, y, hidden, batch_size, epochs):
    """Batches from a loader."""
    module, loss = network(X, y, hidden)
    optimizer = torch.optim.Adam(module.parameters(), lr=RATE)
    data = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    for _ in range(epochs):
        for rows, targets in DataLoader(data, batch_size=batch_size, shuffle=True):
            optimizer.zero_grad()
            loss(module(rows), targets).backward()
            optimizer.step()
