"""Mini-batch gradient descent on linear models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.data.rows import TrainingSource
from fallline.engines.linear import LinearEngine, block_rows, columns_reach, initial_weights
from fallline.engines.sparse import settled, sweep_sparse
from fallline.errors import DivergenceError
from fallline.kernels.blocks import Block, CsrBlock
from fallline.kernels.rates import rates_after
from fallline.kernels.sweep import Descent, Memory, Rule, Sums, sweep
from fallline.kernels.verbs import rate as schedule_rate
from fallline.objective.penalties import NoPenalty, for_kernels, penalty_value
from fallline.optim.averaging import NoAveraging
from fallline.state import State

__all__ = ["DescentEngine", "has_exploded"]

# A loss below this is not compared with that of zero weights, which costs a pass over the data.
_SUSPICIOUS = 1e6


@dataclass(frozen=True)
class DescentEngine(LinearEngine):
    """Mini-batch gradient descent on a linear model.

    Parameters
    ----------
    loss, optimizer, schedule : NamedTuple
        Typed values from `LOSSES` (as they are, or within an `Offset`), `OPTIMIZERS` and `SCHEDULES`.
    batch_size : int
        Rows an update sees.
    penalty : NamedTuple
        A typed value from `PENALTIES`.
    averaging : NamedTuple
        `NoAveraging` or `Polyak`.
    fit_intercept : bool
        Otherwise intercepts stay as they start.
    intercept_penalty : NamedTuple
        `NoPenalty`, or `Linear` for one-class models.
    """

    loss: Any
    optimizer: Any
    schedule: Any
    batch_size: int
    penalty: Any = NoPenalty()
    averaging: Any = NoAveraging()
    fit_intercept: bool = True
    intercept_penalty: Any = NoPenalty()

    def start(
        self, columns: int, outputs: int, dtype: Any, weights: np.ndarray | None = None, *, updates: int = 0
    ) -> State:
        """A state to train from: at zero, or at `weights` (outputs, columns + 1), whose last column is the intercept.

        `updates` were made before: for the schedule, and for the average, which the weights then are.
        """
        shape = (outputs, columns + 1)
        averages = shape if self.averaging != NoAveraging() else (0, 0)
        memory = Memory(
            weights=initial_weights(weights, shape, dtype),
            slots=np.zeros((self.optimizer.slots, *shape), dtype),
            mean=np.array(weights, float).reshape(averages)
            if updates and averages[0]
            else np.zeros(averages),
            gradient=np.zeros(shape, dtype),
            folded=np.zeros(shape),
            clock=np.array([0, updates, updates, 0, 0]),
        )
        return State(memory)

    def block_rows(self, state: State, source: TrainingSource) -> int:
        """How many rows a block should have."""
        weights = state.memory.weights
        # An update visits every weight once; or of sparse rows, about as many as the rows hold.
        a_row = min(weights.size / self.batch_size, len(weights) * source.numbers_a_row)
        return block_rows(len(weights) * source.numbers_a_row + a_row)

    def rows_left(self, updates: int, state: State) -> int:
        """See `Engine.rows_left`."""
        return updates * self.batch_size - state.pending

    def sweep(self, block: Block, state: State, last: bool) -> Sums:
        """Make the updates that the block completes. `last`: the epoch ends with this block."""
        rates, descent = self.rates(state, len(block.rows)), self.typed()
        if isinstance(block, CsrBlock):
            state.memory, sums = sweep_sparse(block, state.memory, descent, rates, last, state.loss_sum)
        else:
            sums = Sums(*sweep(block, state.memory, descent, rates, last, state.loss_sum))
        if last and not np.isfinite(state.memory.weights).all():
            return sums._replace(finite=False)
        return sums

    def typed(self) -> Descent:
        """The same as kernels want it."""
        penalty = for_kernels(self.penalty)
        # Of the same type, so that what moves a coefficient is compiled once and moves the intercept, too.
        free = type(penalty)(*[0.0] * len(penalty))
        unpenalised = free if self.intercept_penalty == NoPenalty() else self.intercept_penalty
        rule = Rule(penalty, unpenalised, self.optimizer, self.averaging, self.fit_intercept)
        return Descent(self.loss, rule, self.batch_size)

    def rates(self, state: State, rows: int) -> np.ndarray:
        """The learning rates of the updates that so many rows more can complete, at most."""
        count = (state.pending + rows) // self.batch_size + 1
        return rates_after(self.schedule, float(state.rate_factor), state.updates, count)

    def penalise(self, weights: np.ndarray) -> float:
        """The penalty of weights, intercepts included where they have one."""
        return super().penalise(weights) + float(penalty_value(self.intercept_penalty, weights[:, -1:]))

    def weights(self, state: State) -> np.ndarray:
        """The weights that training has come to: the average where there is one, otherwise the last."""
        memory = state.memory
        if memory.common.size:
            memory = settled(memory, self.typed())
        if self.averaging != NoAveraging() and state.updates >= self.averaging.start:
            return memory.mean.astype(memory.weights.dtype)
        return memory.weights

    def settle(self, state: State) -> None:
        """See `Engine.settle`."""
        if state.memory.common.size:
            state.memory = settled(state.memory, self.typed())

    def leave_epoch(self, state: State) -> None:
        """Forget the rows consumed of an epoch that will not be finished, and the batch that they began."""
        self.settle(state)
        state.memory = state.memory._replace(**Memory._field_defaults)
        state.position, state.loss_sum = 0, 0.0
        state.memory.clock[0] = 0
        state.memory.gradient[:] = 0
        state.memory.folded[:] = 0

    def exploded(self, source: TrainingSource, state: State) -> bool:
        """See `Engine.exploded`."""
        return has_exploded(self, source, state)

    def divergence(self, source: TrainingSource, state: State) -> DivergenceError:
        """The error to raise when training on finite data came to a score, loss or weight that is not finite, or exploded."""
        rate = state.rate_factor * schedule_rate(self.schedule, max(state.updates, 1))
        return DivergenceError(
            f"Training diverged: the loss grew beyond all bounds by update {state.updates} (epoch {state.epoch + 1}), at a "
            f"learning rate of {rate:.3g}. {columns_reach(source)} Try a learning rate a tenth as large, columns "
            "standardised (if they are not yet), or a loss that grows no faster than linearly."
        )


def has_exploded(engine: LinearEngine, source: TrainingSource, state: State) -> bool:
    """Whether the weights, though finite, are far worse than none: the last epoch's loss is a thousand times that of zero."""
    loss = state.history[-1]["loss"] if state.history else 0.0
    return loss > _SUSPICIOUS and loss > 1e3 * engine.measure(source, np.zeros_like(engine.weights(state)))
