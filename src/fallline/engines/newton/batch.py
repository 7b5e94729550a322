"""The batch under way: rows that wait, and the sums over those that were used.

All that changes is in the state; a `Batch` is made anew for every block, and knows how to read it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.engines.coordinates import Coordinates
from fallline.engines.newton.sizes import chunk_size
from fallline.engines.summing import STEPS, Chunk, Question, Sum, ask, lowest_along
from fallline.engines.threads import each
from fallline.kernels.blocks import Block
from fallline.kernels.curvature import NewtonMemory, standardise
from fallline.objective.losses import is_coupled
from fallline.objective.losses.smoothed import smoothed
from fallline.state import State

if TYPE_CHECKING:
    from fallline.engines.newton.engine import NewtonEngine

__all__ = ["ACCEPTED", "CURRENT", "FRESH", "NULL", "Batch"]

NULL, ACCEPTED, CURRENT, FRESH = range(4)
"""Places of `NewtonMemory.points`."""

# Numbers that a thread copies at a time.
_COPIED = 2**16
# Rows times coefficients whose curvature is summed, of a batch of the first pass and of a full pass.
_CURVED_BATCH, _CURVED_PASS = 2**19, 2**23
# That of the squared error is the same everywhere, so that one pass is enough, if all rows take no more products than this.
_CURVED_SQUARED = 2**33
# Products that are summed in float64: some large numbers would drown the others in rounding errors, where rows are too few for
# these to cancel.
_EXACT = 2**22


class Batch:
    """The batch under way.

    Parameters
    ----------
    engine : NewtonEngine
    state : State

    Attributes
    ----------
    memory : NewtonMemory
    note : dict
        What else the state holds of this solver.
    n, size : int
        Rows of an epoch; coefficients that share a curvature, Q.
    coordinates : Coordinates
    decay, absolute : ndarray of shape (Q,)
        Those of the coordinates, of the coefficients of a group.
    intercepts : slice
        Their places among the coefficients of a group.
    noise : ndarray of shape (columns + 1,)
        Of a standardised column's mean square, what rounding makes of a constant one.
    loss_sum : float
        Of the epoch, so far.
    visits : int
        How many rows were gone through again.
    """

    def __init__(self, engine: NewtonEngine, state: State):
        self.engine = engine
        self.state = state
        self.memory: NewtonMemory = state.memory
        self.note = state.notes["solver"]
        self.n = engine.rows
        self.size = self.memory.bent.shape[-1]
        width = self.memory.rows.shape[1]
        self.intercepts = slice(width - 1, None, width)
        self.loss_sum = state.loss_sum
        self.visits = 0
        self.read_coordinates()

    def read_coordinates(self) -> None:
        """What kernels standardise by, and what penalties become."""
        memory = self.memory
        self.coordinates = Coordinates(memory.coordinates, self.engine.penalty)
        outputs = self.size // memory.rows.shape[1]
        self.decay = np.concatenate([self.coordinates.decay] * outputs)
        self.absolute = np.concatenate([self.coordinates.absolute] * outputs)
        dtype = memory.rows.dtype
        self.shift = memory.coordinates[0, :-1].astype(dtype)
        self.inverse = (1.0 / memory.coordinates[1, :-1]).astype(dtype)
        shift, scale = memory.coordinates
        self.noise = (4.0 * np.finfo(dtype).eps * shift / scale) ** 2

    # -------------------------------------------------------------------------------------------------- rows

    def fill(self, block: Block, place: int, count: int) -> bool:
        """Copy rows behind those that wait; whether all of their numbers are finite."""
        memory, filled = self.memory, self.note["filled"]
        together = max(1, _COPIED // memory.rows.shape[1])

        def copy(first):
            rows = slice(filled + first, filled + min(first + together, count))
            out = memory.rows[rows], memory.targets[:, rows], memory.row_weight[rows]
            return standardise(block, place + first, self.shift, self.inverse, *out)

        return sum(each(copy, list(range(0, count, together)), count * memory.rows.shape[1])) == 0

    def chunk(self, rows: slice) -> Chunk:
        """Rows that wait."""
        memory = self.memory
        return Chunk(memory.rows[rows], memory.targets[:, rows], memory.row_weight[rows])

    def scores(self, models: np.ndarray, count: int) -> np.ndarray:
        """Linear predictions (models, outputs, rows) of several models for rows that wait, which are read once for all."""
        rows, size = self.memory.rows, chunk_size(self.memory.rows.shape[1])
        flat = models.reshape(-1, models.shape[-1]).astype(rows.dtype)
        parts = [rows[begin : min(begin + size, count)] for begin in range(0, count, size)]
        found = each(lambda part: flat @ part.T, parts, count * rows.shape[1])
        return np.concatenate(list(found), axis=1).reshape(*models.shape[:-1], count)

    def chunks(self, count: int) -> list[tuple[Chunk, bool]]:
        """Chunks of rows that wait, and whether each is among those whose curvature is summed."""
        size, done = chunk_size(self.memory.rows.shape[1]), self.note["taken"]
        return [
            (
                self.chunk(slice(begin, min(begin + size, count))),
                self._is_curved(done + begin, self.note["batch"]),
            )
            for begin in range(0, count, size)
        ]

    def _is_curved(self, taken, total):
        """Whether the rows from here on are among those whose curvature is summed: all, once a step has failed."""
        squared = len(self.memory.candidates) == 1 and self.n * self.size**2 <= _CURVED_SQUARED
        if self.note["every"] or squared:
            return True
        enough = max(10 * self.size, (_CURVED_PASS if total == self.n else _CURVED_BATCH) // self.size)
        share, number = min(1.0, enough / total), taken // chunk_size(self.memory.rows.shape[1])
        return math.floor(number * share) > math.floor((number - 1) * share)

    # -------------------------------------------------------------------------------------------------- sums

    @property
    def loss(self) -> Any:
        """The loss, smoothed where it has to be."""
        band = self.note["band"]
        return smoothed(self.engine.loss, band) if band else self.engine.loss

    def penalties(self, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Those of the `STEPS` from one model to another."""
        return self.coordinates.penalty(begin + STEPS[:, np.newaxis, np.newaxis] * (end - begin))

    def lowest_along(self, begin: np.ndarray, end: np.ndarray, chunk: Chunk) -> np.ndarray:
        """The objective on some rows between two models; see `summing.lowest_along`."""
        scores, penalties = (chunk.scores(begin), chunk.scores(end)), self.penalties(begin, end)
        return lowest_along(self.loss, *scores, chunk, penalties)

    def clear(self) -> None:
        """Begin the sums anew."""
        self.memory.slopes[0] = 0.0
        self.memory.bent[0] = 0.0
        self.memory.diagonal[:] = 0.0
        self.note.update(loss=0.0, taken=0, curved=0, bend=0.0, slack=0.0, held=0)

    def question(self, **more: Any) -> Question:
        """What is to be summed at the model whose turn it is."""
        exact = self.n * self.size**2 <= _EXACT
        coupled, model = is_coupled(self.engine.loss), self.memory.points[CURRENT]
        return Question(self.loss, coupled, model, exact=exact, **more)

    def sum_up(self, question: Question, chunks: list[tuple[Chunk, bool]]) -> Iterator[Sum]:
        """Add what is asked about chunks to the sums of the batch under way; and say what it was."""
        numbers = sum(chunk.z.size for chunk, _ in chunks)
        sums = each(lambda one: ask(question, one[0], curve=one[1]), chunks, numbers)
        for (chunk, _), found in zip(chunks, sums, strict=True):
            self.add(found, len(chunk.weight))
            yield found

    def add(self, found: Sum, rows: int) -> None:
        """Add what was asked about some rows to the sums."""
        memory, note = self.memory, self.note
        note["loss"] += found.loss
        note["taken"] += rows
        note["bend"] += found.bend
        note["slack"] += found.slack
        note["held"] += found.held
        memory.slopes[0] += found.slopes
        if found.bent is not None:
            note["curved"] += rows
            memory.bent[0] += found.bent
        if found.diagonal is not None:
            memory.diagonal[...] += found.diagonal.reshape(memory.diagonal.shape)
        if not self.engine.fit_intercept:
            memory.slopes[0, :, -1] = 0.0
            memory.bent[0, :, self.intercepts] = 0.0
            memory.bent[0, :, :, self.intercepts] = 0.0
            memory.diagonal[:, self.intercepts] = 0.0

    def whole_curvature(self) -> np.ndarray:
        """The curvature of a batch: that of some rows, weighted for all, and more for columns that were hardly among them."""
        note, bent, other = self.note, self.memory.bent[0], self.memory.diagonal
        own = np.einsum("gii->gi", bent)
        all_rows, weight = own + other, note["taken"] / max(note["curved"], 1)
        whole = weight * bent
        np.einsum("gii->gi", whole)[...] += np.where(
            weight * own < 0.5 * all_rows, all_rows - weight * own, 0.0
        )
        return whole

    def constant(self, diagonal: np.ndarray) -> np.ndarray:
        """Of which coefficients (..., Q) the curvature is no more than what rounding makes of a constant column."""
        own = diagonal.reshape(-1, len(self.noise))
        return (own <= self.noise * own[:, -1:]).reshape(diagonal.shape)

    def grouped(self, model: np.ndarray) -> np.ndarray:
        """A model by the groups of outputs that share a curvature, (G, Q)."""
        return model.reshape(self.memory.bent.shape[1:3])

    # -------------------------------------------------------------------------------------------------- results

    def publish(self, model: np.ndarray) -> None:
        """Make a model the weights that training has come to."""
        self.memory.weights[:] = self.coordinates.outside(model)

    def gradient_norm(self) -> float:
        """Of the mean gradient at the model last accepted."""
        return float(np.linalg.norm(self.memory.slopes[1]))
