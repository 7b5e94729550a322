"""What all engines of linear models share: the objective, and what can be asked of fixed weights."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.data.rows import ArraySource, TrainingSource, rows_of
from fallline.engines.base import IN_ORDER, Engine
from fallline.errors import DivergenceError, StateError
from fallline.kernels.blocks import Block
from fallline.kernels.sweep import Sums, measure, predict
from fallline.objective.losses import n_targets
from fallline.objective.penalties import NoPenalty, penalty_value
from fallline.state import State, Stop

__all__ = ["LinearEngine", "OptimumEngine", "block_rows", "columns_reach", "initial_weights"]

# A block has at most this many rows, and fewer when rows or updates are wide: calls stay far shorter than a blink, so
# that monitors are asked often, and far longer than what a call costs.
_BLOCK_ROWS = 2**15
_BLOCK_PRODUCTS = 2**23


class LinearEngine(Engine):
    """Minimises, over linear models, the mean over the rows of weight times loss, plus the penalty.

    Subclasses say how: what they remember (`start`) and what they make of a block (`sweep`).

    Attributes
    ----------
    loss : NamedTuple
        A typed value from `LOSSES`, as it is or within an `Offset`.
    penalty : NamedTuple
        A typed value from `PENALTIES`.
    fit_intercept : bool
        Otherwise intercepts stay as they start.
    """

    loss: Any
    penalty: Any
    fit_intercept: bool

    def start(self, columns: int, outputs: int, dtype: Any, weights: np.ndarray | None = None) -> State:
        """A state to train from; `weights` (outputs, columns + 1), their last column the intercept, are where it starts."""
        raise NotImplementedError

    def weights(self, state: State) -> np.ndarray:
        """The weights that training has come to, (outputs, columns + 1)."""
        raise NotImplementedError

    def copied(self, weights: np.ndarray) -> np.ndarray:
        """See `Engine.copied`."""
        return np.array(weights)

    def branched(self, state: State) -> State:
        """See `Engine.branched`."""
        return State(copy.deepcopy(state.memory))

    def begun(self, weights: np.ndarray) -> State:
        """See `Engine.begun`."""
        return self.start(weights.shape[1] - 1, len(weights), weights.dtype, weights)

    def collected(self, blocks: Iterable[Block]) -> ArraySource:
        """See `Engine.collected`."""
        parts: list[Any] = [rows_of(block) for block in blocks]
        return ArraySource(type(parts[0]).concatenate(parts))

    def block_rows(self, state: State, source: TrainingSource) -> int:
        """See `Engine.block_rows`."""
        weights = state.memory.weights
        return block_rows(len(weights) * source.numbers_a_row)

    def require(self, state: State, source: TrainingSource) -> None:
        """See `Engine.require`."""
        outputs = len(state.memory.weights)
        wanted = self.start(source.n_columns, outputs, source.dtype).memory
        if type(state.memory) is not type(wanted):
            raise StateError(
                "The state was made by another solver, and means nothing to this one. Use the same solver, or begin anew."
            )
        for name, here, there in zip(wanted._fields, state.memory, wanted, strict=True):
            # What has a default is filled within epochs only, in shapes that the rows choose.
            if name in wanted._field_defaults:
                continue
            if here.shape != there.shape or here.dtype != there.dtype:
                raise StateError(
                    f"The state's {name} has shape {here.shape} and dtype {here.dtype}, but {there.shape} and {there.dtype} are "
                    "needed: columns, dtype, optimizer or averaging have changed since training began. Keep them, or begin anew."
                )
        targets = n_targets(self.loss, outputs)
        if source.n_targets != targets:
            raise StateError(
                f"The data have {source.n_targets} targets, but {targets} belong to {type(self.loss).__name__} and a state of "
                f"{outputs} outputs. Keep their number, or begin anew."
            )

    @staticmethod
    def predict(source: TrainingSource, weights: np.ndarray, *, offset: bool = False) -> np.ndarray:
        """The scores of a source's rows, in order: (rows, outputs). `offset`: its last target is one, and is added."""
        scores = np.empty((source.n_rows, len(weights)), weights.dtype)
        size, begin = block_rows(len(weights) * source.numbers_a_row), 0
        for block, end in source.blocks(IN_ORDER, 0, 0, lambda: size):
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
        """See `Engine.measure`."""
        size, total = block_rows(len(weights) * source.numbers_a_row), 0.0
        for block, _ in source.blocks(IN_ORDER, 0, 0, lambda: size):
            sums = Sums(*measure(block, weights, self.loss, total))
            if not sums.finite:
                source.require_finite(block.rows)
                return np.nan
            total = sums.loss
        return total / source.n_rows

    def penalise(self, weights: np.ndarray) -> float:
        """The penalty of weights; intercepts go free."""
        return float(penalty_value(self.penalty, weights[:, :-1]))

    def penalty_met(self, state: State) -> float:
        """See `Engine.penalty_met`."""
        return self.penalise(self.weights(state))

    def divergence(self, source: TrainingSource, state: State) -> DivergenceError:
        """See `Engine.divergence`."""
        return DivergenceError(
            f"The loss is beyond all numbers at update {state.updates} (epoch {state.epoch + 1}). {columns_reach(source)} "
            "Standardise columns, correct targets that are too large, or choose a loss that grows no faster than linearly."
        )


@dataclass(frozen=True)
class OptimumEngine(LinearEngine):
    """An engine that goes to the optimum with nothing to tune, and says itself when it is there.

    What it knows of that is in `state.notes["solver"]`: "batch" and "step", the "penalty" of the model looked at last, what is
    "left" to gain relative to what was, and why training "ended"; the last two None until then.

    Parameters
    ----------
    loss, penalty : NamedTuple
        Typed values from `LOSSES` (as they are, or within an `Offset`) and `PENALTIES`.
    rows : int
        Rows of an epoch.
    fit_intercept : bool
        Otherwise intercepts stay as they start.
    tolerance : float
        Training ends when what is left to gain is less than this share of what has been gained over intercepts alone.
    """

    loss: Any
    penalty: Any = NoPenalty()
    rows: int = 0
    fit_intercept: bool = True
    tolerance: float = 1e-6

    def penalty_met(self, state: State) -> float:
        """See `Engine.penalty_met`."""
        return state.notes["solver"]["penalty"]

    def finished(self, state: State) -> Stop | None:
        """See `Engine.finished`. The epoch's record is told the batch size, the step and what is left."""
        note = state.notes["solver"]
        state.history[-1] |= {"batch_size": note["batch"], "step": note["step"]}
        if note["left"] is not None:
            state.history[-1]["optimality"] = note["left"]
        return None if note["ended"] is None else Stop("converged", note["ended"])


def columns_reach(source: TrainingSource) -> str:
    """How large the first rows are and how different their columns, in a sentence for those whose training diverged."""
    block, _ = next(source.blocks(IN_ORDER, 0, 0, lambda: 1000))
    largest, deviations = block.scales()
    lowest, highest = deviations.min(), deviations.max()
    return (
        f"Columns reach {largest:.3g}, and their standard deviations run from {lowest:.3g} to {highest:.3g}."
    )


def initial_weights(weights: np.ndarray | None, shape: tuple[int, int], dtype: Any) -> np.ndarray:
    """A copy of the weights to start from; zeros where none are given."""
    if weights is None:
        return np.zeros(shape, dtype)
    return np.array(weights, dtype, order="C").reshape(shape)


def block_rows(products: float) -> int:
    """How many rows a block should have if each takes that many products."""
    return int(max(64, min(_BLOCK_ROWS, _BLOCK_PRODUCTS // max(products, 1))))
