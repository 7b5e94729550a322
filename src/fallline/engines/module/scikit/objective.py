"""What scikit-learn's networks minimise: a mean in which rows count as much as they weigh, plus a penalty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from fallline.engines.module.losses import PerRow
from fallline.engines.module.penalties import SquaredWeights
from fallline.engines.module.pieces import Piece
from fallline.engines.module.scikit.flat import Flat
from fallline.engines.module.scikit.losses import LOSSES
from fallline.networks.by_hand import IN_PLACE, backward, forward, gradients
from fallline.networks.mlp import MLP

__all__ = ["Penalty", "WeightedMean"]


class WeightedMean(PerRow):
    """A mean over the rows in which each counts as much as it weighs.

    Parameters
    ----------
    loss : str
        A name in `LOSSES`.
    usual : float
        What rows weigh on average.
    alpha : float
        The strength of the penalty on the layers' weights.

    Attributes
    ----------
    counted : number or tensor
        What has been divided by since `Penalty` last asked.
    penalised : bool
        Whether the gradient of the penalty is in that of the loss already.
    """

    def __init__(self, loss: str, usual: float = 1.0, alpha: float = 0.0):
        super().__init__(LOSSES[loss].rows)
        self.loss, self.usual, self.alpha = loss, usual, alpha
        self.counted: Any = 0.0
        self.penalised = False
        self._module: Any = None

    def write_out(self, network: MLP, flat: Flat) -> None:
        """Differentiate a network by hand from now on, into the gradients of `flat`; unless it is more than dense layers."""
        if network.norms or network.dropout or network.groups or network.activation not in IN_PLACE:
            return
        gradients = {id(parameter): view for parameter, view in zip(flat.parameters, flat.views, strict=True)}
        self._module = network
        self._parameters: list[tuple[Any, Any]] = [(layer.weight, layer.bias) for layer in network.layers]
        self._layers = [(weight.detach(), bias.detach()) for weight, bias in self._parameters]
        self._gradients = [(gradients[id(weight)], gradients[id(bias)]) for weight, bias in self._parameters]

    def differentiates(self, module: Any) -> bool:
        """See `Objective.differentiates`."""
        return module is self._module

    def mean(self, outputs: Any, targets: Any, weight: Tensor | None, rows: int) -> Tensor:
        """See `Objective.mean`."""
        if weight is None and self.loss == "softmax":
            return functional.cross_entropy(outputs, targets)
        total, count = self.sums(outputs, targets, weight, rows)
        return total / count

    def sums(self, outputs: Any, targets: Any, weight: Tensor | None, rows: int) -> tuple[Tensor, Any]:
        """See `Objective.sums`."""
        total, _ = super().sums(outputs, targets, weight, rows)
        count = rows if weight is None else _counted(weight)
        self.counted = self.counted + count
        return total, count

    @torch.no_grad()
    def by_hand(self, module: Any, piece: Piece) -> Tensor | None:
        """See `Objective.by_hand`; of dense rows."""
        if (
            module is not self._module
            or not isinstance(piece.inputs, Tensor)
            or piece.inputs.layout is not torch.strided
        ):
            return None
        weight, outputs = piece.weight, forward(piece.inputs, module.activation, self._layers)
        losses, d = LOSSES[self.loss].with_derivative(outputs.pop(), piece.targets)
        if weight is None:
            count: Any = piece.rows
        else:
            count = float(_counted(weight))
            losses.mul_(weight.unsqueeze(1))
            d.mul_(weight.unsqueeze(1))
        backwards = backward(d.div_(count), outputs, module.activation, [W for W, _ in self._layers])
        for place, (d, h) in zip(reversed(range(len(self._layers))), backwards, strict=True):
            (of_W, of_b), (into_W, into_b) = gradients(d, h), self._gradients[place]
            torch.add(of_W, self._layers[place][0], alpha=self.alpha / count, out=into_W)
            self._parameters[place][0].grad, self._parameters[place][1].grad = into_W, into_b.copy_(of_b)
        self.penalised = True
        return losses.sum() / count


def _counted(weight):
    """What a batch counts. Where all its rows weigh nothing, nothing is to be learnt from them."""
    return weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)


class Penalty(SquaredWeights):
    """Half the sum of squares times alpha, divided by what the loss of each update is divided by.

    Parameters
    ----------
    parameters : sequence of tensor
    objective : WeightedMean
        It says what is divided by.
    """

    def __init__(self, parameters: Sequence[Tensor], objective: WeightedMean):
        super().__init__(parameters, objective.alpha, by_rows=True)
        self.objective = objective

    def add_gradient(self, rows: float) -> None:
        """See `SquaredWeights.add_gradient`."""
        counted, self.objective.counted = self.objective.counted, 0.0
        if self.objective.penalised:
            self.objective.penalised = False
        else:
            super().add_gradient(float(counted) or rows)

    def value(self, rows: float, weights: Sequence[Tensor] | None = None) -> float:
        """See `SquaredWeights.value`."""
        return super().value(rows * self.objective.usual, weights)
