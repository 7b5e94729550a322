"""The first pass: growing batches, whose rows choose among what those before them propose. See (2) to (4)."""

from __future__ import annotations

import math

import numpy as np

from fallline.engines.newton.band import distances_of, set_band, share_of
from fallline.engines.newton.batch import ACCEPTED, CURRENT, FRESH, NULL, Batch
from fallline.engines.newton.full_passes import begin_passes
from fallline.engines.newton.intercepts import intercepts_alone
from fallline.engines.newton.model import solved
from fallline.engines.newton.sizes import first_batch
from fallline.engines.summing import STEPS, Question, examined, losses_along
from fallline.kernels.curvature import enlarge
from fallline.objective.losses import is_coupled

__all__ = ["choose", "end_batch", "grow", "let_go_by"]

# A batch, of all rows before it.
_GROWTH = 0.5
# Rows that tell enough about a column.
_ENOUGH = 2.0


def choose(batch: Batch, count: int) -> None:
    """Choose among the proposals, and how far to go, on rows that have seen none of them: (4). Then begin to sum up."""
    memory, note, chunk = batch.memory, batch.note, batch.chunk(slice(0, count))
    begin = memory.points[ACCEPTED]
    values = [examined(batch.loss, candidate, chunk)[1] for candidate in memory.candidates]
    way = 0
    for other in range(1, len(values)):
        if _clearly_less(values[other], values[way]):
            way = other
    end = memory.candidates[way]
    losses = losses_along(batch.loss, begin, end, chunk) / count + batch.penalties(begin, end)
    best = int(np.argmin(losses))
    whole = losses[-1] <= losses[best] + 0.1 * abs(losses[0] - losses[best])
    note["way"], note["step"] = way, 1.0 if whole else float(STEPS[best])
    null = examined(batch.loss, memory.points[NULL], chunk)[0] / count
    # With as much as chance may have left out.
    error = 3.0 * float(np.std(values[way])) / math.sqrt(count)
    note["fresh"] = float(losses[-1] if whole else losses[best]) + (error if math.isfinite(error) else 0.0)
    if not losses[-1] <= null + 0.5 * abs(null) + 1e-9 and note["seen"] >= 0.2 * batch.n:
        _give_up(batch, count)
        let_go_by(batch, count)
        return
    memory.points[CURRENT] = begin + note["step"] * (end - begin)
    set_band(batch, distances_of(batch, count, memory.points[CURRENT]), share_of(batch, note["batch"]))
    batch.clear()
    note["stage"] = "grow"
    grow(batch, count)


def _clearly_less(values, others):
    """Whether the mean of some rows' losses is smaller than others' by two standard errors."""
    difference = others - values
    if not np.isfinite(difference).all():
        difference = np.where(np.isfinite(difference), difference, np.where(np.isfinite(values), 1e6, -1e6))
    return difference.mean() > 2.0 * difference.std() / math.sqrt(len(difference))


def _give_up(batch, count):
    """Rows come sorted: what the first ones taught, intercepts included, does not hold for those that come now."""
    note, memory = batch.note, batch.memory
    if batch.engine.fit_intercept:
        memory.points[NULL] = 0.5 * (memory.points[NULL] + intercepts_alone(batch, count))
    note["fresh"] = None
    note.update(stage="sorted", batch=batch.n - note["seen"], taken=0)
    memory.points[CURRENT] = memory.points[NULL]


def let_go_by(batch: Batch, count: int) -> None:
    """Leave rows of a pass unused that was given up; then begin full passes."""
    note, points = batch.note, batch.memory.points
    note["taken"] += count
    if note["taken"] == note["batch"]:
        begin_passes(batch, points[CURRENT], points[NULL])


def grow(batch: Batch, count: int) -> None:
    """Sum up rows of a batch; at its end, propose."""
    note = batch.note
    question = Question(batch.loss, is_coupled(batch.engine.loss), batch.memory.points[CURRENT])
    chunks = batch.chunks(count)
    for (chunk, curved), found in zip(chunks, batch.sum_up(question, chunks), strict=True):
        batch.loss_sum += found.loss
        if curved:
            enlarge(batch.memory.largest, chunk.z)
    if note["taken"] == note["batch"]:
        end_batch(batch)


def end_batch(batch: Batch) -> None:
    """Take a batch into the quadratic models, and ask them for proposals: (2) and (3)."""
    memory, note = batch.memory, batch.note
    rows, seen = note["batch"], note["seen"] + note["batch"]
    bent = batch.whole_curvature()
    current = batch.grouped(memory.points[CURRENT])
    for way, forgetting in enumerate(batch.engine.forgetting):
        kept = (note["seen"] / seen) ** forgetting if forgetting else 1.0
        memory.curvatures[way] = kept * memory.curvatures[way] + bent
        product = np.einsum("gij,gj->gi", bent, current)
        memory.linear[way] = kept * memory.linear[way] + product - batch.grouped(memory.slopes[0])
        note["masses"][way] = kept * note["masses"][way] + rows
        damping = 1e-10 if len(memory.candidates) == 1 else min(0.1, 0.01 * (batch.size / seen) ** 2)
        memory.candidates[way] = solved(
            batch,
            (memory.curvatures[way] + _prior(batch, memory.curvatures[way], note["masses"][way]))
            / note["masses"][way],
            memory.linear[way] / note["masses"][way],
            memory.points[CURRENT],
            damping,
        )
    _record(batch, note["loss"] / rows)
    memory.points[ACCEPTED] = memory.points[CURRENT]
    note["seen"], note["taken"] = seen, 0
    memory.clock[1] += 1
    batch.publish(memory.candidates[note["way"]])
    left = batch.n - seen
    if left == 0:
        memory.points[FRESH] = memory.points[CURRENT]
        begin_passes(batch, memory.candidates[note["way"]], memory.points[NULL])
        return
    following = max(first_batch(batch.size), int(_GROWTH * seen))
    note["batch"] = left if left < 1.3 * following else following
    note["stage"] = "choose"


def _prior(batch, curvature, mass):
    """More curvature for columns that few rows have told about: up to that of one more row, as large as the largest seen."""
    if len(batch.memory.candidates) == 1:
        return 0.0
    diagonal = np.einsum("gii->gi", curvature)
    usual = diagonal[:, batch.intercepts] / mass
    row = (usual[:, :, np.newaxis] * batch.memory.largest**2).reshape(diagonal.shape)
    telling = np.divide(diagonal, row, out=np.full_like(row, _ENOUGH), where=row > 0)
    return (row * np.maximum(1.0 - telling / _ENOUGH, 0.0))[:, :, np.newaxis] * np.eye(row.shape[1])


def _record(batch, loss):
    """Write a batch into the history, given its mean loss."""
    note = batch.note
    batch.state.history.append(
        {
            **batch.state.record(loss),
            "rows": note["seen"] + note["batch"],
            "batch_size": note["batch"],
            "step": note["step"],
            "gradient_norm": batch.gradient_norm(),
            "learning_rate": note["step"],
        }
    )
