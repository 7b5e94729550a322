"""What scikit-learn's networks mean by their optimizers and losses, where PyTorch means something else."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from fallline.engines.module.losses import PerRow
from fallline.engines.module.penalties import SquaredWeights

__all__ = ["LBFGS", "LOSSES", "Adam", "Momentum", "Penalty", "WeightedMean"]


class Momentum(torch.optim.SGD):
    """Gradient descent with momentum, in which the velocity remembers the rates at which it was gained.

    PyTorch multiplies the whole velocity by the present rate: when the rate falls to a fifth, so does the velocity. Here as in
    scikit-learn v <- m v - rate g: the rate acts on what is added only.

    Parameters
    ----------
    params : iterable of tensors
    lr : float
    momentum : float
    nesterov : bool
        Whether to step by the velocity of the step to come (Nesterov's), where there is momentum.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.9, nesterov: bool = True):
        super().__init__(params, lr, momentum=momentum, nesterov=nesterov and momentum > 0)
        for group in self.param_groups:
            group["rate_before"] = lr
        self.register_step_pre_hook(_keep_velocity)


@torch.no_grad()
def _keep_velocity(optimizer, _args, _kwargs):
    for group in optimizer.param_groups:
        before, group["rate_before"] = group["rate_before"], group["lr"]
        if before != group["lr"]:
            for parameter in group["params"]:
                velocity = optimizer.state[parameter].get("momentum_buffer")
                if velocity is not None:
                    velocity.mul_(before / group["lr"])


class Adam(torch.optim.Adam):
    """Adam in the shorter form of Kingma and Ba (2015, end of section 2), in which epsilon is not corrected for bias.

    It steps by rate_t m / (sqrt(v) + epsilon) with rate_t = rate sqrt(1 - beta_2^t) / (1 - beta_1^t), as scikit-learn does, where
    PyTorch has sqrt(v / (1 - beta_2^t)) + epsilon.

    Parameters
    ----------
    params : iterable of tensors
    lr : float
    betas : (float, float)
    epsilon : float
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ):
        super().__init__(params, lr, betas, epsilon, fused=True)
        for group in self.param_groups:
            group["epsilon"], group["updates"] = epsilon, 0
        self.register_step_pre_hook(_correct_epsilon)


def _correct_epsilon(optimizer, _args, _kwargs):
    for group in optimizer.param_groups:
        group["updates"] += 1
        group["eps"] = group["epsilon"] / math.sqrt(1 - group["betas"][1] ** group["updates"])


class LBFGS(torch.optim.LBFGS):
    """L-BFGS with a line search, which says how far it has come.

    Parameters
    ----------
    params : iterable of tensors
    tolerance : float
        It has converged where no derivative is larger.
    """

    def __init__(self, params: Iterable[Tensor], tolerance: float):
        super().__init__(
            params,
            tolerance_grad=tolerance,
            tolerance_change=1e-12,
            history_size=10,
            line_search_fn="strong_wolfe",
        )

    def allow(self, iterations: int, evaluations: int) -> None:
        """Make so many iterations, and evaluate the loss so often, in the next step at most."""
        self.param_groups[0] |= {"max_iter": iterations, "max_eval": evaluations}

    @property
    def so_far(self) -> tuple[int, int]:
        """Iterations made, and how often the loss was evaluated for them."""
        state = self.state[self._params[0]]
        return state.get("n_iter", 0), state.get("func_evals", 0)


def _softmax(scores, targets):
    return functional.cross_entropy(scores, targets, reduction="none")


def _logistic(scores, targets):
    return functional.binary_cross_entropy_with_logits(
        scores, targets.to(scores.dtype), reduction="none"
    ).sum(1)


def _half_squares(scores, targets):
    return 0.5 * (scores - targets).square().sum(1)


def _half_poisson_deviance(scores, targets):
    return (scores.exp() - targets * scores + torch.xlogy(targets, targets) - targets).sum(1)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "softmax": _softmax,
    "logistic": _logistic,
    "squared_error": _half_squares,
    "poisson": _half_poisson_deviance,
}
"""The loss of each row, summed over the outputs, from scores (n, outputs) and targets (n, targets)."""


class WeightedMean(PerRow):
    """A mean over the rows in which each counts as much as it weighs.

    Parameters
    ----------
    loss : str
        A name in `LOSSES`.
    usual : float
        What rows weigh on average.

    Attributes
    ----------
    counted : float
        What has been divided by since `Penalty` last asked.
    """

    def __init__(self, loss: str, usual: float = 1.0):
        super().__init__(LOSSES[loss])
        self.loss, self.usual = loss, usual
        self.counted: Any = 0.0

    def mean(self, outputs: Any, targets: Any, weight: Tensor | None, rows: int) -> Tensor:
        """See `Objective.mean`."""
        if weight is None and self.loss == "softmax":
            return functional.cross_entropy(outputs, targets)
        total, count = self.sums(outputs, targets, weight, rows)
        return total / count

    def sums(self, outputs: Any, targets: Any, weight: Tensor | None, rows: int) -> tuple[Tensor, Any]:
        """See `Objective.sums`."""
        total, _ = super().sums(outputs, targets, weight, rows)
        if weight is None:
            return total, rows
        # Where all rows of a batch weigh nothing, nothing is to be learnt from them.
        count = weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)
        self.counted = self.counted + count
        return total, count


class Penalty(SquaredWeights):
    """Half the sum of squares times alpha, divided by what the loss of each update is divided by.

    Parameters
    ----------
    parameters : sequence of tensor
    alpha : float
    objective : WeightedMean
    """

    def __init__(self, parameters: Sequence[Tensor], alpha: float, objective: WeightedMean):
        super().__init__(parameters, alpha, by_rows=True)
        self.objective = objective

    def add_gradient(self, rows: float) -> None:
        """See `SquaredWeights.add_gradient`."""
        counted, self.objective.counted = float(self.objective.counted), 0.0
        super().add_gradient(counted or rows)

    def value(self, rows: float, weights: Sequence[Tensor] | None = None) -> float:
        """See `SquaredWeights.value`."""
        return super().value(rows * self.objective.usual, weights)
