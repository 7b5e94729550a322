"""What monitors see of a run, and what they may say."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from fallline.data.order import Order
from fallline.data.rows import TrainingSource
from fallline.engines.base import Engine
from fallline.parallel.alone import Alone
from fallline.state import State, Stop

__all__ = ["Monitor", "Run", "Stop"]


@dataclass
class Run:
    """A training run: what is trained, on what, how far.

    Parameters
    ----------
    engine : Engine
        Turns blocks into updates.
    source : TrainingSource
        The rows to train on.
    order : Order
        In which order.
    state : State
        All that changes.
    epochs : int
        Epochs to make in all, those already in the state included.
    max_updates : int, optional
        Updates to make in all.
    processes : Alone or Processes
        Those that train together, each with a run like this.
    begun : State, optional
        What training began with, where the state is from later: what to go back to should it diverge.
    ended : Stop, optional
        Why training ended, where the state is that of a run which has.
    tuning_seconds : float
        How long was looked for rates and the like before training.
    """

    engine: Engine
    source: TrainingSource
    order: Order
    state: State
    epochs: int
    max_updates: int | None = None
    processes: Alone = field(default_factory=Alone)
    begun: State | None = None
    ended: Stop | None = None
    tuning_seconds: float = 0.0

    @property
    def updates_left(self) -> int | None:
        """How many updates may still be made; None where nothing limits them."""
        return None if self.max_updates is None else self.max_updates - self.state.updates

    def block_rows(self) -> int:
        """How many rows the next block may have: no more than finish the last update allowed."""
        rows = self.engine.block_rows(self.state, self.source)
        if self.updates_left is None:
            return rows
        return min(rows, self.engine.rows_left(self.updates_left, self.state))

    @property
    def weights(self) -> Any:
        """The weights that training has come to so far."""
        return self.engine.weights(self.state)

    @property
    def record(self) -> dict:
        """The latest record of the history; monitors may add to it."""
        return self.state.history[-1]


class Monitor:
    """Watches a run. Subclasses say what they do at which moment; by default nothing."""

    def watching(self, run: Run) -> AbstractContextManager:
        """What surrounds the run."""
        return nullcontext()

    def after_block(self, run: Run) -> Stop | None:
        """Asked after every block; a reason ends the run."""

    def before_epoch(self, run: Run) -> None:
        """Told before every epoch, but for the one that the run begins with."""

    def after_epoch(self, run: Run) -> Stop | None:
        """Asked after every epoch, whose record is `run.record`; a reason ends the run."""

    def finish(self, run: Run, stop: Stop) -> None:
        """Told when the run has ended and why; not if it ended in an error."""
