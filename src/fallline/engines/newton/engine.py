"""Newton's method as an engine: what it remembers, and its answers to the loop."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fallline.data.order import Order
from fallline.data.rows import TrainingSource
from fallline.engines.base import IN_ORDER
from fallline.engines.coordinates import Coordinates
from fallline.engines.linear import OptimumEngine, initial_weights
from fallline.engines.newton.batch import Batch
from fallline.engines.newton.sizes import chunk_size, first_batch
from fallline.engines.newton.stages import take
from fallline.engines.summing import STEPS
from fallline.engines.threads import single_threaded
from fallline.kernels.blocks import Block
from fallline.kernels.curvature import NewtonMemory
from fallline.kernels.sweep import Sums
from fallline.objective.links import Logit, Softmax
from fallline.objective.losses import innermost, is_coupled, n_targets
from fallline.objective.losses.smoothed import bends
from fallline.objective.losses.squared_error import SquaredError
from fallline.state import State

__all__ = ["NewtonEngine"]

# How much the ways forget: see (3).
_FORGETTING = (0.0, 0.5, 2.0)
# Scores whose distances to a bend are noted.
_SAMPLE = 2**13
# A share of the loss of intercepts alone that is taken for none.
_NOTHING = 1e-4

# What the state holds beside arrays.
_BEGINNING: dict[str, Any] = {
    # See `stages`.
    "stage": "first rows",
    # Rows: of the batch under way, of these the ones that wait, that were summed, and whose curvature was; of all batches before.
    "batch": 0,
    "filled": 0,
    "taken": 0,
    "curved": 0,
    "seen": 0,
    # Sums over the batch: losses, curvatures by the score, what smoothing leaves open, and losses of the null model until its
    # objective is known.
    "loss": 0.0,
    "bend": 0.0,
    "slack": 0.0,
    "held": 0,
    "null_loss": 0.0,
    "null_objective": None,
    # The way of forgetting that was chosen last, and how far its proposal was followed.
    "way": 0,
    "step": 1.0,
    # The loss on the rows that chose last.
    "fresh": None,
    # Of full passes: mu, the penalty of the model looked at last, whether the one accepted has slopes and curvature, whether
    # every row enters the curvature.
    "damping": 0.0,
    "penalty": 0.0,
    "accepted": False,
    "every": False,
    # The band's width and what it may be at most, how often it was narrowed, how many distances were noted, the lowest
    # objective that was not smoothed, and the highest that none is below.
    "band": 0.0,
    "widest": math.inf,
    "narrowed": 0,
    "sampled": 0,
    "lowest": math.inf,
    "bound": -math.inf,
    # How many models in a row were hardly better than the best, the least that was ever left to gain, and whether a model was
    # beyond all numbers.
    "idle": 0,
    "nearest": 1.0,
    "beyond": False,
    # The answers: what is left to gain, relative to what was, and why training ended.
    "left": None,
    "ended": None,
}


@dataclass(frozen=True)
class NewtonEngine(OptimumEngine):
    """Growing-batch stochastic Newton; see the package, and `OptimumEngine` for the other parameters.

    Parameters
    ----------
    intercepts : ndarray of shape (outputs,), optional
        The best model of intercepts alone, where all rows were looked at for it; otherwise the first ones tell.
    """

    intercepts: np.ndarray | None = field(default=None, compare=False, repr=False)

    def start(self, columns: int, outputs: int, dtype: Any, weights: np.ndarray | None = None) -> State:
        """See `LinearEngine.start`."""
        shape = (outputs, columns + 1)
        coupled = is_coupled(self.loss)
        groups = (1, shape[0] * shape[1]) if coupled else shape
        ways = len(self.forgetting)
        capacity = max(first_batch(groups[1]), chunk_size(shape[1]), min(_SAMPLE, 2**20 // shape[1]))
        memory = NewtonMemory(
            weights=initial_weights(weights, shape, dtype),
            coordinates=np.stack([np.zeros(shape[1]), np.ones(shape[1])]),
            largest=np.zeros(shape[1]),
            points=np.zeros((4, *shape)),
            candidates=np.zeros((ways, *shape)),
            slopes=np.zeros((2, *shape)),
            bent=np.zeros((2, *groups, groups[1])),
            diagonal=np.zeros(groups),
            curvatures=np.zeros((ways, *groups, groups[1])),
            linear=np.zeros((ways, *groups)),
            rows=np.zeros((capacity, shape[1]), dtype),
            targets=np.zeros((n_targets(self.loss, outputs), capacity), dtype),
            row_weight=np.zeros(capacity, dtype),
            losses=np.zeros(len(STEPS) + 1),
            distances=np.zeros(_SAMPLE if bends(self.loss) else 0),
            clock=np.zeros(2, np.int64),
        )
        state = State(memory)
        state.notes["solver"] = {
            **_BEGINNING,
            "warm": weights is not None,
            "masses": [0.0] * ways,
        }
        return state

    def left_to_gain(self, source: TrainingSource, weights: np.ndarray) -> float:
        """How far weights are from the optimum, relative to what they gain over intercepts alone: (5), by one pass.

        A loss with kinks is smoothed for it, over a narrow band: what that adds to the objective is counted as left.
        """
        state = self.start(source.n_columns, len(weights), source.dtype, weights)
        state.notes["solver"]["stage"] = "look"
        for block, stop in source.blocks(IN_ORDER, 0, 0, lambda: self.block_rows(state, source)):
            if not self.sweep(block, state, last=stop == source.n_rows).finite:
                source.require_finite(block.rows)
        return state.notes["solver"]["left"]

    @property
    def forgetting(self) -> tuple[float, ...]:
        """The exponents of (3), one for each way."""
        return _FORGETTING[:1] if isinstance(innermost(self.loss), SquaredError) else _FORGETTING

    def order(self, order: Order, state: State) -> Order:
        """The run's own in the first pass; full passes see every row anyway, and go in order."""
        return IN_ORDER if state.epoch > 0 else order

    def block_rows(self, state: State, source: TrainingSource) -> int:
        """No more than finish the batch under way, so that monitors see every step."""
        note = state.notes["solver"]
        left = (note["batch"] or first_batch(state.memory.bent.shape[-1])) - note["taken"] - note["filled"]
        return max(1, min(left, super().block_rows(state, source)))

    def sweep(self, block: Block, state: State, last: bool) -> Sums:
        """See `Engine.sweep`."""
        with single_threaded(), np.errstate(all="ignore"):
            return take(Batch(self, state, block), last)

    def weights(self, state: State) -> np.ndarray:
        """See `Engine.weights`."""
        return state.memory.weights

    def separable(self, state: State) -> bool:
        """See `LinearEngine.separable`."""
        note, loss = state.notes["solver"], state.history[-1]["loss"] if state.history else math.inf
        coordinates = Coordinates(state.memory.coordinates, self.penalty)
        free = not (coordinates.decay.any() or coordinates.absolute.any())
        # Only a loss that nowhere ends falling leads to infinity.
        endless = isinstance(self.loss.link, (Logit, Softmax))
        return bool(free and endless and loss < _NOTHING * (note["null_objective"] or 0.0))
