"""What every recipe can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from fallline.data.encoder import Encoder
from fallline.data.rows import TrainingSource
from fallline.monitors.base import Run
from fallline.scorers import Scorer
from fallline.state import State
from fallline.tuning import Method

__all__ = ["Begun", "Recipe"]


class Begun(NamedTuple):
    """What training begins with, and what becomes of its end.

    Parameters
    ----------
    method : Method
    state : State
    rows : callable
        Takes encoded rows and gives them as the method's engine takes them.
    scorer : callable
        Takes the run and the weights to keep, and gives what scores rows with them.
    told : callable
        Takes the run, and gives what the summary says of the method and its settings.
    keeps_best : bool
        Whether the weights to keep are those that did best on rows held out, where there are such, and not the last.
    """

    method: Method
    state: State
    rows: Callable[[TrainingSource], TrainingSource]
    scorer: Callable[[Run, Any], Scorer]
    told: Callable[[Run], dict[str, Any]]
    keeps_best: bool = False


class Recipe(Protocol):
    """What was given of how to train; see `fallline.train`."""

    def check(self) -> None:
        """Raise `ParameterError` for what cannot be used, before any work is done."""

    def begin(self, loss: Any, encoder: Encoder, source: TrainingSource, seed: int) -> Begun:
        """How to train on encoded rows, and the state to begin from.

        Parameters
        ----------
        loss : NamedTuple
            As it is, or within an `Offset`.
        encoder : Encoder
            What the rows are, and how many scores each has.
        source : TrainingSource
        seed : int
        """

    def divides(self, rows: int) -> bool:
        """Whether each of many processes visits rows of its own between two meetings, given how many rows there are."""
