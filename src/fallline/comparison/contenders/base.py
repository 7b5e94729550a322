"""What a contender is: someone who can be watched while minimising the objective."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fallline.comparison.problem import Problem

__all__ = ["Contender", "Snapshot", "Stopwatch", "marks"]


class Snapshot(NamedTuple):
    """Where a contender stands at one moment of its run.

    Parameters
    ----------
    updates : int
        Changes of the weights so far.
    rows : int
        Row visits so far; a row visited twice counts twice.
    seconds : float
        Time spent so far, looking on not counted.
    weights : ndarray of shape (outputs, columns + 1), float64
        Intercepts last.
    """

    updates: int
    rows: int
    seconds: float
    weights: np.ndarray


@dataclass(frozen=True)
class Contender(ABC):
    """One way to minimise the objective.

    Parameters
    ----------
    key : str
        A short name for machines, unique in a comparison.
    label : str
        A short name for people.
    family : str
        "fallline", "rival" or "other".
    batch_size : int or None
        Rows an update sees; None where there are no batches.
    """

    key: str
    label: str
    family: str
    batch_size: int | None

    @property
    def needs_rate(self) -> bool:
        """Whether there is a learning rate to choose."""
        return True

    @abstractmethod
    def trace(
        self, problem: Problem, rate: float, seed: int, epochs: int, records: int
    ) -> Iterator[Snapshot]:
        """Train for so many epochs from zero weights, pausing about `records` times to be looked at.

        Raises
        ------
        DivergenceError
            If that is how it notices that the rate is too large; others show weights that are not finite.
        """


class Stopwatch:
    """Counts the seconds of what it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what happens inside."""
        self._began = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - self._began

    def so_far(self) -> float:
        """The count, asked for inside."""
        return self.seconds + time.perf_counter() - self._began


def marks(total: int, records: int, grain: int = 1) -> list[int]:
    """Updates at which to look: about `records`, evenly spread on a logarithmic scale, the last at `total`.

    All are multiples of `grain`, the fewest updates that can be made at once.
    """
    if records == 1:
        return [total]
    spread = np.ceil(np.geomspace(1, total, records) / grain).astype(np.int64) * grain
    return np.unique(np.minimum(spread, total)).tolist()
