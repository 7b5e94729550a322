"""What determines the result of training a module, as texts: a checkpoint is gone on with only where they are the same."""

from __future__ import annotations

import hashlib
from typing import Any

import torch

from fallline.engines.module.engine import ModuleEngine
from fallline.engines.module.together import mark_of_rows
from fallline.monitors.checkpoint import mark_of
from fallline.torch.data import Data

__all__ = ["marks_of_data", "marks_of_engine"]


def marks_of_data(source: Data, judging: Data | None, validation: Any) -> dict[str, str]:
    """Of the rows to train on, and of those to measure on.

    Of batches that are taken as they come, which may hold something else every time, only the number of the rows.
    """
    held_out = isinstance(validation, (int, float))
    return {
        "validation": f"{validation:g}" if held_out else _rows(judging),
        "data": f"{source.n_rows} rows of {source.n_columns} numbers{_sample(source)}",
    }


def _rows(source):
    return "none" if source is None else f"{source.n_rows} rows{_sample(source)}"


def _sample(source):
    return f" ({mark_of_rows(source)[:8]})" if source.divisible else ""


def marks_of_engine(engine: ModuleEngine) -> dict[str, str]:
    """Of the loss and the optimizer, with their own settings, and of what an update does beside."""
    settings = engine.settings
    return {
        "loss": _loss(engine.loss),
        "optimizer": f"{type(engine.optimizer).__name__}({_plain(engine.optimizer.defaults)})",
        "clip_norm": str(settings["clip_norm"]),
        "precision": str(settings["precision"]),
    }


def _loss(loss):
    if not isinstance(loss, torch.nn.Module):
        return mark_of(loss)
    own = {
        name: value for name, value in vars(loss).items() if not name.startswith("_") and name != "training"
    }
    marks = hashlib.blake2b(digest_size=4)
    for name, tensor in loss.state_dict().items():
        marks.update(f"{name} {tensor.tolist()}".encode())
    return f"{loss!r}({_plain(own)}) {marks.hexdigest()}"


def _plain(settings):
    """Numbers and texts among some settings."""
    found = {
        name: float(value) if isinstance(value, torch.Tensor) and value.numel() == 1 else value
        for name, value in settings.items()
    }
    kept = (int, float, str, tuple, type(None))
    return ", ".join(f"{name}={value}" for name, value in sorted(found.items()) if isinstance(value, kept))
