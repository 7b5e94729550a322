r"""Growing-batch stochastic Newton: the optimum of a small linear model, with nothing to tune.

The objective over n rows, with z a row in standardised coordinates (`coordinates`), v the model, :math:`\ell` the loss, s a
row's weight and P the penalty, is

.. math:: F(v) = \frac1n \sum_{i=1}^n s_i\, \ell(v \cdot z_i, y_i) + P(v)                                           \tag{1}

**The first pass** takes fresh rows in batches :math:`B_1, B_2, \dots`: the first of max(2 Q, 256) rows, Q being the
coefficients that share a curvature, every later one half as large as all before it. With :math:`g_t` and :math:`H_t` the
sums over batch t of the rows' gradients and curvatures at a model :math:`v_t`, the rows seen so far have the quadratic
model

.. math:: q_t(v) = \tfrac12 v^T A_t v - b_t^T v + m_t P(v)                                                          \tag{2}

.. math:: A_t = f_t A_{t-1} + H_t, \quad b_t = f_t b_{t-1} + H_t v_t - g_t, \quad m_t = f_t m_{t-1} + |B_t|         \tag{3}

where :math:`f_t = (\text{seen before} / \text{seen after})^\kappa` forgets what was summed at worse models: not at all for
:math:`\kappa = 0`, which is exact for the squared error and the only choice there, more for :math:`\kappa = 1` and 3. Each
way proposes the minimiser of (2), damped by :math:`\mu\,\mathrm{diag}(A_t)` with :math:`\mu = \min(0.1, 0.01 (Q /
\text{seen})^2)`.

The next batch chooses. On its first rows, which no proposal has seen, the losses of the ways are compared by paired
t-tests: one that forgets is taken only if it is better by two standard errors. Then losses at points between :math:`v_t`
and the proposal,

.. math:: v_t + \alpha (\hat v - v_t), \quad \alpha \in \{0, 2^{-10}, \dots, \tfrac12, \tfrac34, 1\},               \tag{4}

say how far to go: all the way, unless a shorter step is better by a tenth of the gain. So every step's length is decided by
rows that did not make it: a line search without bias. The first batch has none before it, and is iterated on, up to six
times, if it has five rows a coefficient.

If after a fifth of the rows fresh ones score worse than the model of intercepts alone, by half its loss, the rows are not
exchangeable: they come sorted. Then the first pass is given up.

**Full passes** follow. One pass gives at once the losses along (4) from the model accepted last to the one proposed, and
the gradient g and the curvature H at the latter. If the whole step holds, it is accepted and the next proposal is

.. math:: v - \arg\min_d\; g^T d + \tfrac12 d^T (H + \mu\,\mathrm{diag} H)\, d + P(v + d) - P(v)                     \tag{5}

otherwise the next pass looks at the best point of the line, or, if that is its beginning, the step is damped: Levenberg's
and Marquardt's :math:`\mu` grows tenfold. The minimum of (5), negated, estimates what is left to gain; without an L1
penalty it is half the Newton decrement, :math:`\tfrac12 g^T H^{-1} g`. Training ends when it is less than `tolerance` times
what has been gained over the model of intercepts alone.

**What it costs.** Rows enter H by a matrix product, Q numbers squared a row. Beyond some 20 Q rows the curvature changes
little, so of large batches only some rows enter it, and are weighted for the rest; gradients take every row.

**Losses with kinks** (hinge, quantile, ...) are smoothed over a band of scores (`objective.losses.smoothed`) that holds
max(10 Q, 2%) of the rows, and in full passes is narrowed to a third or less whenever (5) promises less than 0.3 of what
smoothing adds to the objective. That addition counts among what is left to gain.

**L1 penalties** stay in (2) and (5), which coordinate descent then minimises (`kernels.quadratic`): zeros are exact.

Sources: full passes are the damped Newton method (Nocedal and Wright, Numerical Optimization, 2006, chapters 3 and 10) and
its proximal kin (Lee, Sun and Saunders, Proximal Newton-type methods, 2014); growing batches follow Bollapragada, Byrd and
Nocedal (Exact and inexact subsampled Newton methods, 2019), streams of quadratic models Bottou and Le Cun (Large scale
online learning, 2003).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.data.order import Order
from fallline.data.rows import TrainingSource
from fallline.engines.base import IN_ORDER, LinearEngine
from fallline.engines.coordinates import Coordinates, spread_of
from fallline.engines.quadratic import minimum
from fallline.engines.summing import (
    STEPS,
    Chunk,
    Question,
    ask,
    distances,
    each,
    examined,
    losses_along,
    single_threaded,
)
from fallline.kernels.blocks import Block, DenseBlock
from fallline.kernels.curvature import NewtonMemory, standardise
from fallline.kernels.sweep import Sums
from fallline.kernels.verbs import lean
from fallline.objective.domains import CLASSES
from fallline.objective.links import Log, Logit, Softmax
from fallline.objective.losses import innermost, is_coupled
from fallline.objective.losses.huber import Huber
from fallline.objective.losses.offset import Offset
from fallline.objective.losses.smoothed import bends, smoothed
from fallline.objective.losses.squared_error import SquaredError
from fallline.objective.penalties import NoPenalty
from fallline.state import State, Stop

__all__ = ["NewtonEngine"]

_FORGETTING = (0.0, 1.0, 3.0)
_GROWTH = 0.5
_SAMPLE = 2**13
_MOST_DAMPING = 1e6
# Rows that a thread copies at a time.
_COPIED = 1024
# How often the band is halved while intercepts are looked for.
_HALVINGS = 8
# Rows that tell enough about a column.
_ENOUGH = 2.0
# A share of the loss of intercepts alone that is taken for none.
_NOTHING = 1e-4
# Rows times coefficients whose curvature is summed, of a batch of the first pass and of a full pass.
_CURVED_BATCH, _CURVED_PASS = 2**19, 2**23
# That of the squared error is the same everywhere, so that one pass is enough, if all rows take no more products than this.
_CURVED_SQUARED = 2**33
# Of a band's width to the distance on either side that it holds: more than 2, for rows exactly there.
_HELD = 2.2
_NULL, _ACCEPTED, _CURRENT, _FRESH = range(4)


@dataclass(frozen=True)
class NewtonEngine(LinearEngine):
    """Growing-batch stochastic Newton; see the module.

    Parameters
    ----------
    loss, penalty : NamedTuple
        Typed values from `LOSSES` (as they are, or within an `Offset`) and `PENALTIES`.
    rows : int
        Rows of an epoch.
    fit_intercept : bool
        Otherwise intercepts stay as they start.
    tolerance : float
        Training ends when what is left to gain is less than this share of what has been gained over intercepts alone.
    """

    loss: Any
    penalty: Any = NoPenalty()
    rows: int = 0
    fit_intercept: bool = True
    tolerance: float = 1e-6

    def start(self, columns: int, outputs: int, dtype: Any, weights: np.ndarray | None = None) -> State:
        """See `LinearEngine.start`."""
        shape = (outputs, columns + 1)
        coupled = is_coupled(self.loss)
        groups = (1, shape[0] * shape[1]) if coupled else shape
        ways = len(self._forgetting)
        capacity = max(_first_batch(groups[1]), _chunk(shape[1]), min(_SAMPLE, 2**20 // shape[1]))
        targets = (1 if self.loss.domain == CLASSES else outputs) + isinstance(self.loss, Offset)
        memory = NewtonMemory(
            weights=np.zeros(shape, dtype)
            if weights is None
            else np.array(weights, dtype, order="C").reshape(shape),
            coordinates=np.stack([np.zeros(shape[1]), np.ones(shape[1])]),
            largest=np.zeros(shape[1]),
            points=np.zeros((4, *shape)),
            candidates=np.zeros((ways, *shape)),
            slopes=np.zeros((2, *shape)),
            bent=np.zeros((2, *groups, groups[1])),
            diagonal=np.zeros(groups),
            curvatures=np.zeros((ways, *groups, groups[1])),
            linear=np.zeros((ways, *groups)),
            rows=np.zeros((capacity, shape[1]), dtype),
            targets=np.zeros((targets, capacity), dtype),
            row_weight=np.zeros(capacity, dtype),
            losses=np.zeros(len(STEPS) + 1),
            distances=np.zeros(_SAMPLE if bends(self.loss) else 0),
            clock=np.zeros(2, np.int64),
        )
        state = State(memory)
        state.notes["solver"] = {
            "name": "newton",
            **_BEGINNING,
            "warm": weights is not None,
            "masses": [0.0] * ways,
        }
        return state

    def left_to_gain(self, source: TrainingSource, weights: np.ndarray) -> float:
        """How far weights are from the optimum, relative to what they gain over intercepts alone: (5), by one pass."""
        state = self.start(source.n_columns, len(weights), source.dtype, weights)
        state.notes["solver"]["stage"] = "look"
        for block, stop in source.blocks(IN_ORDER, 0, 0, lambda: self.block_rows(state, source)):
            if not self.sweep(block, state, last=stop == source.n_rows).finite:
                source.require_finite(block.rows)
        return state.notes["solver"]["left"]

    @property
    def _forgetting(self):
        return _FORGETTING[:1] if isinstance(innermost(self.loss), SquaredError) else _FORGETTING

    def order(self, order: Order, state: State) -> Order:
        """The run's own in the first pass; full passes see every row anyway, and go in order."""
        return IN_ORDER if state.epoch > 0 else order

    def block_rows(self, state: State, source: TrainingSource) -> int:
        """No more than finish the batch under way, so that monitors see every step."""
        note = state.notes["solver"]
        left = (note["batch"] or _first_batch(state.memory.bent.shape[-1])) - note["taken"] - note["filled"]
        return max(1, min(left, super().block_rows(state, source)))

    def sweep(self, block: Block, state: State, last: bool) -> Sums:
        """See `LinearEngine.sweep`."""
        with single_threaded(), np.errstate(all="ignore"):
            return _Descent(self, state).take(block, last)

    def weights(self, state: State) -> np.ndarray:
        """See `LinearEngine.weights`."""
        return state.memory.weights

    def penalty_met(self, state: State) -> float:
        """See `LinearEngine.penalty_met`."""
        return state.notes["solver"]["penalty"]

    def separable(self, state: State) -> bool:
        """See `LinearEngine.separable`."""
        note, loss = state.notes["solver"], state.history[-1]["loss"] if state.history else math.inf
        coordinates = Coordinates(state.memory.coordinates, self.penalty)
        free = not (coordinates.decay.any() or coordinates.absolute.any())
        # Only a loss that nowhere ends falling leads to infinity.
        endless = isinstance(self.loss.link, (Logit, Softmax))
        return bool(free and endless and loss < _NOTHING * (note["null_objective"] or 0.0))

    def finished(self, state: State) -> Stop | None:
        """See `LinearEngine.finished`."""
        note = state.notes["solver"]
        state.history[-1] |= {"batch_size": note["batch"], "step": note["step"]}
        if note["left"] is not None:
            state.history[-1]["optimality"] = note["left"]
        return None if note["ended"] is None else Stop("converged", note["ended"])


_BEGINNING: dict[str, Any] = {
    "stage": "first rows",
    "batch": 0,
    "filled": 0,
    "taken": 0,
    "seen": 0,
    "visits": 0,
    "way": 0,
    "loss": 0.0,
    "penalty": 0.0,
    "step": 1.0,
    "damping": 0.0,
    "null_objective": None,
    "null_loss": 0.0,
    "curved": 0,
    "bend": 0.0,
    "fresh": None,
    "lowest": math.inf,
    "band": 0.0,
    "widest": math.inf,
    "every": False,
    "narrowed": 0,
    "sampled": 0,
    "sorted": False,
    "accepted": False,
    "left": None,
    "ended": None,
}


class _Descent:
    """What is done with rows as they come: all that it knows from one call to the next is in the state."""

    def __init__(self, engine: NewtonEngine, state: State):
        self._engine = engine
        self._state = state
        self._memory: NewtonMemory = state.memory
        self._note = state.notes["solver"]
        self._n = engine.rows
        self._size = self._memory.bent.shape[-1]
        self._loss_sum = state.loss_sum
        self._visits = 0
        self._read_coordinates()

    def take(self, block: Block, last: bool) -> Sums:
        """Use the rows of a block, now or when enough of them are there."""
        note, place, rows = self._note, 0, len(block.rows)
        self._dense = isinstance(block, DenseBlock)
        while place < rows:
            count = min(self._wanted() - note["filled"], rows - place)
            if not self._fill(block, place, count):
                return Sums(self._loss_sum, place, math.nan, math.nan, finite=False)
            place += count
            note["filled"] += count
            if note["filled"] == self._wanted():
                self._use()
        self._memory.clock[0] = 0 if last else note["taken"] + note["filled"]
        return Sums(self._loss_sum, rows + self._visits, self._gradient_norm(), note["step"], finite=True)

    # ------------------------------------------------------------------------------------------- rows as they come

    def _wanted(self):
        """How many rows have to be there before something is done with them."""
        capacity, note = len(self._memory.rows), self._note
        match note["stage"]:
            case "first rows" | "look":
                return min(_first_batch(self._size), self._n)
            case "choose":
                return min(note["batch"], capacity)
        chunk = _chunk(self._memory.rows.shape[1])
        return min(capacity // chunk * chunk, note["batch"] - note["taken"])

    def _fill(self, block, place, count):
        """Copy rows behind those that wait; whether all of their numbers are finite."""
        memory, filled = self._memory, self._note["filled"]

        def copy(first):
            rows = slice(filled + first, filled + min(first + _COPIED, count))
            out = memory.rows[rows], memory.targets[:, rows], memory.row_weight[rows]
            return standardise(block, place + first, self._shift, self._inverse, *out)

        return sum(each(copy, list(range(0, count, _COPIED)))) == 0

    def _use(self):
        """Do what the rows that wait were waited for."""
        note, count = self._note, self._note["filled"]
        match note["stage"]:
            case "first rows" | "look":
                self._begin(count)
            case "choose":
                self._choose(count)
                self._grow(count)
            case "grow":
                self._grow(count)
            case "pass":
                self._pass(count)
            case "sorted":
                note["taken"] += count
                if note["taken"] == note["batch"]:
                    self._begin_passes(self._memory.points[_CURRENT], self._memory.points[_NULL])
        note["filled"] = 0

    # -------------------------------------------------------------------------------------------------- first rows

    def _begin(self, count):
        """Find coordinates and the model of intercepts alone; then the first batch, or at once full passes."""
        memory, engine, note = self._memory, self._engine, self._note
        rows = memory.rows[:count, :-1]
        shift, scale = spread_of(rows, centre=self._dense and engine.fit_intercept)
        memory.coordinates[:, :-1] = shift, scale
        self._read_coordinates()
        rows -= self._shift
        rows *= self._inverse
        given = self._coordinates.inside(memory.weights.astype(np.float64))
        memory.points[:] = 0.0
        memory.points[:, :, -1] = given[:, -1] if not engine.fit_intercept else 0.0
        if engine.fit_intercept:
            memory.points[:] = self._intercepts_alone(count)
        else:
            self._set_band(self._distances(count, memory.points[_NULL]), 1.0)
        if note["warm"]:
            memory.points[_CURRENT] = given
        note["widest"] = note["band"] or math.inf
        looking = note["stage"] == "look"
        if looking or count >= 0.7 * self._n:
            self._begin_passes(memory.points[_CURRENT], memory.points[_CURRENT if looking else _NULL])
            self._pass(count)
            return
        note["batch"] = count
        self._clear()
        self._iterate(count)
        self._end_batch()

    def _intercepts_alone(self, count):
        """The best model without columns, of the first rows: Newton's method on the intercepts, until half a row is left.

        A loss with kinks is smoothed over a band that holds all rows at first, and then half as wide in every step.
        """
        chunk, note = self._chunk(slice(0, count)), self._note
        v = np.zeros(self._memory.weights.shape)
        self._set_band(self._distances(count, v), 1.0)
        kinked = bends(self._engine.loss)
        for number in range(30):
            _, _, slopes, curvatures = examined(self._loss, v, chunk)
            pull, bend = slopes.sum(axis=1, dtype=np.float64), curvatures.sum(axis=1, dtype=np.float64)
            if not np.isfinite(pull).all() or (
                np.abs(pull).max() <= 0.5 and (number >= _HALVINGS or not kinked)
            ):
                break
            better = v.copy()
            better[:, -1] -= np.divide(pull, bend, out=np.zeros_like(pull), where=bend > 0)
            losses = losses_along(self._loss, v, better, chunk)
            step = STEPS[np.argmin(losses)]
            if step == 0.0 and (number >= _HALVINGS or not kinked):
                break
            v += step * (better - v)
            if number < _HALVINGS:
                note["band"] /= 2.0
        note["widest"] = math.inf
        self._set_band(self._distances(count, v), 1.0)
        return v

    def _iterate(self, count):
        """Newton steps on the first batch, if it is large enough for several."""
        memory, chunk = self._memory, self._chunk(slice(0, count))
        several = count >= 5 * self._size and len(memory.candidates) > 1
        for left in reversed(range(6 if several else 1)):
            self._clear()
            question = Question(self._loss, is_coupled(self._engine.loss), memory.points[_CURRENT])
            self._add(ask(question, chunk, curve=True), count, curved=True)
            if left == 0:
                break
            begin = memory.points[_CURRENT].copy()
            end = self._minimum(memory.slopes[0] / count, memory.bent[0] / count, begin, 1e-3)
            losses = losses_along(self._loss, begin, end, chunk) / count + self._penalties(begin, end)
            best = int(np.argmin(losses))
            if losses[0] - losses[best] < 1e-2 * self._size / count * abs(losses[best]):
                break
            memory.points[_CURRENT] = begin + STEPS[best] * (end - begin)
            self._set_band(self._distances(count, memory.points[_CURRENT]), self._share(count))
            self._visits += count
        self._loss_sum += self._note["loss"]

    # ------------------------------------------------------------------------------------------- the first pass

    def _choose(self, count):
        """Choose among the proposals, and how far to go, on rows that have seen none of them: (4)."""
        memory, note, chunk = self._memory, self._note, self._chunk(slice(0, count))
        begin = memory.points[_ACCEPTED]
        values = list(
            each(lambda candidate: examined(self._loss, candidate, chunk)[1], list(memory.candidates))
        )
        way = 0
        for other in range(1, len(values)):
            if _clearly_less(values[other], values[way]):
                way = other
        end = memory.candidates[way]
        losses = losses_along(self._loss, begin, end, chunk) / count + self._penalties(begin, end)
        best = int(np.argmin(losses))
        whole = losses[-1] <= losses[best] + 0.1 * abs(losses[0] - losses[best])
        note["way"], note["step"] = way, 1.0 if whole else float(STEPS[best])
        null = examined(self._loss, memory.points[_NULL], chunk)[0] / count
        # With as much as chance may have left out.
        error = 3.0 * float(np.std(values[way])) / math.sqrt(count)
        note["fresh"] = float(losses[-1] if whole else losses[best]) + (error if math.isfinite(error) else 0.0)
        if not losses[-1] <= null + 0.5 * abs(null) + 1e-9 and note["seen"] >= 0.2 * self._n:
            self._give_up(count)
            return
        memory.points[_CURRENT] = begin + note["step"] * (end - begin)
        self._set_band(self._distances(count, memory.points[_CURRENT]), self._share(note["batch"]))
        self._clear()
        note["stage"] = "grow"

    def _give_up(self, count):
        """Rows come sorted: what the first ones taught, intercepts included, does not hold for those that come now."""
        note, memory = self._note, self._memory
        if self._engine.fit_intercept:
            memory.points[_NULL] = 0.5 * (memory.points[_NULL] + self._intercepts_alone(count))
        note["fresh"] = None
        note["stage"], note["sorted"] = "sorted", True
        note["batch"], note["taken"] = self._n - note["seen"], 0
        memory.points[_CURRENT] = memory.points[_NULL]

    def _grow(self, count):
        """Sum up rows of a batch; at its end, propose."""
        note = self._note
        if note["stage"] == "sorted":
            note["taken"] += count
            return
        question = Question(self._loss, is_coupled(self._engine.loss), self._memory.points[_CURRENT])
        for found in self._sum(question, self._chunks(count)):
            self._loss_sum += found.loss
        if note["taken"] == note["batch"]:
            self._end_batch()

    def _end_batch(self):
        """Take a batch into the quadratic models, and ask them for proposals: (2) and (3)."""
        memory, note = self._memory, self._note
        batch, seen = note["batch"], note["seen"] + note["batch"]
        bent = self._whole_curvature()
        current = self._grouped(memory.points[_CURRENT])
        for way, forgetting in enumerate(self._engine._forgetting):
            kept = (note["seen"] / seen) ** forgetting if forgetting else 1.0
            memory.curvatures[way] = kept * memory.curvatures[way] + bent
            product = np.einsum("gij,gj->gi", bent, current)
            memory.linear[way] = kept * memory.linear[way] + product - self._grouped(memory.slopes[0])
            note["masses"][way] = kept * note["masses"][way] + batch
            damping = 1e-10 if len(memory.candidates) == 1 else min(0.1, 0.01 * (self._size / seen) ** 2)
            memory.candidates[way] = self._solved(
                (memory.curvatures[way] + self._prior(memory.curvatures[way], note["masses"][way]))
                / note["masses"][way],
                memory.linear[way] / note["masses"][way],
                memory.points[_CURRENT],
                damping,
            )
        self._record(note["loss"] / batch)
        memory.points[_ACCEPTED] = memory.points[_CURRENT]
        note["seen"], note["taken"] = seen, 0
        memory.clock[1] += 1
        self._publish(memory.candidates[note["way"]])
        left = self._n - seen
        if left == 0:
            memory.points[_FRESH] = memory.points[_CURRENT]
            self._begin_passes(memory.candidates[note["way"]], memory.points[_NULL])
            return
        following = max(_first_batch(self._size), int(_GROWTH * seen))
        note["batch"] = left if left < 1.3 * following else following
        note["stage"] = "choose"

    def _prior(self, curvature, mass):
        """More curvature for columns that few rows have told about: up to that of one more row, as large as the largest seen."""
        if len(self._memory.candidates) == 1:
            return 0.0
        width, diagonal = self._memory.weights.shape[1], np.einsum("gii->gi", curvature)
        usual = diagonal[:, width - 1 :: width] / mass
        row = (usual[:, :, np.newaxis] * self._memory.largest**2).reshape(diagonal.shape)
        telling = np.divide(diagonal, row, out=np.full_like(row, _ENOUGH), where=row > 0)
        return (row * np.maximum(1.0 - telling / _ENOUGH, 0.0))[:, :, np.newaxis] * np.eye(row.shape[1])

    # ---------------------------------------------------------------------------------------------- full passes

    def _begin_passes(self, model, safe):
        """Look at a model, on the line from one that is safe."""
        self._memory.points[_ACCEPTED] = safe
        self._memory.points[_CURRENT] = model
        self._note["accepted"] = False
        self._begin_pass()

    def _begin_pass(self):
        self._clear()
        self._memory.losses[:] = 0.0
        self._note.update(stage="pass", batch=self._n, taken=0, sampled=0)

    def _pass(self, count):
        """Sum up rows of a full pass: losses along the line, gradient and curvature at its end."""
        memory, note = self._memory, self._note
        question = Question(
            self._loss,
            is_coupled(self._engine.loss),
            memory.points[_CURRENT],
            begin=memory.points[_ACCEPTED],
            plain=self._engine.loss if note["band"] else None,
            null=memory.points[_NULL] if note["null_objective"] is None else None,
        )
        chunks = self._chunks(count)
        for (chunk, _), found in zip(chunks, self._sum(question, chunks), strict=True):
            memory.losses[:-1] += found.line
            memory.losses[-1] += found.plain
            note["null_loss"] += found.null
            self._loss_sum += found.plain
            if note["band"]:
                self._sample(chunk, memory.points[_CURRENT])
        if note["taken"] == self._n:
            self._end_pass()

    def _end_pass(self):
        """Accept the model or a point before it; then propose: (5)."""
        memory, note = self._memory, self._note
        begin, end = memory.points[_ACCEPTED], memory.points[_CURRENT]
        note["penalty"] = self._coordinates.penalty(end)
        losses = memory.losses[:-1] / self._n + self._penalties(begin, end)
        if note["null_objective"] is None:
            note["null_objective"] = note["null_loss"] / self._n
        best = int(np.argmin(losses))
        gain = losses[0] - losses[best]
        whole = losses[-1] <= losses[best] + 0.5 * abs(gain) + 1e-14 * abs(losses[0])
        if note["fresh"] is not None:
            whole = whole and losses[-1] <= note["fresh"] + 0.1 * abs(losses[0] - note["fresh"])
        note["step"] = 1.0 if whole else float(STEPS[best])
        memory.clock[1] += 1
        note["every"] = note["every"] or not whole
        if whole:
            self._accept(float(losses[-1]), stalled=note["accepted"] and gain <= 1e-13 * abs(losses[0]))
        elif note["fresh"] is not None and note["fresh"] < losses[best]:
            memory.points[_CURRENT] = memory.points[_FRESH]
        elif note["step"] > 0.0:
            memory.points[_CURRENT] = begin + note["step"] * (end - begin)
        elif not note["accepted"]:
            memory.points[_CURRENT] = begin
        elif note["damping"] > _MOST_DAMPING:
            note["ended"] = "no step gains anything that the precision of the numbers can show"
        else:
            note["damping"] = max(10.0 * note["damping"], 1e-3)
            memory.points[_CURRENT] = self._minimum(memory.slopes[1], memory.bent[1], begin, note["damping"])
        note["fresh"] = None
        if note["band"]:
            self._narrow()
        self._begin_pass()

    def _accept(self, objective, *, stalled):
        """Move to a model that a pass has looked at, propose the next, and say how much is left to gain."""
        memory, note, engine = self._memory, self._note, self._engine
        note["damping"] = note["damping"] / 10.0 if note["damping"] > 1e-9 else 0.0
        memory.slopes[1] = memory.slopes[0] / self._n
        memory.bent[1] = self._whole_curvature() / self._n
        memory.points[_ACCEPTED] = memory.points[_CURRENT]
        model = memory.points[_ACCEPTED]
        note["accepted"] = True
        left = self._proposal(0.0)[1]
        proposed, promised = self._proposal(note["damping"])
        while promised > self._most(objective) and note["damping"] < _MOST_DAMPING:
            note["damping"] = max(10.0 * note["damping"], 1e-3)
            proposed, promised = self._proposal(note["damping"])
        added = self._added()
        note["promising"] = left < 0.3 * added
        gained = max(note["null_objective"] - objective, 1e-12 * abs(objective), 1e-300)
        note["left"] = float((max(left, 0.0) + added) / gained)
        memory.points[_CURRENT] = proposed
        if not note["band"]:
            self._publish(proposed if note["damping"] == 0.0 else model)
        elif (plain := objective + (memory.losses[-1] - memory.losses[-2]) / self._n) < note["lowest"]:
            note["lowest"] = float(plain)
            self._publish(model)
        if note["left"] <= engine.tolerance:
            note["ended"] = (
                f"the objective is within {note['left']:.1g} of its optimum, relative to what was gained"
            )
        elif stalled and not note["promising"]:
            note["ended"] = "no step gains anything that the precision of the numbers can show"

    def _proposal(self, damping):
        """Where (5) leads from the model accepted, and what it promises."""
        memory, model = self._memory, self._memory.points[_ACCEPTED]
        slopes, bent = memory.slopes[1], memory.bent[1]
        proposed = self._minimum(slopes, bent, model, damping)
        step = self._grouped(proposed - model)
        promised = -float(
            (self._grouped(slopes) * step).sum()
            + 0.5 * np.einsum("gi,gij,gj->", step, bent, step)
            + self._coordinates.penalty(proposed)
            - self._coordinates.penalty(model)
        )
        return proposed, promised

    def _added(self):
        """What smoothing adds to the objective; at most that, where the band is not in the middle and the sum says little."""
        note, losses = self._note, self._memory.losses
        if not note["band"]:
            return 0.0
        most = note["band"] ** 2 / 8.0 * note["bend"]
        middle = lean(innermost(self._engine.loss)) == 0.5
        return float(losses[-2] - losses[-1] if middle else most) / self._n

    def _most(self, objective):
        """What a quadratic model may promise: much more than what is there cannot be gained, where losses are not negative."""
        return math.inf if isinstance(innermost(self._engine.loss).link, Log) else 10.0 * objective

    # -------------------------------------------------------------------------------------------------- bands

    def _narrow(self):
        """Make the band of the passes to come narrower; then slopes at the model accepted have to be seen anew."""
        memory, note = self._memory, self._note
        if not note.pop("promising", False):
            return
        note["narrowed"] += 1
        narrower = note["band"] / 3.0
        self._set_band(memory.distances[: note["sampled"]], self._share(self._n) / 2.0 ** note["narrowed"])
        note["band"] = min(narrower, note["band"])
        note["accepted"] = False

    def _set_band(self, distances, share):
        """Make the band as wide as to hold a share of the rows; 0 where so many are within what bends smoothly anyway."""
        if not len(self._memory.distances) or not len(distances):
            return
        place = min(int(share * len(distances)), len(distances) - 1)
        held = float(np.partition(distances, place)[place])
        if not isinstance(innermost(self._engine.loss), Huber):
            held = max(held, 1e-9 * float(np.median(distances)), 1e-300)
        self._note["band"] = min(_HELD * held, self._note["widest"])

    def _share(self, rows):
        """The share of so many rows that a band holds."""
        return min(1.0, max(10.0 * self._size / rows, 0.02))

    def _distances(self, count, model):
        """How far the first rows' scores are from where the loss bends; none where it does not."""
        if not len(self._memory.distances):
            return np.empty(0)
        return distances(self._engine.loss, model, self._chunk(slice(0, count)))

    def _sample(self, chunk, model):
        """Note the distances of a few rows."""
        note, size, count = self._note, len(self._memory.distances), len(chunk.weight)
        few = max(1, min(count, math.ceil(size / len(model) * count / self._n)))
        chunk = Chunk(chunk.z[:few], chunk.targets[:, :few], chunk.weight[:few])
        found = distances(self._engine.loss, model, chunk)[: size - note["sampled"]]
        self._memory.distances[note["sampled"] : note["sampled"] + len(found)] = found
        note["sampled"] += len(found)

    # -------------------------------------------------------------------------------------------------- sums

    @property
    def _loss(self):
        """The loss, smoothed where it has to be."""
        band = self._note["band"]
        return smoothed(self._engine.loss, band) if band else self._engine.loss

    def _penalties(self, begin, end):
        return np.array([self._coordinates.penalty(begin + step * (end - begin)) for step in STEPS])

    def _clear(self):
        self._memory.slopes[0] = 0.0
        self._memory.bent[0] = 0.0
        self._memory.diagonal[:] = 0.0
        self._note.update(loss=0.0, taken=0, curved=0, bend=0.0)

    def _chunk(self, rows):
        """Rows that wait."""
        memory = self._memory
        return Chunk(memory.rows[rows], memory.targets[:, rows], memory.row_weight[rows])

    def _chunks(self, count):
        """Chunks of rows that wait, and whether each is among those whose curvature is summed."""
        size, done = _chunk(self._memory.rows.shape[1]), self._note["taken"]
        return [
            (
                self._chunk(slice(begin, min(begin + size, count))),
                self._is_curved(done + begin, self._note["batch"]),
            )
            for begin in range(0, count, size)
        ]

    def _sum(self, question, chunks):
        """Add what is asked about chunks to the sums of the batch under way; and say what it was."""
        for (chunk, curve), found in zip(
            chunks, each(lambda one: ask(question, one[0], curve=one[1]), chunks), strict=True
        ):
            self._add(found, len(chunk.weight), curved=curve)
            yield found

    def _add(self, found, rows, *, curved):
        memory, note = self._memory, self._note
        note["loss"] += found.loss
        note["taken"] += rows
        note["bend"] += found.bend
        memory.slopes[0] += found.slopes
        if curved:
            note["curved"] += rows
            memory.bent[0] += found.bent
            np.maximum(memory.largest[:-1], found.largest, out=memory.largest[:-1])
        else:
            memory.diagonal[...] += found.diagonal.reshape(memory.diagonal.shape)
        if not self._engine.fit_intercept:
            width = memory.rows.shape[1]
            memory.slopes[0, :, -1] = 0.0
            memory.bent[0, :, width - 1 :: width] = 0.0
            memory.bent[0, :, :, width - 1 :: width] = 0.0
            memory.diagonal[:, width - 1 :: width] = 0.0

    def _whole_curvature(self):
        """The curvature of a batch: that of some rows, weighted for all, and more for columns that were hardly among them."""
        note, bent, other = self._note, self._memory.bent[0], self._memory.diagonal
        own = np.einsum("gii->gi", bent)
        all_rows, weight = own + other, note["taken"] / max(note["curved"], 1)
        whole = weight * bent
        np.einsum("gii->gi", whole)[...] += np.where(
            weight * own < 0.5 * all_rows, all_rows - weight * own, 0.0
        )
        return whole

    def _is_curved(self, taken, total):
        """Whether the rows from here on are among those whose curvature is summed: all, once a step has failed."""
        squared = len(self._memory.candidates) == 1 and self._n * self._size**2 <= _CURVED_SQUARED
        if self._note["every"] or squared:
            return True
        enough = max(10 * self._size, (_CURVED_PASS if total == self._n else _CURVED_BATCH) // self._size)
        share, number = min(1.0, enough / total), taken // _chunk(self._memory.rows.shape[1])
        return math.floor(number * share) > math.floor((number - 1) * share)

    # ------------------------------------------------------------------------------------------------- solving

    def _grouped(self, model):
        return model.reshape(self._memory.bent.shape[1:3])

    def _minimum(self, slopes, bent, model, damping):
        """The minimiser of (5), given mean gradient and curvature at a model."""
        decay = self._coordinates.decay
        if not self._coordinates.absolute.any():
            nothing = np.zeros_like(model)
            return model + self._solved(bent, self._grouped(-(slopes + decay * model)), nothing, damping)
        linear = np.einsum("gij,gj->gi", bent, self._grouped(model)) - self._grouped(slopes)
        return self._solved(bent, linear, model, damping)

    def _solved(self, bent, linear, anchor, damping):
        """The minimiser of the quadratic model and the penalty, damped towards an anchor."""
        outputs = len(anchor) // len(bent)
        decay, absolute = (
            np.tile(part, outputs) for part in (self._coordinates.decay, self._coordinates.absolute)
        )
        solutions = np.empty_like(linear)
        for g, (start, out) in enumerate(zip(self._grouped(anchor), solutions, strict=True)):
            matrix, diagonal = bent[g].copy(), np.diagonal(bent[g])
            own = diagonal.reshape(-1, len(self._noise))
            constant = (own <= self._noise * own[:, -1:]).ravel()
            matrix[constant], matrix[:, constant] = 0.0, 0.0
            extra = damping * np.maximum(diagonal, 1e-8 * diagonal.max())
            matrix[np.diag_indices_from(matrix)] += decay + extra
            out[:] = minimum(matrix, linear[g] + extra * start, absolute, start)
        return solutions.reshape(anchor.shape)

    # ------------------------------------------------------------------------------------------------ the rest

    def _read_coordinates(self):
        """What kernels standardise by, and what penalties become."""
        memory = self._memory
        self._coordinates = Coordinates(memory.coordinates, self._engine.penalty)
        dtype = memory.rows.dtype
        self._shift = memory.coordinates[0, :-1].astype(dtype)
        self._inverse = (1.0 / memory.coordinates[1, :-1]).astype(dtype)
        # Squares of what rounding makes of a constant column.
        shift, scale = memory.coordinates
        self._noise = (4.0 * np.finfo(dtype).eps * shift / scale) ** 2

    def _publish(self, model):
        self._memory.weights[:] = self._coordinates.outside(model)

    def _record(self, loss):
        note = self._note
        self._state.history.append(
            {
                **self._state.record(loss),
                "rows": note["seen"] + note["batch"],
                "batch_size": note["batch"],
                "step": note["step"],
                "gradient_norm": self._gradient_norm(),
                "learning_rate": note["step"],
            }
        )

    def _gradient_norm(self):
        return float(np.linalg.norm(self._memory.slopes[1]))


def _first_batch(size):
    """Rows of the first batch, given how many coefficients share a curvature."""
    return max(2 * size, 256)


def _chunk(width):
    """Rows that are summed together: few enough to stay in the second-level cache."""
    return min(1024, max(256, 2**17 // width // 64 * 64))


def _clearly_less(values, others):
    """Whether the mean of some rows' losses is smaller than others' by two standard errors."""
    difference = others - values
    difference = np.where(np.isfinite(difference), difference, np.where(np.isfinite(values), 1e6, -1e6))
    return difference.mean() > 2.0 * difference.std() / math.sqrt(len(difference))
