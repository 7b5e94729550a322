r"""Large linear models: one row at a time through the dual, then quasi-Newton passes; nothing to tune.

The objective over n rows x with targets y, w the model, :math:`\ell` the loss, s a row's weight, is

.. math:: F(w) = \frac1n \sum_{i=1}^n s_i\, \ell(w \cdot x_i, y_i) + \tfrac{\lambda}{2} \|w\|^2 + \lambda_1 \|w\|_1    \tag{1}

**The table.** As in SAGA (Defazio, Bach and Lacoste-Julien, 2014), every row's slope :math:`a_i`, the derivative of its
weighted loss when last visited, is kept: one number a row and output. The model is where the kept slopes leave it,

.. math:: w = \arg\min_w\; \frac1n \sum_i a_i\, w \cdot x_i + \tfrac{\lambda}{2} \|w\|^2 + \lambda_1 \|w\|_1
          + \frac1{2n} \sum_j k_j (w_j - c_j)^2                                                                     \tag{2}

with a pull k to a centre c, of which more below. Column by column, with the metric :math:`M_j = n \lambda + k_j`,

.. math:: w_j = \mathrm{shrink}(u_j,\; n \lambda_1 / M_j), \qquad u_j = \Big( k_j c_j - \sum_i a_i x_{ij} \Big) / M_j  \tag{3}

.. math:: k_j = \kappa \sqrt{n_j\, Q_j}, \qquad n_j = \sum_i x_{ij}^2, \quad Q_j = \max_i |x_i|_0\, x_{ij}^2            \tag{4}

where :math:`|x_i|_0` counts a row's numbers: the pull lies between the least that keeps a column still that one row has
(Q: all the row's columns may move together) and the curvature of a column that all rows have (n).

**A step** visits one row. Its slope becomes the one that fits the score to which it leads itself (`kernels.implicit`), and
the model follows:

.. math:: a_i' = s_i \ell'\big( w \cdot x_i - q_i (a_i' - a_i),\; y_i \big), \qquad q_i = \sum_j x_{ij}^2 / M_j       \tag{5}

.. math:: u_j \leftarrow u_j - (a_i' - a_i)\, x_{ij} / M_j                                                            \tag{6}

This is Point-SAGA's step (Defazio, 2016), and for fixed c and no L1 penalty exact ascent of one coordinate of the dual (SDCA,
Shalev-Shwartz and Zhang, 2013): it needs no rate, its noise goes as the slopes settle, kinks need no smoothing, zeros
are exact, and only a row's own numbers are touched. Mini-batches would gain nothing, so a batch is a row. Dense columns
are shifted to the mean of the first rows where there is an intercept, which changes no objective.

**The centre** makes up for penalties too weak to hold a model still, intercepts among them, which have none. After every
pass c becomes w, and u is what (3) then says: a proximal point method (Rockafellar, 1976), whose fixed points minimise (1)
whatever k is. Where the metric of a column changes from M to M', as more of it becomes known,

.. math:: u_j' = c_j + (u_j - c_j)\, M_j / M_j'                                                                       \tag{7}

leaves all slopes in place. With L the mean curvature of the losses at the scores met, :math:`R_0` and :math:`R_1` the means
of :math:`\sum_j x_{ij}^2` divided by :math:`n \lambda` and by the root in (4), the pull is as strong as makes
:math:`L q = \tau = 0.3`:

.. math:: \kappa = e R_1 \max(0,\, L / \tau - 1 / R_0)                                                                 \tag{8}

All are measured on the rows as they come: the first are only looked at, and (8) is asked again whenever the number of rows
seen has doubled, later after every pass. Losses of straight pieces have for L 0.3 times the curvature of a parabola with
slopes and values like theirs, :math:`\overline{\ell'^2} / 2 \bar\ell`. The pull of intercepts makes out 1% of q, times an e
of their own. Both e begin at 1. Where two successive moves of the centre have the same direction, in the norm of k, e is cut
to a quarter, since the pull is what holds them back; where they have not, it recovers.

**What is left** to gain after a pass is the rest of two geometric series: of what the dual has gained,
:math:`\frac1{2n} \sum (q_i + 1/L) (a_i' - a_i)^2`, whose ratio is that to the pass before; and of what moves m of the centre
have, :math:`\frac1n \sum_j k_j m_j^2`, whose ratio is the square of the share of the last move that is found in this one.
Training ends when that is less than `tolerance` times what has been gained over the model of intercepts alone; with kinks
or an L1 penalty, when it has been so for five passes. It is an estimate, not a bound.

**Quasi-Newton passes** take over from dual ones, after 15, that over five leave more than 0.8 of what was left, if the loss has
no kinks and there is no L1 penalty. Each goes through all rows in order and gives objective and gradient g at the model tried;
if the objective has fallen enough (Armijo), the model is accepted, and L-BFGS (`engines.quasi_newton`) says where to try
next, with the diagonal of the curvature as its first matrix; otherwise the next try is nearer, by interpolation. So a pass is
a step, its line search and its stopping test at once. What is left is taken to be :math:`\tfrac12 g^T H g`, H the matrix of
L-BFGS, or what the last five steps have gained, if that is more.

**Memory**: a coefficient takes 3 numbers of 8 bytes, a column 4, and the table a number of the data's type a row and output.
Quasi-Newton passes take 5 numbers more a coefficient and 2 for each step remembered: at most 20, as many as fit in 1 GiB; where
that is fewer than 3, there are no such passes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.data.order import Order
from fallline.data.rows import TrainingSource
from fallline.engines.base import IN_ORDER
from fallline.engines.guess import first_guess
from fallline.engines.linear import OptimumEngine, block_rows
from fallline.engines.quasi_newton import direction, remember
from fallline.kernels.blocks import Block
from fallline.kernels.saga import SagaMemory, Walk, ascend, look, sum_slopes
from fallline.kernels.sweep import Sums
from fallline.kernels.verbs import decay, shrinks
from fallline.objective.losses.smoothed import bends
from fallline.objective.penalties import penalty_value
from fallline.state import State

__all__ = ["SagaEngine"]

_TAU = 0.3
# Of the curvature that a parabola would have, what is taken for a loss of straight pieces.
_STRAIGHT = 0.3
# From one look to the next, kappa falls to this share at the most.
_FALL = 0.4
# Where the centre keeps this much of its direction it is let go, where less than the second it is held again: by such a
# factor at a time, and not beyond the least.
_ALONG, _ASIDE, _EASE = 0.6, 0.2, 0.25
_LEAST_EASE, _LEAST_INTERCEPT_EASE = 1e-3, 0.02
# The curvature is taken to be no less than this share of the most.
_FLAT = 1e-3
# Rows that are only looked at, and of how many.
_FIRST, _OF = 256, 16
# An intercept is pulled to its centre as if it had this share of a row's pull, but no more than this share of its curvature.
_INTERCEPT_PULL, _INTERCEPT_SHARE = 0.01, 0.1
# Where so many dual passes leave more than this of what was left before, quasi-Newton ones take over: after this many.
_PATIENCE, _SLOW, _DUAL_PASSES = 5, 0.8, 15
_PAIRS, _FEWEST_PAIRS, _PAIR_BYTES = 20, 3, 2**30
_ARMIJO, _NEARER, _NEAREST = 1e-4, (0.1, 0.5), 1e-12
_TINY = 1e-290
# In `SagaMemory.kept`.
_DIRECTION, _GRADIENT, _DIAGONAL = range(3)


@dataclass(frozen=True)
class SagaEngine(OptimumEngine):
    """Large linear models; see the module.

    Parameters
    ----------
    loss, penalty, rows, fit_intercept, tolerance
        See `OptimumEngine`.
    numbered : bool
        Whether the rows of blocks have the same numbers in every epoch, as rows in memory do. Otherwise rows are known by
        their place, and every epoch visits them in order.
    """

    numbered: bool = True

    def start(self, columns: int, outputs: int, dtype: Any, weights: np.ndarray | None = None) -> State:
        """See `LinearEngine.start`."""
        shape = (outputs, columns + 1)
        given = np.zeros(shape, dtype) if weights is None else np.array(weights, dtype).reshape(shape)
        memory = SagaMemory(
            weights=np.ascontiguousarray(given),
            point=np.array(given.T, np.float64, order="C"),
            centre=np.array(given.T, np.float64, order="C"),
            columns=np.zeros((4, columns + 1)),
            moves=np.zeros(shape[::-1]),
            null=np.zeros(outputs),
            sums=np.zeros(10),
            clock=np.zeros(2, np.int64),
        )
        least = self.rows * float(decay(self.penalty))
        if least > 0.0:
            # No slope has been seen, and (3) holds: nothing but a pull, which is still to come, can keep a model from zero.
            memory.columns[3, :-1] = least
            memory.point[:-1] = 0.0
        state = State(memory)
        state.notes["solver"] = {
            **_BEGINNING,
            "remained": [],
            "objectives": [],
            "warm": weights is not None,
        }
        return state

    def require(self, state: State, source: TrainingSource) -> None:
        """See `LinearEngine.require`. Before the first row, intercepts are guessed, where rows are in memory."""
        super().require(state, source)
        if state.epoch == 0 and state.position == 0 and self.fit_intercept and self.numbered:
            y, weight = source.targets()
            state.memory.null[:] = -first_guess(self.loss, y.T, weight, len(state.memory.null))

    def order(self, order: Order, state: State) -> Order:
        """The run's own for rows that are known by number; full passes see every row anyway, and go in order."""
        return order if self.numbered and state.notes["solver"]["stage"] == "dual" else IN_ORDER

    def block_rows(self, state: State, source: TrainingSource) -> int:
        """See `Engine.block_rows`."""
        return block_rows(2.0 * len(state.memory.weights) * source.numbers_a_row)

    def sweep(self, block: Block, state: State, last: bool) -> Sums:
        """See `Engine.sweep`."""
        with np.errstate(all="ignore"):
            walk = (
                _FullPass(self, state) if state.notes["solver"]["stage"] == "full" else _DualPass(self, state)
            )
            return walk.take(block, last)

    def weights(self, state: State) -> np.ndarray:
        """See `Engine.weights`; within a dual pass, the model as it stands."""
        if state.notes["solver"]["stage"] == "dual" and state.position and state.notes["solver"]["seen"]:
            return _DualPass(self, state).weights()
        return state.memory.weights


_BEGINNING: dict[str, Any] = {
    "stage": "dual",
    "batch": 1,
    "step": 1.0,
    # Rows looked at so far; the first pass ends when they are all.
    "seen": 0,
    "passes": 0,
    "bend": 0.0,
    "most_bent": 0.0,
    "free": 0.0,
    "radius": 0.0,
    "share": 0.0,
    "ease": 1.0,
    "intercept_ease": 1.0,
    "gained": 0.0,
    "gain": None,
    "remained": [],
    "penalty": 0.0,
    "null_objective": None,
    "objective": None,
    "objectives": [],
    "pairs": 0,
    "slope": 0.0,
    "left": None,
    "ended": None,
}


class _Pass:
    """What both kinds of pass know: all of it, from one call to the next, is in the state."""

    def __init__(self, engine: SagaEngine, state: State):
        self._engine = engine
        self._state = state
        self._memory: SagaMemory = state.memory
        self._note = state.notes["solver"]
        self._n = engine.rows

    def _walk(self):
        engine = self._engine
        return Walk(engine.loss, engine.penalty, float(self._n), self._note["share"], engine.fit_intercept)

    def _least(self):
        """n lambda of (3)."""
        return self._n * float(decay(self._engine.penalty))

    def _outside(self, point):
        """A model's weights in the caller's coordinates."""
        weights = point.T.copy()
        weights[:, -1] -= self._memory.columns[0, :-1] @ point[:-1]
        return np.ascontiguousarray(weights, self._memory.weights.dtype)

    def _accept(self, weights, penalty):
        self._state.memory = self._memory = self._memory._replace(weights=weights)
        self._note["penalty"] = penalty

    def _judge(self, left, objective):
        """Note what is left to gain, as a share of what has been gained; whether it is little enough."""
        null = self._note["null_objective"]
        gained = max(null - objective, 1e-6 * abs(null), _TINY)
        self._note["left"] = float(min(left / gained, 1.0))
        return self._note["left"] <= self._engine.tolerance


class _DualPass(_Pass):
    """(5) to (8)."""

    def take(self, block: Block, last: bool) -> Sums:
        """Visit a block's rows."""
        note, place, rows, loss_sum = self._note, 0, len(block.rows), self._state.loss_sum
        numbers = self._numbers(block)
        while place < rows:
            stop = min(rows, place + self._until_next_look())
            first = self._state.epoch == 0 and note["passes"] == 0
            walk = ascend if note["seen"] >= self._only_looked_at() else look
            seen = (note["seen"] if first else 0,)
            arguments = (block, place, stop, *seen) + ((numbers,) if walk is ascend else ())
            loss_sum = walk(*arguments, self._walk(), self._memory, loss_sum)
            if not math.isfinite(loss_sum):
                return Sums(loss_sum, place, math.nan, math.nan, finite=False)
            if first:
                note["seen"] += stop - place
                self._look_if_due()
            place = stop
        if last:
            self._end(loss_sum)
        return Sums(loss_sum, rows, self._state.gradient_norm, note["step"], finite=True)

    def weights(self):
        """The model as it stands."""
        return self._outside(self._model())

    def _numbers(self, block):
        """How the table knows the rows of a block; there is room for all from the first."""
        table, outputs = self._memory.table, len(self._memory.weights)
        count = len(block.y) if self._engine.numbered else self._n
        if table.shape != (count, outputs):
            dtype = self._memory.weights.dtype
            self._memory = self._memory._replace(table=np.zeros((count, outputs), dtype))
            self._state.memory = self._memory
        if self._engine.numbered:
            return block.rows
        first = self._state.position
        return np.arange(first, first + len(block.rows), dtype=np.uint64)

    # ------------------------------------------------------------------------------------------------ the metric

    def _only_looked_at(self):
        return max(1, min(_FIRST, self._n // _OF))

    def _until_next_look(self):
        seen = self._note["seen"]
        if seen >= self._n or self._note["passes"]:
            return self._n
        due = self._only_looked_at()
        while due <= seen:
            due *= 2
        return due - seen

    def _look_if_due(self):
        """Set the metric when the rows seen have doubled; leave the intercepts alone where the first look left them."""
        note, first = self._note, self._only_looked_at()
        if note["seen"] == first:
            self._settle_in()
        if note["seen"] % first == 0 and (note["seen"] // first).bit_count() == 1 and note["seen"] < self._n:
            self._look()

    def _settle_in(self):
        """Where to start from: the model given, in coordinates now known; or intercepts alone."""
        memory = self._memory
        if not self._engine.fit_intercept:
            return
        if self._note["warm"]:
            memory.centre[-1] += memory.columns[0, :-1] @ memory.centre[:-1]
        else:
            memory.centre[-1] = -memory.null
        memory.point[-1] = memory.centre[-1]

    def _look(self):
        """(8), then (7)."""
        memory, note, sums = self._memory, self._note, self._memory.sums
        bend = sums[4] / max(sums[5], 1.0)
        if not bend > 0.0:
            # A loss of straight pieces: what curvature a parabola of such slopes and values would have.
            bend = _STRAIGHT * sums[6] / (2.0 * sums[7]) if sums[7] > 0.0 else 1.0
        note["most_bent"] = float(max(note["most_bent"], bend))
        # Losses of separable classes end flat; without a penalty nothing else would hold the model.
        note["bend"] = bend = float(max(bend, _FLAT * note["most_bent"]))
        counted = self._counted()
        if counted:
            note["radius"] = float(sums[3] / counted)
            note["free"] = float(sums[2] / counted)
        least = self._least()
        stiff = least / note["free"] if note["free"] > 0.0 else 0.0
        share = note["ease"] * note["radius"] * max(0.0, bend / _TAU - stiff)
        note["share"] = float(max(share, note["share"] * _FALL))
        note["gained"] = (
            0.0 if note["seen"] >= self._n else note["gained"] + float(0.5 * (sums[0] + sums[1] / bend))
        )
        seen = min(note["seen"], self._n)
        metric = np.sqrt(memory.columns[1]) * np.sqrt(memory.columns[2] * (self._n / seen))
        metric = np.maximum(least + note["share"] * metric, _TINY)
        pull = note["free"] / (least + note["share"] * note["free"] / max(note["radius"], _TINY))
        weak = note["intercept_ease"] / (_INTERCEPT_PULL * pull) if pull > 0.0 else math.inf
        metric[-1] = min(weak, _INTERCEPT_SHARE * bend * self._n)
        before = memory.columns[3]
        memory.point[:] = memory.centre + (before / metric)[:, np.newaxis] * (memory.point - memory.centre)
        memory.columns[3] = metric
        if note["null_objective"] is None or sums[9]:
            self._note_null()
        sums[:8] = 0.0

    def _counted(self):
        """Rows whose radii have been summed since the last look."""
        seen, first = self._note["seen"], self._only_looked_at()
        if self._note["passes"]:
            return 0
        before = first
        while before * 2 < seen:
            before *= 2
        return seen if seen == first else seen - before

    def _note_null(self):
        sums = self._memory.sums
        self._note["null_objective"] = float(sums[8] / sums[9])

    # ---------------------------------------------------------------------------------------------- after a pass

    def _model(self):
        """w of (3)."""
        memory, model = self._memory, self._memory.point.copy()
        if not shrinks(self._engine.penalty):
            return model
        rate = self._n / np.maximum(memory.columns[3, :-1, np.newaxis], _TINY)
        model[:-1] = _shrunk(self._engine.penalty, memory.point[:-1], rate)
        return model

    def _end(self, loss_sum):
        """Estimate what is left, move the centre, and say how to go on."""
        memory, note = self._memory, self._note
        model, pull = self._model(), self._pull()
        move = model - memory.centre
        inner = note["gained"] + 0.5 * float(memory.sums[0] + memory.sums[1] / note["bend"])
        outer = self._held(pull, move)
        memory.point[:] += (pull / np.maximum(memory.columns[3], _TINY))[:, np.newaxis] * move
        memory.centre[:] = model
        memory.moves[:] = move
        penalty = float(penalty_value(self._engine.penalty, model[:-1]))
        self._accept(self._outside(model), penalty)
        note["passes"] += 1
        before, note["gain"], note["gained"] = note["gain"], inner, 0.0
        self._look()
        if before is None:
            return
        left = (_series(inner, inner / before if before else 0.0) + outer) / self._n
        note["remained"] = [*note["remained"], left][-_PATIENCE:]
        # Where losses or penalties have corners, passes that change little may be followed by some that change much.
        corners = bends(self._engine.loss) or shrinks(self._engine.penalty)
        little = self._judge(max(note["remained"]) if corners else left, loss_sum / self._n + penalty)
        if little and not (corners and len(note["remained"]) < _PATIENCE):
            note["ended"] = "what is left to gain is below the tolerance"
        elif self._slow() and self._may_finish():
            note["stage"], note["batch"] = "full", self._n
            memory.point[:] = model

    def _pull(self):
        """k of (2), that of intercepts included."""
        pull = np.maximum(self._memory.columns[3] - self._least(), 0.0)
        pull[-1] = self._memory.columns[3, -1]
        return pull

    def _held(self, pull, move):
        """What moves of the centre are still to gain; where they keep their direction, they are held back less from now on."""
        note, before = self._note, self._memory.moves
        left = 0.0
        parts = (("ease", slice(-1), _LEAST_EASE), ("intercept_ease", slice(-1, None), _LEAST_INTERCEPT_EASE))
        for name, which, least in parts:
            k = pull[which, np.newaxis]
            size, along = np.sum(k * before[which] ** 2), np.sum(k * move[which] * before[which])
            ratio = float(along / size) if size > 0.0 else 0.0
            left += _series(float(np.sum(k * move[which] ** 2)), ratio**2 if ratio > 0.0 else 0.0)
            if ratio > _ALONG:
                note[name] = max(note[name] * _EASE, least)
            elif ratio < _ASIDE:
                note[name] = min(note[name] / _EASE**0.5, 1.0)
        return left

    def _slow(self):
        note, left = self._note, self._note["remained"]
        return note["passes"] >= _DUAL_PASSES and left[-1] > _SLOW * left[0]

    def _may_finish(self):
        """Whether quasi-Newton passes can be made of what is left."""
        engine = self._engine
        return (
            not shrinks(engine.penalty) and not bends(engine.loss) and _pairs(self._memory) >= _FEWEST_PAIRS
        )


class _FullPass(_Pass):
    """A quasi-Newton pass: objective and gradient at the model tried, and at its end where to go."""

    def take(self, block: Block, last: bool) -> Sums:
        """Visit a block's rows."""
        memory = self._ready()
        first = not self._note["pairs"] and self._note["objective"] is None
        loss_sum = sum_slopes(block, self._walk(), memory, self._state.loss_sum, first)
        if math.isnan(loss_sum) and first:
            return Sums(loss_sum, 0, math.nan, math.nan, finite=False)
        memory.clock[1] += last
        if last:
            loss_sum = self._end(loss_sum, first)
        norm = float(np.linalg.norm(self._memory.kept[_GRADIENT]))
        return Sums(loss_sum, len(block.rows), norm, self._note["step"], finite=True)

    def _ready(self):
        memory, shape = self._memory, self._memory.point.shape
        if not memory.kept.size:
            pairs = (_pairs(memory), *shape)
            self._state.memory = self._memory = memory = memory._replace(
                gradient=np.zeros(shape),
                curved=np.zeros(shape),
                kept=np.zeros((3, *shape)),
                steps=np.zeros(pairs),
                changes=np.zeros(pairs),
                table=np.zeros((0, 0), memory.table.dtype),
            )
        return memory

    def _end(self, loss_sum, first):
        """Accept the model tried, or try nearer to the last; return the sum of losses at the model that stands."""
        memory, note = self._memory, self._note
        penalty = self._penalty_of(memory.point)
        objective, gradient = loss_sum / self._n + penalty, self._whole_gradient()
        memory.gradient[:] = 0.0
        if first:
            memory.kept[_DIAGONAL] = self._diagonal()
            self._take(objective, gradient, penalty)
        elif objective <= note["objective"] + _ARMIJO * note["step"] * note["slope"]:
            step = note["step"] * memory.kept[_DIRECTION]
            change = gradient - memory.kept[_GRADIENT]
            note["pairs"] = remember(step, change, memory.steps, memory.changes, note["pairs"])
            self._take(objective, gradient, penalty)
        else:
            self._try_nearer(objective)
        return (note["objective"] - note["penalty"]) * self._n

    def _take(self, objective, gradient, penalty):
        memory, note = self._memory, self._note
        note["objectives"] = [*note["objectives"], float(objective)][-_PATIENCE - 1 :]
        fell = note["objectives"][0] - objective
        memory.kept[_GRADIENT] = gradient
        memory.centre[:] = memory.point
        note["objective"] = float(objective)
        self._accept(self._outside(memory.point), penalty)
        memory = self._memory
        d = direction(gradient, memory.kept[_DIAGONAL], memory.steps, memory.changes, note["pairs"])
        slope = float(np.vdot(gradient, d))
        little = self._judge(max(-0.5 * slope, fell), objective)
        if not slope < 0.0 or (little and len(note["objectives"]) > _PATIENCE):
            note["ended"] = "what is left to gain is below the tolerance"
        memory.kept[_DIRECTION] = d
        note["slope"] = slope
        self._try(1.0)

    def _try_nearer(self, objective):
        note = self._note
        step, slope = note["step"], note["slope"]
        least, most = (share * step for share in _NEARER)
        above = objective - note["objective"] - step * slope
        nearer = -0.5 * slope * step**2 / above if math.isfinite(above) and above > 0.0 else least
        self._try(min(max(nearer, least), most))
        if note["step"] >= _NEAREST:
            return
        if note["pairs"] == 0:
            note["ended"] = "nothing more can be gained in numbers of this precision"
        # Start again from the diagonal.
        note["pairs"] = 0
        memory = self._memory
        d = direction(memory.kept[_GRADIENT], memory.kept[_DIAGONAL], memory.steps, memory.changes, 0)
        memory.kept[_DIRECTION] = d
        note["slope"] = float(np.vdot(memory.kept[_GRADIENT], d))
        self._try(1.0)

    def _try(self, step):
        memory = self._memory
        self._note["step"] = float(step)
        memory.point[:] = memory.centre + step * memory.kept[_DIRECTION]

    def _penalty_of(self, point):
        return float(penalty_value(self._engine.penalty, point[:-1]))

    def _whole_gradient(self):
        memory = self._memory
        gradient = memory.gradient / self._n
        gradient[:-1] += float(decay(self._engine.penalty)) * memory.point[:-1]
        if not self._engine.fit_intercept:
            gradient[-1] = 0.0
        return gradient

    def _diagonal(self):
        diagonal = self._memory.curved / self._n
        diagonal[:-1] += float(decay(self._engine.penalty))
        return diagonal


def _pairs(memory):
    """How many steps can be remembered."""
    return min(_PAIRS, _PAIR_BYTES // (2 * memory.point.nbytes))


def _series(latest, ratio):
    """What is still to come of gains that fall as a geometric series."""
    ratio = min(max(ratio, 0.02), 0.98)
    return latest * ratio / (1.0 - ratio)


def _shrunk(penalty, point, rate):
    """`shrink`, for whole arrays."""
    width = rate * (penalty_value(penalty, np.ones(1)) - 0.5 * float(decay(penalty)))
    return np.maximum(point - width, 0.0) + np.minimum(point + width, 0.0)
