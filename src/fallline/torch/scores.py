"""How good a module's outputs are, on rows to measure on: one number, the higher the better."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fallline.data.rows import TrainingSource
from fallline.engines.module.engine import ModuleEngine
from fallline.engines.module.labels import require_tensors
from fallline.errors import InputError, ParameterError
from fallline.names import did_you_mean

__all__ = ["SCORES", "make_score"]


def _accuracy(outputs: Tensor, targets: Tensor) -> float:
    """The share of rows whose class has the highest output; with one output a row, of those on the right side of 0."""
    if outputs.ndim > 1 and outputs.shape[1] > 1:
        found = outputs.argmax(1)
    else:
        found, targets = (outputs > 0).flatten(), (targets > 0).flatten()
    if found.shape != targets.shape:
        raise InputError(
            f"Accuracy compares classes of shape {tuple(found.shape)} with targets of shape {tuple(targets.shape)}. Give "
            "metric= a function of outputs and targets."
        )
    return float((found == targets).double().mean())


def _r2(outputs: Tensor, targets: Tensor) -> float:
    """The share of the variance that is explained, the mean over the outputs."""
    if outputs.shape != targets.shape:
        raise InputError(
            f"R2 compares outputs of shape {tuple(outputs.shape)} with targets of shape {tuple(targets.shape)}. Reshape one "
            "of them, or give metric= a function of both."
        )
    outputs, targets = outputs.double(), targets.double()
    left = (targets - outputs).square().sum(0)
    spread = (targets - targets.mean(0)).square().sum(0)
    return float((1.0 - left / spread).mean())


def _of_tensors(function, name):
    """A score of one tensor of outputs and one of targets; others are an error."""

    def score(outputs, targets):
        require_tensors(outputs, targets, f"metric={name!r}")
        return function(outputs, targets)

    return score


SCORES: dict[str, Callable[[Tensor, Tensor], float]] = {"accuracy": _accuracy, "r2": _r2}
"""By name."""


def make_score(metric: Any, engine: ModuleEngine, source: TrainingSource) -> Callable[[Any], float] | None:
    """A function of weights that scores the module at them on a source; None for no metric.

    Parameters
    ----------
    metric : str, callable or None
        A name in `SCORES`, or a function of outputs and targets (tensors on the processor) that is to rise.
    """
    if metric is None:
        return None
    if isinstance(metric, str):
        if metric not in SCORES:
            raise ParameterError(
                f"metric={metric!r} is not one of {', '.join(map(repr, SCORES))}.{did_you_mean(metric, SCORES)} Or give a "
                "function of outputs and targets."
            )
        metric = _of_tensors(SCORES[metric], metric)
    if not callable(metric):
        raise ParameterError(f"metric={metric!r} is neither a name nor a function of outputs and targets.")

    def score(weights):
        value = metric(*engine.outputs(source, weights))
        if isinstance(value, torch.Tensor) and value.ndim:
            raise ParameterError(
                f"The metric is to give one number, but gave a tensor of shape {tuple(value.shape)}. Take its mean or sum."
            )
        return float(value)

    return score
