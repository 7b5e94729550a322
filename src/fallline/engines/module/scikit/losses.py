"""scikit-learn's losses, summed over the outputs, and their derivatives by the scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from fallline.engines.module import cross_entropy

__all__ = ["LOSSES", "RowLoss"]


class RowLoss(NamedTuple):
    """A loss.

    Parameters
    ----------
    rows : callable
        From scores (n, outputs) and targets, (n, outputs) or classes (n,), to the loss of each row (n,).
    with_derivative : callable
        The same two to the losses, in any shape of which the first dimension are rows, and to their derivatives by the scores,
        whose memory may be used.
    """

    rows: Callable[[Tensor, Tensor], Tensor]
    with_derivative: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def _softmax(scores, classes):
    return functional.cross_entropy(scores, classes, reduction="none")


def _softmax_with(scores, classes):
    found = cross_entropy.with_derivative(scores, classes)
    if found is not None:
        losses, derivative = found
        return losses.unsqueeze(1), derivative
    chances, places = functional.log_softmax(scores, 1), classes.unsqueeze(1)
    losses = chances.gather(1, places)
    ones = chances.new_full((), -1.0).expand(len(chances), 1)
    return losses.neg_(), chances.exp_().scatter_add_(1, places, ones)


def _logistic(scores, targets):
    return _entropies(scores, targets).sum(1)


def _entropies(scores, targets):
    return functional.binary_cross_entropy_with_logits(scores, targets, reduction="none")


def _logistic_with(scores, targets):
    return _entropies(scores, targets), scores.sigmoid().sub_(targets)


def _half_squares(scores, targets):
    return 0.5 * (scores - targets).square().sum(1)


def _half_squares_with(scores, targets):
    errors = scores - targets
    return errors.square().mul_(0.5), errors


def _half_poisson_deviance(scores, targets):
    return _deviances(scores.exp(), scores, targets).sum(1)


def _half_poisson_deviance_with(scores, targets):
    means = scores.exp()
    return _deviances(means, scores, targets), means.sub_(targets)


def _deviances(means, scores, targets):
    return means - targets * scores + torch.xlogy(targets, targets) - targets


LOSSES: dict[str, RowLoss] = {
    "softmax": RowLoss(_softmax, _softmax_with),
    "logistic": RowLoss(_logistic, _logistic_with),
    "squared_error": RowLoss(_half_squares, _half_squares_with),
    "poisson": RowLoss(_half_poisson_deviance, _half_poisson_deviance_with),
}
"""By name."""
