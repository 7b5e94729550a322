"""PyTorch without a loader: a permutation, indexing, autograd and SGD."""

from __future__ import annotations

import torch

from rivals import RATE

NAME = "PyTorch, randperm and index"
ORDERS = (True,)


def fit(X, y, batch_size, shuffle, epochs):
    """Autograd and SGD on rows picked by index."""
    torch.set_num_threads(1)
    model = torch.nn.Linear(X.shape[1], 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, weight_decay=1e-4)
    loss = torch.nn.BCEWithLogitsLoss()
    data, labels = torch.from_numpy(X), torch.from_numpy(y).float()
    for _ in range(epochs):
        for rows in torch.randperm(len(data)).split(batch_size):
            optimizer.zero_grad()
            loss(model(data[rows])[:, 0], labels[rows]).backward()
            optimizer.step()
