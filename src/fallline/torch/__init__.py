"""For PyTorch users: `fit` replaces a training loop, `batches` a `DataLoader`.

::

    data ──▶ as_source ──▶ order ──▶ blocks ──▶ ModuleEngine.sweep ──▶ monitors ──▶ the module, trained in place
    data.py                                     engines/module         fitting.py

Names load when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fallline.networks.factories import require_torch

if TYPE_CHECKING:
    from fallline.engines.module.losses import per_row
    from fallline.torch.batching import Batches, batches
    from fallline.torch.encoders import load_encoder, save_encoder
    from fallline.torch.fitting import fit
    from fallline.torch.predicting import predict

__all__ = ["Batches", "batches", "fit", "load_encoder", "per_row", "predict", "save_encoder"]

_HOMES = {
    "Batches": "fallline.torch.batching",
    "batches": "fallline.torch.batching",
    "fit": "fallline.torch.fitting",
    "load_encoder": "fallline.torch.encoders",
    "per_row": "fallline.engines.module.losses",
    "predict": "fallline.torch.predicting",
    "save_encoder": "fallline.torch.encoders",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fallline.torch' has no attribute {name!r}")
    require_torch()
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
