"""The verbs that the loop, the monitors and the search for rates know engines by."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from fallline.data.order import Order
from fallline.data.rows import TrainingSource
from fallline.errors import DivergenceError
from fallline.kernels.sweep import Sums
from fallline.state import State, Stop

__all__ = ["IN_ORDER", "Engine"]

IN_ORDER = Order(0, shuffle=False)
"""One row after the other."""


class Engine:
    """Turns blocks of rows into updates of a model.

    Subclasses say what is trained and how: linear models (`LinearEngine`) or a PyTorch module. All that changes is in the state.
    What "weights" and "blocks" are is between an engine and its sources.

    Attributes
    ----------
    loss : NamedTuple or callable
        What is to fall.
    ease : float
        How many visits to rows cost as much as one by a small model; at most 1.
    horizon : float
        With which power of the number of updates the best rate falls, where noise limits it: see `fallline.tuning.rate`.
    least_rows : int
        How many rows batches that are looked for, or looked with, have at the least.
    """

    loss: Any
    ease: float = 1.0
    horizon: float = 0.4
    least_rows: int = 1

    def require(self, state: State, source: TrainingSource) -> None:
        """Raise `StateError` if a state is not one of this engine's, on data like these."""
        raise NotImplementedError

    def sweep(self, block: Any, state: State, last: bool) -> Sums:
        """Make of a block what can be made of it. `last`: the epoch ends with this block."""
        raise NotImplementedError

    def weights(self, state: State) -> Any:
        """The weights that training has come to; they may change when it goes on."""
        raise NotImplementedError

    def copied(self, weights: Any) -> Any:
        """A copy of weights, which nothing changes."""
        raise NotImplementedError

    def measure(self, source: TrainingSource, weights: Any) -> float:
        """The mean of weight times loss over a source, at fixed weights; NaN where a score is not finite."""
        raise NotImplementedError

    def penalise(self, weights: Any) -> float:
        """The penalty of weights."""
        return 0.0

    def replica(self) -> Engine:
        """The same engine, of a copy of the model where that is not all in the state: what it does leaves this one's alone."""
        return self

    def kept(self, state: State) -> State:
        """A copy of a state, which training can be taken back to."""
        return copy.deepcopy(state)

    def branched(self, state: State) -> State:
        """A state that begins where another stands, and shares nothing with it."""
        raise NotImplementedError

    def begun(self, weights: Any) -> State:
        """A new state that begins at weights, which stay as they are."""
        raise NotImplementedError

    def collected(self, blocks: Iterable[Any]) -> Any:
        """A copy of the rows of some blocks, as a source in memory; its `part(begin, end)` is one of some of them."""
        raise NotImplementedError

    def block_rows(self, state: State, source: TrainingSource) -> int:
        """How many rows the next block should have."""
        raise NotImplementedError

    def rows_left(self, updates: int, state: State) -> int:
        """How many rows complete so many updates; only where updates can be counted out."""
        raise NotImplementedError

    def settle(self, state: State) -> None:
        """Bring the weights in memory up to date within an epoch, so that others can be put in their place."""

    def order(self, order: Order, state: State) -> Order:
        """In which order the epoch under way visits the rows, given the order of the run."""
        return order

    def finished(self, state: State) -> Stop | None:
        """Asked after every epoch: why nothing more is to be gained, or None."""
        return None

    def penalty_met(self, state: State) -> float:
        """The penalty of the weights at which the losses of the epoch just ended were measured, as nearly as is known."""
        return 0.0

    def separable(self, state: State) -> bool:
        """Whether it seems that a plane separates the classes, and no penalty keeps the coefficients from growing for ever."""
        return False

    def exploded(self, source: TrainingSource, state: State) -> bool:
        """Whether the weights, though finite, are far worse than none."""
        return False

    def divergence(self, source: TrainingSource, state: State) -> DivergenceError:
        """The error to raise when training on finite data came to a score, loss or weight that is not finite."""
        raise NotImplementedError
