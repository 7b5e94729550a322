"""A penalty on weights, for modules."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["SquaredWeights"]


class SquaredWeights:
    r"""Half the sum of squares of some parameters, times a strength: :math:`\tfrac12 \alpha \lVert w \rVert^2`.

    Parameters
    ----------
    parameters : sequence of tensor
        Those that are to stay small; usually weights, not biases.
    alpha : float
        The strength.
    by_rows : bool
        Divide it by the rows of each update's batch, as scikit-learn does.
    """

    def __init__(self, parameters: Sequence[torch.Tensor], alpha: float, *, by_rows: bool = False):
        self.parameters = list(parameters)
        self.alpha = alpha
        self.by_rows = by_rows

    def add_gradient(self, rows: float) -> None:
        """Add its gradient to those of a batch of so many rows."""
        held = [(p.grad, p.detach()) for p in self.parameters if p.grad is not None]
        if held:
            strength = self.alpha / rows if self.by_rows else self.alpha
            torch._foreach_add_([grad for grad, _ in held], [value for _, value in held], alpha=strength)

    def value(self, rows: float, weights: Sequence[torch.Tensor] | None = None) -> float:
        """What it is for batches of so many rows: at these weights, one for each parameter, or at those that they have."""
        at = self.parameters if weights is None else weights
        squares = sum(float(norm) ** 2 for norm in torch._foreach_norm([weight.detach() for weight in at]))
        return 0.5 * squares * (self.alpha / rows if self.by_rows else self.alpha)
