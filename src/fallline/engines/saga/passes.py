"""What all kinds of pass share. All that is to be known from one call to the next is in the state."""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.kernels.blocks import Block
from fallline.kernels.saga import SagaMemory, Walk
from fallline.kernels.sweep import Sums
from fallline.kernels.verbs import decay
from fallline.objective.losses.smoothed import bends
from fallline.objective.penalties import absolute_strength, for_kernels
from fallline.state import State

__all__ = ["TINY", "Pass"]

TINY = 1e-290
_ENDED = "what is left to gain is below the tolerance"


class Pass:
    """A pass over the rows, of an engine and a state.

    Attributes
    ----------
    engine : SagaEngine
    state : State
    note : dict
        The state's, under "solver".
    n : int
        Rows of an epoch.
    """

    def __init__(self, engine: Any, state: State):
        self.engine = engine
        self.state = state
        self.note = state.notes["solver"]
        self.n = engine.rows

    def take(self, block: Block, last: bool) -> Sums:
        """Visit a block's rows; `last`: they are the last of the pass."""
        raise NotImplementedError

    @property
    def memory(self) -> SagaMemory:
        """The state's arrays."""
        return self.state.memory

    def put(self, **arrays: np.ndarray) -> SagaMemory:
        """Replace some of the state's arrays; all of them."""
        self.state.memory = self.state.memory._replace(**arrays)
        return self.state.memory

    @property
    def walk(self) -> Walk:
        """What kernels want to know beside the loss."""
        engine = self.engine
        return Walk(for_kernels(engine.penalty), float(self.n), self.note["share"], engine.fit_intercept)

    @property
    def decay(self) -> float:
        """Lambda of (1)."""
        return float(decay(self.engine.penalty))

    @property
    def absolute(self) -> float:
        """Lambda_1 of (1)."""
        return float(absolute_strength(self.engine.penalty))

    @property
    def corners(self) -> bool:
        """Whether the loss has kinks."""
        return bends(self.engine.loss)

    def numbers(self, block: Block) -> np.ndarray:
        """How the table knows the rows of a block; there is room for all from the first."""
        table, outputs = self.memory.table, len(self.memory.weights)
        count = len(block.y) if self.engine.numbered else self.n
        if table.shape != (count, outputs):
            self.put(table=np.zeros((count, outputs), self.memory.weights.dtype))
        if self.engine.numbered:
            return block.rows
        first = self.state.position
        return np.arange(first, first + len(block.rows), dtype=np.uint64)

    def outside(self, model: np.ndarray) -> np.ndarray:
        """A model's weights in the caller's coordinates."""
        weights = model.T.copy()
        # Asked for outside of sweeps, too, where BLAS would add up in an order of its threads' own.
        weights[:, -1] -= (self.memory.columns[0, :-1, np.newaxis] * model[:-1]).sum(axis=0)
        return np.ascontiguousarray(weights, self.memory.weights.dtype)

    def accept(self, model: np.ndarray, penalty: float) -> None:
        """Let a model, whose penalty this is, be what training has come to."""
        self.put(weights=self.outside(model))
        self.note["penalty"] = penalty

    def judge(self, left: float, objective: float) -> bool:
        """Note what is left to gain, as a share of what has been gained; whether it is little enough."""
        null = self.note["null_objective"]
        gained = max(null - objective, 1e-6 * abs(null), TINY)
        share = left / gained
        self.note["left"] = float(min(share, 1.0)) if share == share else 1.0  # noqa: PLR0124 (NaN)
        return self.note["left"] <= self.engine.tolerance

    def end_training(self, why: str = _ENDED) -> None:
        """Say why nothing more is done."""
        self.note["ended"] = why
