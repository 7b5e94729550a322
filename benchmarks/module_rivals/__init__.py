"""The same network, trained by whatever trains networks: one small file each.

A rival is a module with a `NAME` and `fit(X, y, hidden, batch_size, epochs)`, which trains a network of one hidden layer and ReLU
on NumPy arrays by Adam at a rate of 0.001, as a user of that library would write it: classes are int64 targets and cross-entropy,
numbers float32 targets (n, 1) and the squared error. Reports, checkpoints and progress bars are off.
"""

from __future__ import annotations

import importlib
import pkgutil

RATE = 1e-3


def network(X, y, hidden):
    """The network, and the loss that suits the targets."""
    import torch

    outputs = 1 if y.ndim == 2 else int(y.max()) + 1
    layers = torch.nn.Sequential(
        torch.nn.Linear(X.shape[1], hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, outputs)
    )
    return layers, torch.nn.functional.mse_loss if y.ndim == 2 else torch.nn.functional.cross_entropy


def available():
    """The rivals whose libraries are installed, and the names of those that are not."""
    present, absent = [], []
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        try:
            present.append(importlib.import_module(module.name))
        except ImportError:
            absent.append(module.name.rpartition(".")[2])
    return present, absent
