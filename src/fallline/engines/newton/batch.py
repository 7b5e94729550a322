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

__all__ = ["ACCEPTED", "CURRENT", "FRESH", "NULL", "BadRowsError", "Batch"]

NULL, ACCEPTED, CURRENT, FRESH = range(4)
"""Places of `NewtonMemory.points`."""

# Rows times coefficients whose curvature is summed, of a batch of the first pass and of a full pass.
_CURVED_BATCH, _CURVED_PASS = 2**19, 2**23
# That of the squared error is the same everywhere, so that one pass is enough, if all rows take no more products than this.
_CURVED_SQUARED = 2**33
# Products that are summed in float64: some large numbers would drown the others in rounding errors, where rows are too few for
# these to cancel.
_EXACT = 2**22


class BadRowsError(ArithmeticError):
    """A row of a block has a number that is NaN or infinite."""


class Batch:
    """The batch under way.

    Parameters
    ----------
    engine : NewtonEngine
    state : State
    block : Block
        Where rows come from.

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

    def __init__(self, engine: NewtonEngine, state: State, block: Block):
        self.engine = engine
        self.state = state
        self.block = block
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

    def fill(self, place: int, count: int) -> None:
        """Copy rows of the block behind those that wait, until there are `count`."""
        self._copy(place, self.chunk(slice(self.note["filled"], count)))

    def _copy(self, place, chunk):
        """Fill a chunk with the rows of the block from a place on."""
        if standardise(self.block, place, self.shift, self.inverse, *chunk):
            raise BadRowsError

    def chunk(self, rows: slice) -> Chunk:
        """Rows that wait."""
        memory = self.memory
        return Chunk(memory.rows[rows], memory.targets[:, rows], memory.row_weight[rows])

    def _copied(self, place, rows):
        """Rows of the block, from a place on."""
        memory, count = self.memory, rows.stop - rows.start
        z = np.empty((count, memory.rows.shape[1]), memory.rows.dtype)
        chunk = Chunk(z, np.empty((len(memory.targets), count), z.dtype), np.empty(count, z.dtype))
        self._copy(place + rows.start, chunk)
        return chunk

    def _each(self, function, count):
        """What a function says of each chunk of so many rows, in order, and the chunks."""
        width = self.memory.rows.shape[1]
        size = chunk_size(width)
        chunks = [slice(begin, min(begin + size, count)) for begin in range(0, count, size)]
        return zip(chunks, each(function, chunks, count * width), strict=True)

    def scores(self, models: np.ndarray, count: int) -> np.ndarray:
        """Linear predictions (models, outputs, rows) of several models for rows that wait, which are read once for all."""
        flat = models.reshape(-1, models.shape[-1]).astype(self.memory.rows.dtype)
        found = self._each(lambda rows: flat @ self.memory.rows[rows].T, count)
        return np.concatenate([scores for _, scores in found], axis=1).reshape(*models.shape[:-1], count)

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

    def sum_up(self, question: Question, count: int, place: int | None) -> Iterator[Sum]:
        """Add what is asked about some rows to the sums of the batch under way, and say what it was, chunk by chunk.

        The rows are the first of those that wait; or those of the block from a place on, of which each chunk is copied where it
        is summed: it is still in the processor's cache then.
        """
        done, total = self.note["taken"], self.note["batch"]

        def one(rows):
            chunk = self.chunk(rows) if place is None else self._copied(place, rows)
            return ask(question, chunk, curve=self._is_curved(done + rows.start, total))

        for rows, found in self._each(one, count):
            self.add(found, rows.stop - rows.start)
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
