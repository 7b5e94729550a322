"""fallline's own losses for modules: a row's loss from its scores, in PyTorch, so that it differentiates itself.

To add one: a function of loss, scores and targets of the same shape, a number each, and a row in the table. The mathematics, and
what each parameter means, stand beside the loss in `fallline.objective.losses`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from fallline.errors import InputError, ParameterError
from fallline.names import listed
from fallline.objective.domains import CLASSES, TWO_CLASSES
from fallline.objective.losses import LOSSES, OneVersusRest, name_of

__all__ = ["rows_loss"]


def _squared_error(loss, s, y):
    return 0.5 * (s - y).square()


def _huber(loss, s, y):
    error = (s - y).abs()
    near = error.clamp(max=loss.epsilon)
    return near * (error - 0.5 * near)


def _epsilon_insensitive(loss, s, y):
    return ((s - y).abs() - loss.epsilon).clamp(min=0)


def _squared_epsilon_insensitive(loss, s, y):
    return _epsilon_insensitive(loss, s, y).square()


def _quantile(loss, s, y):
    error = y - s
    return torch.maximum(loss.quantile * error, (loss.quantile - 1.0) * error)


def _poisson(loss, s, y):
    return s.exp() - y * s


def _gamma(loss, s, y):
    return s + y * (-s).exp()


def _tweedie(loss, s, y):
    p = loss.power
    mean = s if p == 2.0 else ((2.0 - p) * s).exp() / (2.0 - p)
    target = s if p == 1.0 else ((1.0 - p) * s).exp() / (1.0 - p)
    return mean - y * target


def _log_loss(loss, s, y):
    return functional.softplus(-y * s)


def _hinge(loss, s, y):
    return (1.0 - y * s).clamp(min=0)


def _squared_hinge(loss, s, y):
    return _hinge(loss, s, y).square()


def _modified_huber(loss, s, y):
    margin = y * s
    return torch.where(margin >= -1.0, (1.0 - margin).clamp(min=0).square(), -4.0 * margin)


def _perceptron(loss, s, y):
    return (-y * s).clamp(min=0)


_FORMULAS: dict[Any, Callable[[Any, Tensor, Tensor], Tensor]] = {
    LOSSES["squared_error"]: _squared_error,
    LOSSES["huber"]: _huber,
    LOSSES["epsilon_insensitive"]: _epsilon_insensitive,
    LOSSES["squared_epsilon_insensitive"]: _squared_epsilon_insensitive,
    LOSSES["quantile"]: _quantile,
    LOSSES["poisson"]: _poisson,
    LOSSES["gamma"]: _gamma,
    LOSSES["tweedie"]: _tweedie,
    LOSSES["log_loss"]: _log_loss,
    LOSSES["hinge"]: _hinge,
    LOSSES["squared_hinge"]: _squared_hinge,
    LOSSES["modified_huber"]: _modified_huber,
    LOSSES["perceptron"]: _perceptron,
}


def rows_loss(loss: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """The function that gives each row's loss, (n,), from scores and targets.

    Scores are (n,) or (n, outputs), and targets numbers of the same shape; or for losses of margins, what is above 0 is the
    second class; or for "multinomial" and one class against the rest, the number of the class of each row, int64 of shape (n,).

    Parameters
    ----------
    loss : NamedTuple
        A typed value from `LOSSES`, or `OneVersusRest`.
    """
    if isinstance(loss, OneVersusRest):
        return _one_versus_rest(loss)
    if loss.domain == CLASSES:
        return _multinomial
    formula = _FORMULAS.get(type(loss))
    if formula is None:
        raise ParameterError(
            f"loss={loss!r} is not made for modules. Give one of {listed(LOSSES)}, a loss of torch.nn, or a function of outputs "
            "and targets."
        )
    margins = loss.domain == TWO_CLASSES

    def rows(scores, targets):
        targets = _like(scores, targets, margins, name_of(loss))
        return _summed(formula(loss, scores, _signs(targets, scores) if margins else targets))

    return rows


def _multinomial(scores, targets):
    _require_classes(scores, targets)
    return functional.cross_entropy(scores, targets, reduction="none")


def _one_versus_rest(loss):
    formula = _FORMULAS[type(loss.binary)]
    positive = torch.as_tensor(loss.positive_weight)

    def rows(scores, targets):
        _require_classes(scores, targets)
        own = functional.one_hot(targets, scores.shape[1]).bool()
        values = formula(loss.binary, scores, _signs(own, scores))
        return (torch.where(own, positive.to(values), 1.0) * values).sum(1)

    return rows


def _like(scores, targets, margins, name):
    """The targets in the type and shape of the scores."""
    if (
        margins
        and targets.ndim == 1
        and scores.shape == (len(targets), 1)
        and not targets.is_floating_point()
    ):
        # The classes of the rows, and one score each: there is nothing else that could be meant.
        targets = targets.unsqueeze(1)
    if scores.shape != targets.shape:
        raise InputError(
            f"The module gives outputs of shape {tuple(scores.shape)}, but the targets have {tuple(targets.shape)}, and {name!r} "
            "compares number with number. Reshape one of them: targets with .unsqueeze(-1), or outputs with .squeeze(-1)."
        )
    return targets.to(scores.dtype)


def _require_classes(scores, targets):
    if scores.ndim != 2 or targets.shape != (len(scores),) or targets.is_floating_point():
        raise InputError(
            f"For classes, outputs of shape (rows, classes) and whole-number targets of shape (rows,) are wanted, but they have "
            f"shapes {tuple(scores.shape)} and {tuple(targets.shape)}, and the targets' dtype is {targets.dtype}. Reshape or "
            "convert them."
        )


def _signs(targets, scores):
    return torch.where(targets > 0, 1.0, -1.0).to(scores.dtype)


def _summed(values):
    """One number a row: the sum over its outputs."""
    return values if values.ndim == 1 else values.flatten(1).sum(1)
