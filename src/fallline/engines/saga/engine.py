"""The engine: what it remembers, and its answers to the loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.data.order import Order
from fallline.data.rows import TrainingSource
from fallline.engines.base import IN_ORDER
from fallline.engines.linear import OptimumEngine, block_rows
from fallline.engines.saga.active import ActivePass
from fallline.engines.saga.check import CheckPass
from fallline.engines.saga.dual import DualPass
from fallline.engines.saga.passes import Pass
from fallline.engines.saga.quasi_newton import QuasiNewtonPass
from fallline.engines.threads import single_threaded
from fallline.kernels.blocks import Block
from fallline.kernels.saga import SagaMemory
from fallline.kernels.sweep import Sums
from fallline.kernels.verbs import decay
from fallline.state import State

__all__ = ["SagaEngine"]

_STAGES: dict[str, type[Pass]] = {
    "dual": DualPass,
    "check": CheckPass,
    "full": QuasiNewtonPass,
    "active": ActivePass,
}

# What the state holds beside arrays.
_BEGINNING: dict[str, Any] = {
    # See `turns`.
    "stage": "dual",
    # Of the last pass: rows a step, and how much of what was proposed was done.
    "batch": 1,
    "step": 1.0,
    # Rows looked at so far; the first pass ends when they are all. Dual passes made.
    "seen": 0,
    "passes": 0,
    # Of (8): L now and at most, the means whose quotients R_0 and R_1 are, kappa, and both e.
    "bend": 0.0,
    "most_bent": 0.0,
    "free": 0.0,
    "radius": 0.0,
    "share": 0.0,
    "ease": 1.0,
    "intercept_ease": 1.0,
    # What the dual has gained in the pass under way and in the last; what the pull has held back; the estimates of some passes.
    "gained": 0.0,
    "gain": None,
    "outer": 0.0,
    "expected": 0.0,
    # Of checks: how many found too much left, after how many dual passes the last was, what it found, and that as a multiple
    # of what was expected.
    "checks": 0,
    "checked": 0,
    "found": None,
    "doubt": 1.0,
    # The penalty of the model accepted last, and objectives: of intercepts alone, of it.
    "penalty": 0.0,
    "null_objective": None,
    "objective": None,
    # Of full passes: steps remembered, the slope along the direction, and how far along it the model is that is tried.
    "pairs": 0,
    "slope": 0.0,
    "trial": 0.0,
    # Of active passes: rows whose curvature has been summed, how much is added to it, and what (14) promises.
    "rows_bent": 0,
    "damping": 0.0,
    "promised": 0.0,
    # How often full or active passes have begun.
    "begun": 0,
    # The answers: what is left to gain, relative to what was, and why training ended.
    "left": None,
    "ended": None,
}


@dataclass(frozen=True)
class SagaEngine(OptimumEngine):
    """Large linear models; see the package.

    Parameters
    ----------
    loss, penalty, rows, fit_intercept, tolerance
        See `OptimumEngine`.
    numbered : bool
        Whether the rows of blocks have the same numbers in every epoch, as rows in memory do. Otherwise rows are known by
        their place, and every epoch visits them in order.
    """

    numbered: bool = True

    def start(self, columns: int, outputs: int, dtype: Any, weights: np.ndarray | None = None) -> State:
        """See `LinearEngine.start`."""
        shape = (outputs, columns + 1)
        given = np.zeros(shape, dtype) if weights is None else np.array(weights, dtype).reshape(shape)
        memory = SagaMemory(
            weights=np.ascontiguousarray(given),
            point=np.array(given.T, np.float64, order="C"),
            centre=np.array(given.T, np.float64, order="C"),
            columns=np.zeros((4, columns + 1)),
            moves=np.zeros(shape[::-1]),
            null=np.zeros((3, outputs)),
            sums=np.zeros(10),
            clock=np.zeros(2, np.int64),
        )
        least = self.rows * float(decay(self.penalty))
        if least > 0.0:
            # No slope has been seen, and (3) holds: nothing but a pull, which is still to come, can keep a model from zero.
            memory.columns[3, :-1] = least
            memory.point[:-1] = 0.0
        state = State(memory)
        state.notes["solver"] = {
            **_BEGINNING,
            "remained": [],
            "residuals": [],
            "objectives": [],
            "warm": weights is not None,
        }
        return state

    def order(self, order: Order, state: State) -> Order:
        """The run's own for rows that are known by number; passes that move nothing see every row anyway, and go in order."""
        return order if self.numbered and state.notes["solver"]["stage"] == "dual" else IN_ORDER

    def block_rows(self, state: State, source: TrainingSource) -> int:
        """See `LinearEngine.block_rows`."""
        return block_rows(2.0 * len(state.memory.weights) * source.numbers_a_row)

    def sweep(self, block: Block, state: State, last: bool) -> Sums:
        """See `LinearEngine.sweep`."""
        with single_threaded(), np.errstate(all="ignore"):
            return _STAGES[state.notes["solver"]["stage"]](self, state).take(block, last)

    def weights(self, state: State) -> np.ndarray:
        """See `LinearEngine.weights`; within a dual pass, the model as it stands."""
        note = state.notes["solver"]
        if note["stage"] == "dual" and state.position and note["seen"]:
            return DualPass(self, state).weights()
        return state.memory.weights
