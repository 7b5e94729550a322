"""The rivals, one small file each.

A rival is a module with a `NAME`, the `ORDERS` in which it can visit rows (True: reshuffled in every epoch, False: in
order), and `fit(X, y, batch_size, shuffle, epochs)`, which trains logistic regression from zero by plain mini-batch
gradient descent at a constant rate of 0.01, as a user of that library would write it.
"""

from __future__ import annotations

import importlib
import pkgutil

RATE = 0.01


def available():
    """The rivals whose libraries are installed, and the names of those that are not."""
    present, absent = [], []
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        try:
            present.append(importlib.import_module(module.name))
        except ImportError:
            absent.append(module.name.rpartition(".")[2])
    return present, absent
