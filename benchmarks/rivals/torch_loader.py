"""PyTorch as its tutorials write it: a DataLoader over a TensorDataset."""

from __future__ import annotations

import torch
from torch.utils.data import DataLoader, TensorDataset

from rivals import RATE

NAME = "PyTorch, DataLoader"
ORDERS = (True,)


def fit(X, y, batch_size, shuffle, epochs):
    """Autograd and SGD on batches from a loader."""
    torch.set_num_threads(1)
    model = torch.nn.Linear(X.shape[1], 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, weight_decay=1e-4)
    loss = torch.nn.BCEWithLogitsLoss()
    data = TensorDataset(torch.from_numpy(X), torch.from_numpy(y).float())
    for _ in range(epochs):
        for rows, targets in DataLoader(data, batch_size=batch_size, shuffle=shuffle):
            optimizer.zero_grad()
            loss(model(rows)[:, 0], targets).backward()
            optimizer.step()
