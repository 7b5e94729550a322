"""A plain PyTorch loop, as tutorials write it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from fallline.comparison.contenders.base import Contender, Snapshot, Stopwatch, marks
from fallline.comparison.problem import Problem

__all__ = ["PyTorch", "pytorch"]


class PyTorch(Contender):
    """`DataLoader(TensorDataset(...), shuffle=True)`, a linear layer, autograd and `torch.optim.SGD`."""

    def trace(
        self, problem: Problem, rate: float, seed: int, epochs: int, records: int
    ) -> Iterator[Snapshot]:
        """Train; see `Contender.trace`."""
        batch_size = min(self.batch_size or problem.n, problem.n)
        per_epoch = math.ceil(problem.n / batch_size)
        watch, updates = Stopwatch(), 0
        with watch.running():
            model, optimizer, criterion = _model(problem, rate)
            steps = _steps(model, optimizer, criterion, _loader(problem, batch_size, seed))
        for mark in marks(epochs * per_epoch, records):
            with watch.running():
                while updates < mark:
                    next(steps)
                    updates += 1
            rows = updates // per_epoch * problem.n + updates % per_epoch * batch_size
            yield Snapshot(updates, rows, watch.seconds, _weights(model))


def _steps(model, optimizer, criterion, loader):
    """Training, an update at a time, without end."""
    while True:
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y) / len(x)
            loss.backward()
            optimizer.step()
            yield


def _loader(problem, batch_size, seed):
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    targets = problem.targets if problem.task == "regression" else problem.targets > 0
    data = TensorDataset(torch.from_numpy(problem.X), torch.from_numpy(targets.astype(np.float32)))
    return DataLoader(
        data, batch_size=batch_size, shuffle=True, generator=torch.Generator().manual_seed(seed)
    )


def _model(problem, rate):
    import torch

    model = torch.nn.Linear(problem.X.shape[1], problem.outputs)
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    groups: list[dict[str, Any]] = [
        {"params": [model.weight], "weight_decay": problem.alpha},
        {"params": [model.bias], "weight_decay": 0.0},
    ]
    if problem.task == "regression":
        return (
            model,
            torch.optim.SGD(groups, lr=rate),
            lambda scores, y: 0.5 * torch.nn.functional.mse_loss(scores, y, reduction="sum"),
        )
    return model, torch.optim.SGD(groups, lr=rate), torch.nn.BCEWithLogitsLoss(reduction="sum")


def _weights(model):
    weight, bias = (parameter.detach().numpy().astype(np.float64) for parameter in (model.weight, model.bias))
    return np.column_stack([weight, bias])


def pytorch(batch_size: int) -> PyTorch:
    """The contender of that batch size."""
    return PyTorch("pytorch", f"PyTorch loop ({batch_size} rows)", "rival", batch_size)
