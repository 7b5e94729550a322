"""Trials: short runs from the same state on the same rows, each judged on rows that it has not seen.

A trial is an ordinary run of the loop, on a copy of the state and on a copy of some of the rows. Nothing is used up by it:
training afterwards begins with the state as it was and visits every row in its own order.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from fallline.data.order import NO_EPOCH, Order
from fallline.data.rows import TrainingSource
from fallline.engines.base import IN_ORDER, Engine
from fallline.errors import DivergenceError
from fallline.loop import train
from fallline.monitors.base import Run
from fallline.state import State

__all__ = [
    "EngineFor",
    "Found",
    "Trial",
    "Trials",
    "descended",
    "drawn",
    "most_visits",
    "whole_batches",
]

# Numbers of rows that are held for trials, at most, but so many rows at the least.
_HELD, _HELD_ROWS = 2**23, 2**12
# Rows to judge on, at most: the difference of two trials on the same rows is certain enough; and how many times a budget should
# suffice for judging. Where they are more than this share of all, they are trained on, too: the objective is what is to fall.
_JUDGED, _JUDGED_SHARE, _JUDGINGS = 2048, 0.25, 64
# What all trials of a search may visit: a share of the visits that training makes; or so many where that is less, which takes
# no time worth mentioning; or at most so many, where epochs without end are asked for and time ends them.
_SHARE, _FEW_VISITS, _MOST_VISITS = 1 / 20, 2**16, 2**24


def most_visits(visits: int, few: int = _FEW_VISITS) -> int:
    """How many visits to rows a search may take before a run of so many; `few` take no time worth mentioning."""
    return max(min(int(visits * _SHARE), _MOST_VISITS), few)


class EngineFor(Protocol):
    """Makes an engine with this highest rate and batch size, whose schedule ends after so many updates."""

    def __call__(self, rate: float, batch_size: int, updates: int) -> Engine:
        """The engine."""


def drawn(engine: Engine, source: TrainingSource, seed: int, most: int) -> Any:
    """A copy of the first rows of a shuffled epoch: as many as asked for, or as the memory of windows holds.

    Raises
    ------
    NonFiniteError
        If they hold NaN or infinity.
    """
    most = min(most, source.n_rows, max(int(_HELD / max(source.numbers_a_row, 1.0)), _HELD_ROWS))

    def blocks():
        for block, end in source.blocks(Order(seed), NO_EPOCH, 0, lambda: most):
            source.require_finite(block.rows)
            yield block
            if end >= most:
                break

    return engine.collected(blocks())


def whole_batches(rows: int, batch_size: int, least_rows: int) -> int:
    """How many of some rows to train on, so that the last batch has rows enough; see `Engine`."""
    left = rows % batch_size
    return rows - left if rows > batch_size and left < least_rows else rows


def descended(
    engine: Engine,
    state: State,
    source: TrainingSource,
    order: Order,
    epochs: int,
    updates: int | None = None,
) -> bool:
    """Train a state for so many epochs, or updates if these are fewer; whether that did not diverge."""
    most = None if updates is None else state.updates + updates
    try:
        train(Run(engine, source, order, state, epochs, most))
    except DivergenceError:
        return False
    return True


class Trial(NamedTuple):
    """What came of a trial.

    Parameters
    ----------
    rate : float
    batch_size, updates : int
    objective : float
        Loss and penalty at its end; infinite where it diverged.
    rows_a_second : float
        How fast it was; for people, nothing is decided by it.
    state : State or None
        Where it ended; None where it diverged.
    """

    rate: float
    batch_size: int
    updates: int
    objective: float
    rows_a_second: float
    state: State | None


class Found(NamedTuple):
    """What a search came to.

    Parameters
    ----------
    value : float or int
        A learning rate or a batch size.
    reason : str
        Why this one, in a sentence.
    start : float
        The objective before any update, on the rows that trials were judged on.
    visits : int
        Visits to rows that the search took.
    trials : sequence of Trial
    """

    value: float
    reason: str
    start: float
    visits: int
    trials: Sequence[Trial]

    def note(self) -> dict[str, Any]:
        """The same as plain values for the state, the same every time: speeds are left out."""
        return {
            "value": self.value,
            "reason": self.reason,
            "start": self.start,
            "visits": self.visits,
            "tried": [
                {
                    "rate": trial.rate,
                    "batch_size": trial.batch_size,
                    "updates": trial.updates,
                    "objective": trial.objective if math.isfinite(trial.objective) else None,
                }
                for trial in self.trials
            ],
        }


class Trials:
    """Makes trials from a state, keeps what came of them, and counts the visits to rows that they take.

    Parameters
    ----------
    engine_for : EngineFor
    state : State
        Where each trial starts; it is left as it is.
    source : TrainingSource
    seed : int
        Chooses the rows.
    visits : int
        Those that training will make; see `most_visits`.
    fewest : int
        Trials that the budget suffices for at the least: no more rows are drawn than one of so many may visit.

    Attributes
    ----------
    budget : int
        Visits that trials may take in all.
    least_rows, horizon
        See `Engine`.
    judged, trained : int
        Rows that trials are judged on, and that they can train on before they meet the same again.
    start : float
        The objective before any update.
    made : list of Trial
    visits : int
        How many visits to rows they took.
    """

    def __init__(
        self,
        engine_for: EngineFor,
        state: State,
        source: TrainingSource,
        seed: int,
        visits: int,
        fewest: int = 1,
    ):
        self.engine_for = engine_for
        first = engine_for(1.0, 1, 1).replica()
        self.budget = most_visits(visits, int(_FEW_VISITS * first.ease))
        self.least_rows, self.horizon = first.least_rows, first.horizon
        self._state, self._rows = state, drawn(first, source, seed, self.budget // fewest)
        n = self._rows.n_rows
        self.judged = min(n, _JUDGED, self.budget // _JUDGINGS)
        self._first = 0 if self.judged > n * _JUDGED_SHARE else self.judged
        self.trained = n - self._first
        self.made: list[Trial] = []
        self.visits = 0
        self.start = self.judge(first, state)

    def run(self, rate: float, batch_size: int, updates: int) -> Trial:
        """Make so many updates, and judge where they lead."""
        engine = self.engine_for(rate, batch_size, updates).replica()
        began = time.perf_counter()
        state = self._descend(engine, batch_size, updates, self._state)
        seconds = time.perf_counter() - began
        objective = math.inf if state is None else self.judge(engine, state)
        speed = batch_size * updates / max(seconds, 1e-9)
        self.made.append(Trial(rate, batch_size, updates, objective, speed, state))
        return self.made[-1]

    def squared_gradient(self, state: State, batch_size: int, place: int) -> float:
        """The squared norm of the gradient of one batch, the one at this place among the rows, at the weights of a state."""
        # It is taken before the update moves the weights, so that the rate does not matter.
        engine = self.engine_for(1.0, batch_size, 1).replica()
        reached = self._descend(engine, batch_size, 1, engine.begun(engine.weights(state)), place)
        return math.nan if reached is None else reached.gradient_norm**2

    def judge(self, engine: Engine, state: State) -> float:
        """Loss and penalty of a state on the rows held back; infinite where they are beyond all numbers."""
        weights = engine.weights(state)
        self.visits += self.judged
        objective = engine.measure(self._stretch(0, self.judged), weights) + engine.penalise(weights)
        return objective if math.isfinite(objective) else math.inf

    def _descend(self, engine, batch_size, updates, state, place=0):
        """The state that so many updates lead to; None if they diverge."""
        wanted, first = updates * batch_size, self._first + place * batch_size
        rows = whole_batches(min(wanted, self._rows.n_rows - first), batch_size, self.least_rows)
        stretch = self._stretch(first, first + rows)
        copied = engine.branched(state)
        finite = descended(engine, copied, stretch, IN_ORDER, math.ceil(wanted / rows), updates)
        self.visits += copied.rows
        return copied if finite else None

    def _stretch(self, begin, end):
        """Some of the rows, as a source."""
        return self._rows.part(begin, end)
