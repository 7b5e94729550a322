"""scikit-learn's optimizers: gradient descent with momentum, Adam and L-BFGS."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from fallline.engines.module.scikit.flat import Flat

__all__ = ["LBFGS", "Adam", "Momentum"]


class _FlatOptimizer(torch.optim.Optimizer):
    """Steps of all parameters at once.

    Subclasses say which vectors they remember (`names`), and how they step by one. What is remembered is the state of the first
    parameter.
    """

    names: tuple[str, ...] = ()

    def __init__(self, params: Iterable[nn.Parameter], lr: float, **defaults: Any):
        super().__init__(params, {"lr": lr, "updates": 0, **defaults})
        self.flat = Flat(self.param_groups[0]["params"])

    def step(self) -> None:  # type: ignore[override]
        """Make an update."""
        group, flat = self.param_groups[0], self.flat
        flat.gather()
        group["updates"] += 1
        memory = self.state[flat.parameters[0]]
        if not memory:
            memory |= {name: torch.zeros_like(flat.values) for name in self.names}
        self.follow(flat.values, flat.gradients, group, memory)

    # PyTorch would wrap it to be seen by its profiler, which takes as long as the update of a small network.
    step.hooked = True  # type: ignore[attr-defined]

    def follow(
        self, values: Tensor, gradients: Tensor, group: dict[str, Any], memory: dict[str, Tensor]
    ) -> None:
        """Change the values."""
        raise NotImplementedError


class Momentum(_FlatOptimizer):
    """Gradient descent with momentum: v <- m v - rate g, and w <- w + v, or with Nesterov's w <- w + m v - rate g.

    PyTorch multiplies the whole velocity by the present rate: when the rate falls to a fifth, so does the velocity. Here the rate
    acts on what is added only.

    Parameters
    ----------
    params : iterable of Parameter
    lr : float
    momentum : float
    nesterov : bool
    """

    names = ("velocity",)

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float, momentum: float = 0.9, nesterov: bool = True
    ):
        super().__init__(params, lr, momentum=momentum, nesterov=nesterov)

    def follow(
        self, values: Tensor, gradients: Tensor, group: dict[str, Any], memory: dict[str, Tensor]
    ) -> None:
        """See above."""
        velocity, momentum = memory["velocity"], group["momentum"]
        velocity.mul_(momentum).sub_(gradients, alpha=group["lr"])
        if group["nesterov"]:
            values.add_(velocity, alpha=momentum).sub_(gradients, alpha=group["lr"])
        else:
            values.add_(velocity)


class Adam(_FlatOptimizer):
    """Adam in the shorter form of Kingma and Ba (2015, end of section 2), in which epsilon is not corrected for bias.

    It steps by rate_t m / (sqrt(v) + epsilon) with rate_t = rate sqrt(1 - beta_2^t) / (1 - beta_1^t), where PyTorch has
    sqrt(v / (1 - beta_2^t)) + epsilon.

    Parameters
    ----------
    params : iterable of Parameter
    lr : float
    betas : (float, float)
    epsilon : float
    """

    names = ("mean", "square")

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ):
        super().__init__(params, lr, betas=betas, epsilon=epsilon)
        self._updates = self.flat.values.new_zeros((), dtype=torch.float32)

    def follow(
        self, values: Tensor, gradients: Tensor, group: dict[str, Any], memory: dict[str, Tensor]
    ) -> None:
        """See above."""
        beta_1, beta_2 = group["betas"]
        correction = math.sqrt(1 - beta_2 ** group["updates"])
        if values.device.type in ("cpu", "cuda"):
            torch._fused_adam_(
                [values], [gradients], [memory["mean"]], [memory["square"]], [], [self._updates.fill_(group["updates"])],
                lr=group["lr"], beta1=beta_1, beta2=beta_2, weight_decay=0.0, eps=group["epsilon"] / correction,
                amsgrad=False, maximize=False,
            )  # fmt: skip
            return
        memory["mean"].lerp_(gradients, 1 - beta_1)
        memory["square"].mul_(beta_2).addcmul_(gradients, gradients, value=1 - beta_2)
        rate = group["lr"] * correction / (1 - beta_1 ** group["updates"])
        values.addcdiv_(memory["mean"], memory["square"].sqrt().add_(group["epsilon"]), value=-rate)


class LBFGS(torch.optim.LBFGS):
    """L-BFGS with a line search, which says how far it has come.

    Parameters
    ----------
    params : iterable of Parameter
    tolerance : float
        It has converged where no derivative is larger.
    """

    def __init__(self, params: Iterable[nn.Parameter], tolerance: float):
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
