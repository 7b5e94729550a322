"""Newton passes for an L1 penalty, which need the curvature of few columns only: (14)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import numpy as np

from fallline.engines.quadratic import minimum, to_gain
from fallline.engines.saga.full import DIAGONAL, DIRECTION, GRADIENT, FullPass
from fallline.engines.saga.turns import after_active, in_groups, room_for_columns
from fallline.engines.summing import Chunk, curvature_of, examined
from fallline.kernels.blocks import Block, DenseBlock, row_weights
from fallline.kernels.saga_sums import sum_curvature
from fallline.kernels.sweep import Sums
from fallline.objective.losses import is_coupled

__all__ = ["ActivePass"]

# Columns at zero join the active ones whose slope is at least this share of what holds them there, the steepest first: as many
# as are active already, or this many.
_STEEP, _FEW = 0.8, 100
# Of the columns that can be active, how many may be before quasi-Newton passes take over; or how short a step.
_CROWDED, _SHORTEST = 0.9, 1e-3
# Of dense rows, those whose curvature is summed: as many as take so many multiplications, but so many a coefficient in any case.
_MULTIPLICATIONS, _ROWS_EACH = 2**32, 20
# Dense rows that wait until they are summed together.
_TOGETHER = 512
# How much is damped at first, below what nothing is, and where damping more is given up.
_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-3, 1e-9, 1e6
# Of what has been gained, what may be left when the minimum of (14) is no longer left to coordinate descent.
_NEAR = 0.01
# How much is done for it then, at most: sweeps of coordinate descent, and systems of equations.
_SWEEPS, _ROUNDS = 300, 20


class _Group(NamedTuple):
    """Coefficients that share a curvature: those of some outputs, in active columns and intercepts.

    Parameters
    ----------
    outputs : ndarray of int
    columns : ndarray of int
    curvature : ndarray of shape (Q, Q)
        Its part of the sums in memory.
    """

    outputs: np.ndarray
    columns: np.ndarray
    curvature: np.ndarray

    def within(self, model: np.ndarray) -> tuple[np.ndarray, ...]:
        """Where its coefficients are in a model, (A + 1, outputs)."""
        return np.ix_(np.append(self.columns, len(model) - 1), self.outputs)

    def tiled(self, strength: float) -> np.ndarray:
        """`strength` for every coefficient, and 0 for intercepts."""
        return np.tile(np.append(np.full(len(self.columns), strength), 0.0), len(self.outputs))


class ActivePass(FullPass):
    """All rows, in order: objective and gradient, and the curvature of the active columns."""

    curved: ClassVar[bool] = True

    def take(self, block: Block, last: bool) -> Sums:
        """See `Pass.take`."""
        memory = self._ready()
        if self.state.position == 0:
            memory.bent[:] = 0.0
            self.note["rows_bent"] = 0
        if isinstance(block, DenseBlock):
            self._bend_dense(block, last)
        else:
            self._bend_sparse(block)
        return super().take(block, last)

    def _make_room(self) -> None:
        self._let_in([np.flatnonzero(own) for own in in_groups(self, self.memory.centre[:-1] != 0.0)])

    # -------------------------------------------------------------------------------------------------- curvature

    def _groups(self) -> Iterator[_Group]:
        memory, begin = self.memory, 0
        all_outputs = np.arange(memory.point.shape[1])
        for g, edges in enumerate(itertools.pairwise(memory.edges)):
            columns = memory.active[slice(*edges)]
            outputs = all_outputs if is_coupled(self.engine.loss) else all_outputs[g : g + 1]
            size = len(outputs) * (len(columns) + 1)
            yield _Group(outputs, columns, memory.bent[begin : begin + size**2].reshape(size, size))
            begin += size**2

    def _bend_sparse(self, block):
        """Sum the curvature of sparse rows, of which each holds few of the active columns."""
        memory = self.memory
        columns, places = np.unique(memory.active), np.full(block.columns, -1, np.int32)
        places[columns] = np.arange(len(columns))
        inside = np.full((len(columns), len(memory.edges) - 1), -1, np.int32)
        for g, group in enumerate(self._groups()):
            inside[places[group.columns], g] = np.arange(len(group.columns))
        sum_curvature(block, self.engine.loss, memory, places, inside, is_coupled(self.engine.loss))
        self.note["rows_bent"] += len(block.rows)

    def _bend_dense(self, block, last):
        """Let dense rows wait until they are enough for a matrix product; or those of them whose curvature is summed."""
        columns = np.unique(self.memory.active)
        width = len(columns) + 2 + block.y.shape[1]
        if self.memory.waiting.shape != (_TOGETHER, width):
            self.put(waiting=np.zeros((_TOGETHER, width), self.memory.weights.dtype))
        place, first, share = 0, self.state.position, self._curved_share()
        while place < len(block.rows):
            filled = (first + place) % _TOGETHER
            rows = block.rows[place : place + _TOGETHER - filled]
            place += len(rows)
            chunk = (first + place - 1) // _TOGETHER
            if math.floor((chunk + 1) * share) > math.floor(chunk * share):
                waiting = self.memory.waiting[: filled + len(rows)]
                self._copy(block, rows, columns, waiting[filled:])
                if len(waiting) == _TOGETHER or (last and place == len(block.rows)):
                    self._bend(waiting, columns)

    def _curved_share(self):
        """Of the rows that wait together, the share whose curvature is summed."""
        size = max(len(group.curvature) for group in self._groups())
        return min(1.0, max(_MULTIPLICATIONS / self.memory.bent.size, _ROWS_EACH * size) / self.n)

    def _copy(self, block, rows, columns, out):
        """Of some rows these columns, a one, targets and weight."""
        width = len(columns)
        out[:, :width] = block.X[rows[:, np.newaxis], columns] - self.memory.columns[0, columns]
        out[:, width] = 1.0
        out[:, width + 1 : -1] = block.y[rows]
        out[:, -1] = row_weights(block)[rows]

    def _bend(self, rows, columns):
        """Add the curvature of rows at the model tried."""
        loss, width, model = self.engine.loss, len(columns) + 1, self.memory.point
        parts = rows[:, :width], rows[:, width:-1].T, rows[:, -1]
        chunk = Chunk(*map(np.ascontiguousarray, parts))
        scores = chunk.scores(model[np.append(columns, len(model) - 1)].T)
        curvatures = examined(loss, scores, chunk)[-1]
        for group in self._groups():
            z = chunk.z[:, np.append(np.searchsorted(columns, group.columns), len(columns))]
            own = curvatures[group.outputs]
            group.curvature[...] += curvature_of(chunk._replace(z=z), own, coupled=is_coupled(loss))[0]
        self.note["rows_bent"] += len(rows)

    # -------------------------------------------------------------------------------------------------- steps

    def _pass_on(self) -> None:
        crowded = max(map(np.count_nonzero, self._moving())) > _CROWDED * room_for_columns(self)
        if crowded or self.note["trial"] < _SHORTEST:
            after_active(self)

    def _promise(self) -> float:
        return self.note["trial"] * self.note["slope"]

    def _forget(self) -> bool:
        return False

    def _go(self, step: float) -> None:
        memory = self.memory
        memory.point[:] = memory.centre + step * memory.kept[DIRECTION]

    def _left(self) -> float:
        return self.note["promised"]

    def _aim(self) -> None:
        """Go to the minimum of (14); damped, if the last step had to be shortened or more is promised than there can be."""
        note = self.note
        objective, null, damping = note["objective"], note["null_objective"], note["damping"]
        damping = (
            _more(damping) if note["step"] < 1.0 else damping / 10.0 if damping > _LEAST_DAMPING else 0.0
        )
        while (left := self._propose(damping)) > max(abs(objective), abs(null)):
            if damping > _MOST_DAMPING:
                break
            damping = _more(damping)
        if left < max(_NEAR, 2.0 * self.engine.tolerance) * max(null - objective, 1e-6 * abs(null)):
            left = self._propose(0.0, _SWEEPS, _ROUNDS)
            if damping:
                self._propose(damping, _SWEEPS)
        note.update(damping=damping, promised=max(left, 0.0) + self._outside())
        steep = in_groups(self, np.abs(self.memory.kept[GRADIENT, :-1]))
        self._let_in([self._next(*own) for own in zip(self._moving(), steep, strict=True)])

    def _propose(self, damping, sweeps=20, rounds=0):
        """Note about where (14) has its minimum, and return what that promises, and what coordinates miss, each for itself."""
        memory, note = self.memory, self.note
        gradient, along, bends, missed = memory.kept[GRADIENT], 0.0, 0.0, 0.0
        memory.kept[DIRECTION] = 0.0
        for group in self._groups():
            within, absolute = group.within(memory.point), group.tiled(self.absolute)
            w, g = memory.centre[within].T.ravel(), gradient[within].T.ravel()
            matrix = self._damped(group, damping)
            step = minimum(matrix.copy(), matrix @ w - g, absolute, w, sweeps=sweeps, rounds=rounds) - w
            change = matrix @ step
            along += float(g @ step + absolute @ (np.abs(w + step) - np.abs(w)))
            bends += float(step @ change)
            missed += to_gain(g + change, w + step, absolute, np.diagonal(matrix))
            memory.kept[DIRECTION][within] = step.reshape(len(group.outputs), -1).T
        note["slope"] = along
        return missed - (along + 0.5 * bends)

    def _damped(self, group, damping):
        """The matrix of (14). Its diagonal is known of all rows, where hardly any of a column were summed."""
        matrix = group.curvature / max(self.note["rows_bent"], 1)
        if not self.engine.fit_intercept:
            ones = slice(len(group.columns), None, len(group.columns) + 1)
            matrix[ones], matrix[:, ones] = 0.0, 0.0
        diagonal = np.einsum("ii->i", matrix)
        whole = self.memory.kept[DIAGONAL][group.within(self.memory.point)].T.ravel() - group.tiled(
            self.decay
        )
        diagonal[:] = np.where(diagonal < 0.5 * whole, whole, diagonal)
        diagonal += damping * np.maximum(diagonal, whole) + group.tiled(self.decay)
        return matrix

    def _outside(self):
        """What the columns that are not active can gain, all of which are zero."""
        kept, slope = self.memory.kept, self.memory.kept[GRADIENT].copy()
        for group in self._groups():
            slope[group.within(slope)] = 0.0
        return to_gain(slope, np.zeros_like(slope), self.absolute, kept[DIAGONAL])

    # -------------------------------------------------------------------------------------------------- active columns

    def _moving(self):
        """For each group, which columns are not zero, or no longer will be."""
        memory = self.memory
        return in_groups(self, (memory.centre[:-1] != 0.0) | (memory.kept[DIRECTION, :-1] != 0.0))

    def _next(self, moving, steep):
        """The columns of a group to be active from now on: those that move, and those at zero that may not stay there."""
        count = int(np.count_nonzero(moving))
        room = min(room_for_columns(self), count + max(count, _FEW))
        found = np.flatnonzero(moving | (steep >= _STEEP * self.absolute))
        steepest = np.argsort(np.where(moving[found], -math.inf, -steep[found]), kind="stable")
        return np.sort(found[steepest[:room]])

    def _let_in(self, columns):
        """Let these columns of each group be active."""
        outputs = self.memory.point.shape[1] if is_coupled(self.engine.loss) else 1
        sizes = [outputs * (len(own) + 1) for own in columns]
        self.put(
            active=np.concatenate(columns),
            edges=np.cumsum([0, *map(len, columns)]),
            bent=np.zeros(sum(size**2 for size in sizes)),
        )


def _more(damping):
    return max(10.0 * damping, _DAMPING)
