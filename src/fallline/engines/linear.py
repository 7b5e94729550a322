"""The engine of linear models: compiled kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.data.order import Order
from fallline.data.rows import TrainingSource
from fallline.errors import DivergenceError, StateError
from fallline.kernels.blocks import Block
from fallline.kernels.sweep import Descent, Memory, Sums, measure, predict, sweep
from fallline.kernels.verbs import rate as schedule_rate
from fallline.objective.domains import CLASSES
from fallline.objective.losses.offset import Offset
from fallline.objective.penalties import NoPenalty, penalty_value
from fallline.optim.averaging import NoAveraging
from fallline.state import State

__all__ = ["LinearEngine"]

# A block has at most this many rows, and fewer when rows or updates are wide: calls stay far shorter than a blink, so
# that monitors are asked often, and far longer than what a call costs.
_BLOCK_ROWS = 2**15
_BLOCK_PRODUCTS = 2**23

_IN_ORDER = Order(0, shuffle=False)

# A loss below this is not compared with that of zero weights, which costs a pass over the data.
_SUSPICIOUS = 1e6


@dataclass(frozen=True)
class LinearEngine:
    """Mini-batch gradient descent on a linear model.

    Minimises the mean over the rows of weight times loss, plus the penalty.

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
    """

    loss: Any
    optimizer: Any
    schedule: Any
    batch_size: int
    penalty: Any = NoPenalty()
    averaging: Any = NoAveraging()
    fit_intercept: bool = True

    def start(self, columns: int, outputs: int, dtype: Any, weights: np.ndarray | None = None) -> State:
        """A state to train from: at zero, or at `weights` (outputs, columns + 1), whose last column is the intercept."""
        shape = (outputs, columns + 1)
        averages = shape if self.averaging != NoAveraging() else (0, 0)
        memory = Memory(
            weights=np.zeros(shape, dtype)
            if weights is None
            else np.array(weights, dtype, order="C").reshape(shape),
            slots=np.zeros((self.optimizer.slots, *shape), dtype),
            mean=np.zeros(averages),
            gradient=np.zeros(shape, dtype),
            folded=np.zeros(shape),
            clock=np.zeros(2, np.int64),
        )
        return State(memory)

    def require(self, state: State, source: TrainingSource) -> None:
        """Raise `StateError` if a state is not one of this engine's, on data like these."""
        outputs = len(state.memory.weights)
        wanted = self.start(source.n_columns, outputs, source.dtype).memory
        for name, here, there in zip(Memory._fields, state.memory, wanted, strict=True):
            if here.shape != there.shape or here.dtype != there.dtype:
                raise StateError(
                    f"The state's {name} has shape {here.shape} and dtype {here.dtype}, but {there.shape} and {there.dtype} are "
                    "needed: columns, dtype, optimizer or averaging have changed since training began. Keep them, or begin anew."
                )
        targets = (1 if self.loss.domain == CLASSES else outputs) + isinstance(self.loss, Offset)
        if source.n_targets != targets:
            raise StateError(
                f"The data have {source.n_targets} targets, but {targets} belong to {type(self.loss).__name__} and a state of "
                f"{outputs} outputs. Keep their number, or begin anew."
            )

    def block_rows(self, state: State, source: TrainingSource) -> int:
        """How many rows a block should have."""
        weights = state.memory.weights
        return _block_rows(len(weights) * source.numbers_a_row + weights.size / self.batch_size)

    def sweep(self, block: Block, state: State, last: bool) -> Sums:
        """Make the updates that the block completes. `last`: the epoch ends with this block."""
        descent = Descent(
            self.loss,
            self.penalty,
            # Of the same type, so that what moves a coefficient is compiled once and moves the intercept, too.
            type(self.penalty)(*[0.0] * len(self.penalty)),
            self.optimizer,
            self.schedule,
            self.averaging,
            self.batch_size,
            self.fit_intercept,
        )
        sums = Sums(*sweep(block, state.memory, descent, state.rate_factor, last, state.loss_sum))
        if last and not np.isfinite(state.memory.weights).all():
            return sums._replace(finite=False)
        return sums

    def weights(self, state: State) -> np.ndarray:
        """The weights that training has come to: the average where there is one, otherwise the last."""
        memory = state.memory
        if self.averaging != NoAveraging() and state.updates >= self.averaging.start:
            return memory.mean.astype(memory.weights.dtype)
        return memory.weights

    @staticmethod
    def predict(source: TrainingSource, weights: np.ndarray, *, offset: bool = False) -> np.ndarray:
        """The scores of a source's rows, in order: (rows, outputs). `offset`: its last target is one, and is added."""
        scores = np.empty((source.n_rows, len(weights)), weights.dtype)
        size, begin = _block_rows(len(weights) * source.numbers_a_row), 0
        for block, end in source.blocks(_IN_ORDER, 0, 0, lambda: size):
            scores[begin:end] = LinearEngine.score(block, weights, offset=offset)
            if not np.isfinite(scores[begin:end]).all():
                source.require_finite(block.rows)
            begin = end
        return scores

    @staticmethod
    def score(block: Block, weights: np.ndarray, *, offset: bool = False) -> np.ndarray:
        """The scores of a block's rows, (rows, outputs); see `predict`."""
        scores = np.empty((len(block.rows), len(weights)), weights.dtype)
        predict(block, weights, scores)
        if offset:
            scores += block.y[block.rows, -1:]
        return scores

    def measure(self, source: TrainingSource, weights: np.ndarray) -> float:
        """The mean of weight times loss over a source, at fixed weights; NaN where a score is not finite."""
        size, total = _block_rows(len(weights) * source.numbers_a_row), 0.0
        for block, _ in source.blocks(_IN_ORDER, 0, 0, lambda: size):
            sums = Sums(*measure(block, weights, self.loss, total))
            if not sums.finite:
                source.require_finite(block.rows)
                return np.nan
            total = sums.loss
        return total / source.n_rows

    def penalise(self, weights: np.ndarray) -> float:
        """The penalty of weights; intercepts go free."""
        return float(penalty_value(self.penalty, weights[:, :-1]))

    def exploded(self, source: TrainingSource, state: State) -> bool:
        """Whether the weights, though finite, are far worse than none: the last epoch's loss is a thousand times that of zero."""
        loss = state.history[-1]["loss"] if state.history else 0.0
        return loss > _SUSPICIOUS and loss > 1e3 * self.measure(source, np.zeros_like(self.weights(state)))

    def divergence(self, source: TrainingSource, state: State) -> DivergenceError:
        """The error to raise when training on finite data came to a score, loss or weight that is not finite, or exploded."""
        block, _ = next(source.blocks(_IN_ORDER, 0, 0, lambda: 1000))
        largest, deviations = block.scales()
        rate = state.rate_factor * schedule_rate(self.schedule, max(state.updates, 1))
        return DivergenceError(
            f"Training diverged: the loss grew beyond all bounds by update {state.updates} (epoch {state.epoch + 1}), at a "
            f"learning rate of {rate:.3g}. Columns reach {largest:.3g}, and their standard deviations run from "
            f"{deviations.min():.3g} to {deviations.max():.3g}. Try a learning rate a tenth as large, columns "
            "standardised (if they are not yet), or a loss that grows no faster than linearly."
        )


def _block_rows(products):
    """How many rows a block should have if each takes that many products."""
    return int(max(64, min(_BLOCK_ROWS, _BLOCK_PRODUCTS // max(products, 1))))
