"""fallline: train models by mini-batch gradient descent.

The one way that data flows::

    source ──▶ order ──▶ blocks ──▶ engine.sweep ──▶ monitors ──▶ model
    where rows  which     rows,       many mini-      who may      weights
    come from   row when  target,     batch updates   say stop
                          weight      a call

Names load when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fallline.comparison import compare
    from fallline.descent import mini_batch_gradient_descent
    from fallline.estimators import (
        MLPClassifier,
        MLPRegressor,
        SGDClassifier,
        SGDOneClassSVM,
        SGDRegressor,
        from_sklearn,
    )
    from fallline.model import Model, load
    from fallline.training import train

__version__ = "0.1.0.dev0"

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "Model",
    "SGDClassifier",
    "SGDOneClassSVM",
    "SGDRegressor",
    "__version__",
    "compare",
    "from_sklearn",
    "load",
    "mini_batch_gradient_descent",
    "train",
]

_HOMES = {
    "mini_batch_gradient_descent": "fallline.descent",
    "MLPClassifier": "fallline.estimators",
    "MLPRegressor": "fallline.estimators",
    "SGDClassifier": "fallline.estimators",
    "SGDOneClassSVM": "fallline.estimators",
    "SGDRegressor": "fallline.estimators",
    "from_sklearn": "fallline.estimators",
    "compare": "fallline.comparison",
    "train": "fallline.training",
    "Model": "fallline.model",
    "load": "fallline.model",
}


def __getattr__(name: str) -> Any:
    if name == "torch":
        return importlib.import_module("fallline.torch")
    if name not in _HOMES:
        raise AttributeError(f"module 'fallline' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
