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
from fallline.engines.summing import STEPS, examined, loss_of, lowest_along

__all__ = ["choose", "end_batch", "grow", "let_go_by"]

# A batch, of all rows before it.
_GROWTH = 0.5
# Rows that tell enough about a column.
_ENOUGH = 2.0


def choose(batch: Batch, count: int) -> None:
    """Choose among the proposals, and how far to go, on rows that have seen none of them: (4). Then begin to sum up."""
    memory, note, chunk = batch.memory, batch.note, batch.chunk(slice(0, count))
    first, *proposed, null = batch.scores(
        np.stack([memory.points[ACCEPTED], *memory.candidates, memory.points[NULL]]), count
    )
    values = [examined(batch.loss, scores, chunk)[1] for scores in proposed]
    way = 0
    for other in range(1, len(values)):
        if _clearly_less(values[other], values[way]):
            way = other
    begin, end = memory.points[ACCEPTED], memory.candidates[way]
    losses = lowest_along(batch.loss, first, proposed[way], chunk, batch.penalties(begin, end))
    best = int(np.argmin(losses))
    whole = losses[-1] <= losses[best] + 0.1 * abs(losses[0] - losses[best])
    note["way"], note["step"] = way, 1.0 if whole else float(STEPS[best])
    # With as much as chance may have left out.
    error = 3.0 * _standard_error(values[way])
    note["fresh"] = float(losses[-1] if whole else losses[best]) + (error if math.isfinite(error) else 0.0)
    if note["seen"] >= 0.2 * batch.n and _is_lost(losses[-1], loss_of(batch.loss, null, chunk) / count):
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
    if not math.isfinite(difference.sum()):
        difference = np.where(np.isfinite(difference), difference, np.where(np.isfinite(values), 1e6, -1e6))
    return difference.mean() > 2.0 * _standard_error(difference)


def _standard_error(values):
    """Of the mean of some numbers."""
    rest = values - values.mean()
    return math.sqrt(rest @ rest) / len(values)


def _is_lost(objective, null):
    """Whether fresh rows score worse than with intercepts alone, by half of what those come to."""
    return not objective <= null + 0.5 * abs(null) + 1e-9


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


def grow(batch: Batch, count: int, place: int | None = None) -> None:
    """Sum up rows of a batch; at its end, propose. See `Batch.sum_up`."""
    note, largest = batch.note, batch.memory.largest
    for found in batch.sum_up(batch.question(reach=True), count, place):
        batch.loss_sum += found.loss
        if found.largest is not None:
            np.maximum(largest, found.largest, out=largest)
    if note["taken"] == note["batch"]:
        end_batch(batch)


def end_batch(batch: Batch) -> None:
    """Take a batch into the quadratic models, and ask them for proposals: (2) and (3)."""
    memory, note = batch.memory, batch.note
    rows, seen = note["batch"], note["seen"] + note["batch"]
    bent = batch.whole_curvature()
    pulled = np.einsum("gij,gj->gi", bent, batch.grouped(memory.points[CURRENT])) - batch.grouped(
        memory.slopes[0]
    )
    kept = (note["seen"] / seen) ** np.array(batch.engine.forgetting)
    mass = kept * note["masses"] + rows
    curvatures, linear = memory.curvatures, memory.linear
    curvatures *= kept[:, np.newaxis, np.newaxis, np.newaxis]
    curvatures += bent
    linear *= kept[:, np.newaxis, np.newaxis]
    linear += pulled
    curvature = curvatures / mass[:, np.newaxis, np.newaxis, np.newaxis]
    linear = linear / mass[:, np.newaxis, np.newaxis]
    damping = 1e-10 if len(mass) == 1 else min(0.1, 0.01 * (batch.size / seen) ** 2)
    if len(mass) > 1:
        _add_prior(batch, curvature, mass)
    anchor = np.broadcast_to(batch.grouped(memory.points[CURRENT]), linear.shape)
    memory.candidates[...] = solved(batch, curvature, linear, anchor, damping).reshape(
        memory.candidates.shape
    )
    note["masses"] = mass.tolist()
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


def _add_prior(batch, curvature, mass):
    """Give columns that few rows have told about more curvature: up to that of one more row, as large as the largest seen."""
    diagonal, mass = np.einsum("...ii->...i", curvature), mass[:, np.newaxis, np.newaxis]
    usual = diagonal[..., batch.intercepts, np.newaxis]
    row = (usual * batch.memory.largest**2).reshape(diagonal.shape)
    telling = mass * np.divide(diagonal, row, out=np.full_like(row, _ENOUGH), where=row > 0)
    diagonal += row / mass * np.maximum(1.0 - telling / _ENOUGH, 0.0)


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
