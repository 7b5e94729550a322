"""Passes through the dual: (5) and (6), and what is made of them at their end."""

from __future__ import annotations

import math

import numpy as np

from fallline.engines.guess import first_guess
from fallline.engines.saga.metric import measure, only_looked_at, pull_of, until_measured
from fallline.engines.saga.passes import TINY, Pass
from fallline.engines.saga.remainder import held_back, series
from fallline.engines.saga.turns import after_dual
from fallline.kernels.blocks import Block, row_weights
from fallline.kernels.saga import ascend, look
from fallline.kernels.sweep import Sums
from fallline.objective.penalties import penalty_value

__all__ = ["DualPass"]

# Where the centre keeps this much of its direction it is let go, where less than the second it is held again: by such a
# factor at a time, and not beyond the least.
_ALONG, _ASIDE, _EASE = 0.6, 0.2, 0.25
_LEAST_EASE, _LEAST_INTERCEPT_EASE = 1e-3, 0.02


class DualPass(Pass):
    """One row after the other, in the order of the run."""

    def take(self, block: Block, last: bool) -> Sums:
        """See `Pass.take`."""
        note, place, rows, loss_sum = self.note, 0, len(block.rows), self.state.loss_sum
        numbers = self.numbers(block)
        if note["seen"] == 0:
            self._guess(block)
        while place < rows:
            stop = min(rows, place + until_measured(self))
            first = self.state.epoch == 0 and note["passes"] == 0
            walk = ascend if note["seen"] >= only_looked_at(self.n) else look
            seen = (note["seen"] if first else 0,)
            arguments = (block, place, stop, *seen) + ((numbers,) if walk is ascend else ())
            loss_sum = walk(*arguments, self.engine.loss, self.walk, self.memory, loss_sum)
            if not math.isfinite(loss_sum):
                return Sums(loss_sum, place, math.nan, math.nan, finite=False)
            if first:
                note["seen"] += stop - place
                self._measure_if_due()
            place = stop
        if last:
            self._end(loss_sum)
        return Sums(loss_sum, rows, self.state.gradient_norm, 1.0, finite=True)

    def weights(self) -> np.ndarray:
        """The model as it stands, in the caller's coordinates."""
        return self.outside(self._model())

    def _guess(self, block):
        """Intercepts to begin with, from a single row: how blocks are cut must not matter."""
        first = block.rows[:1]
        if self.engine.fit_intercept:
            y, weight = block.y[first].T, row_weights(block)[first]
            self.memory.null[0] = first_guess(self.engine.loss, y, weight, self.memory.null.shape[1])

    def _measure_if_due(self):
        """Set the metric when the rows seen have doubled, or at the end of them where all before were alike."""
        note, first = self.note, only_looked_at(self.n)
        if note["seen"] == first and self.engine.fit_intercept:
            self._settle_in()
        doubled = note["seen"] % first == 0 and (note["seen"] // first).bit_count() == 1
        if (doubled and note["seen"] < self.n) or (note["seen"] == self.n and not note["radius"] > 0.0):
            measure(self)

    def _settle_in(self):
        """Where to start from: the model given, in coordinates now known; or intercepts alone."""
        memory = self.memory
        if self.note["warm"]:
            memory.centre[-1] += memory.columns[0, :-1] @ memory.centre[:-1]
        else:
            memory.centre[-1] = memory.null[0]
        memory.point[-1] = memory.centre[-1]

    def _model(self):
        """w of (3)."""
        memory, model = self.memory, self.memory.point.copy()
        if self.absolute:
            width = self.n * self.absolute / np.maximum(memory.columns[3, :-1, np.newaxis], TINY)
            u = memory.point[:-1]
            model[:-1] = np.maximum(u - width, 0.0) + np.minimum(u + width, 0.0)
        return model

    def _end(self, loss_sum):
        """Estimate what is left, move the centre, and say how to go on."""
        memory, note = self.memory, self.note
        model, pull = self._model(), pull_of(self)
        move = model - memory.centre
        inner = note["gained"] + 0.5 * float(memory.sums[0] + memory.sums[1] / note["bend"])
        note["outer"] = held_back(self, pull, move)
        self._ease(pull, move)
        memory.point[:] += (pull / np.maximum(memory.columns[3], TINY))[:, np.newaxis] * move
        memory.centre[:] = model
        memory.moves[:] = move
        self.accept(model, float(penalty_value(self.engine.penalty, model[:-1])))
        note["passes"] += 1
        before, note["gain"], note["gained"] = note["gain"], inner, 0.0
        note.update(batch=1, step=1.0)
        measure(self)
        if before is not None:
            left = series(inner, inner / before if before else 0.0) / self.n + note["outer"]
            after_dual(self, left, loss_sum / self.n + note["penalty"])

    def _ease(self, pull, move):
        """Hold the centre back less from now on where it keeps its direction."""
        note, before = self.note, self.memory.moves
        parts = (("ease", slice(-1), _LEAST_EASE), ("intercept_ease", slice(-1, None), _LEAST_INTERCEPT_EASE))
        for name, which, least in parts:
            k = pull[which, np.newaxis]
            size, along = np.sum(k * before[which] ** 2), np.sum(k * move[which] * before[which])
            ratio = float(along / size) if size > 0.0 else 0.0
            if ratio > _ALONG:
                note[name] = max(note[name] * _EASE, least)
            elif ratio < _ASIDE:
                note[name] = min(note[name] / _EASE**0.5, 1.0)
