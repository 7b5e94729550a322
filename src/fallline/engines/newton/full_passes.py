"""Full passes: each accepts a model or says how far to go back, and at the end of it the next is proposed. See (4) and (5)."""

from __future__ import annotations

import math

import numpy as np

from fallline.engines.newton.band import narrow, sample
from fallline.engines.newton.batch import ACCEPTED, CURRENT, FRESH, NULL, Batch
from fallline.engines.newton.model import minimum_of
from fallline.engines.summing import STEPS, Question
from fallline.kernels.verbs import lean
from fallline.objective.links import Log
from fallline.objective.losses import innermost, is_coupled

__all__ = ["begin_passes", "take_in"]

# Where damping more is given up.
_MOST_DAMPING = 1e6
# A band is narrowed where less than this share of what it adds to the objective is left to gain otherwise.
_WIDE = 0.3
_EXACT = "no step gains anything that the precision of the numbers can show"


def begin_passes(batch: Batch, model: np.ndarray, safe: np.ndarray) -> None:
    """Look at a model, on the line from one that is safe."""
    batch.memory.points[ACCEPTED] = safe
    batch.memory.points[CURRENT] = model
    batch.note["accepted"] = False
    _begin_pass(batch)


def _begin_pass(batch):
    """Begin to sum up all rows."""
    batch.clear()
    batch.memory.losses[:] = 0.0
    batch.note.update(stage="pass", batch=batch.n, taken=0, sampled=0)


def take_in(batch: Batch, count: int) -> None:
    """Sum up rows of a full pass: losses along the line, gradient and curvature at its end."""
    memory, note = batch.memory, batch.note
    question = Question(
        batch.loss,
        is_coupled(batch.engine.loss),
        memory.points[CURRENT],
        begin=memory.points[ACCEPTED],
        plain=batch.engine.loss if note["band"] else None,
        null=memory.points[NULL] if note["null_objective"] is None else None,
    )
    chunks = batch.chunks(count)
    for (chunk, _), found in zip(chunks, batch.sum_up(question, chunks), strict=True):
        memory.losses[:-1] += found.line
        memory.losses[-1] += found.plain
        note["null_loss"] += found.null
        batch.loss_sum += found.plain
        if note["band"]:
            sample(batch, chunk, memory.points[CURRENT])
    if note["taken"] == batch.n:
        _end_pass(batch)


def _end_pass(batch):
    """Accept the model or a point before it; then propose: (5)."""
    memory, note = batch.memory, batch.note
    begin, end = memory.points[ACCEPTED], memory.points[CURRENT]
    note["penalty"] = batch.coordinates.penalty(end)
    losses = memory.losses[:-1] / batch.n + batch.penalties(begin, end)
    if note["null_objective"] is None:
        note["null_objective"] = note["null_loss"] / batch.n
    best = int(np.argmin(losses))
    gain = losses[0] - losses[best]
    whole = losses[-1] <= losses[best] + 0.5 * abs(gain) + 1e-14 * abs(losses[0])
    if note["fresh"] is not None:
        whole = whole and losses[-1] <= note["fresh"] + 0.1 * abs(losses[0] - note["fresh"])
    note["step"] = 1.0 if whole else float(STEPS[best])
    memory.clock[1] += 1
    note["every"] = note["every"] or not whole
    narrowing = False
    if whole:
        narrowing = _accept(
            batch, float(losses[-1]), stalled=note["accepted"] and gain <= 1e-13 * abs(losses[0])
        )
    elif note["fresh"] is not None and note["fresh"] < losses[best]:
        memory.points[CURRENT] = memory.points[FRESH]
    elif note["step"] > 0.0:
        memory.points[CURRENT] = begin + note["step"] * (end - begin)
    elif not note["accepted"]:
        memory.points[CURRENT] = begin
    elif note["damping"] > _MOST_DAMPING:
        note["ended"] = _EXACT
    else:
        note["damping"] = max(10.0 * note["damping"], 1e-3)
        memory.points[CURRENT] = minimum_of(batch, memory.slopes[1], memory.bent[1], begin, note["damping"])
    note["fresh"] = None
    if narrowing:
        narrow(batch)
    _begin_pass(batch)


def _accept(batch, objective, *, stalled):
    """Move to a model that a pass has looked at, propose the next, and note how much is left to gain.

    Returns whether the band is what keeps training from the optimum.
    """
    memory, note, engine = batch.memory, batch.note, batch.engine
    note["damping"] = note["damping"] / 10.0 if note["damping"] > 1e-9 else 0.0
    memory.slopes[1] = memory.slopes[0] / batch.n
    memory.bent[1] = batch.whole_curvature() / batch.n
    memory.points[ACCEPTED] = memory.points[CURRENT]
    model = memory.points[ACCEPTED]
    note["accepted"] = True
    left = _proposal(batch, 0.0)[1]
    proposed, promised = _proposal(batch, note["damping"])
    while promised > _most(batch, objective) and note["damping"] < _MOST_DAMPING:
        note["damping"] = max(10.0 * note["damping"], 1e-3)
        proposed, promised = _proposal(batch, note["damping"])
    added = _added(batch)
    narrowing = bool(note["band"]) and left < _WIDE * added
    gained = max(note["null_objective"] - objective, 1e-12 * abs(objective), 1e-300)
    note["left"] = float((max(left, 0.0) + added) / gained)
    memory.points[CURRENT] = proposed
    if not note["band"]:
        batch.publish(proposed if note["damping"] == 0.0 else model)
    elif (plain := objective + (memory.losses[-1] - memory.losses[-2]) / batch.n) < note["lowest"]:
        note["lowest"] = float(plain)
        batch.publish(model)
    if note["left"] <= engine.tolerance:
        note["ended"] = (
            f"the objective is within {note['left']:.1g} of its optimum, relative to what was gained"
        )
    elif stalled and not narrowing:
        note["ended"] = _EXACT
    return narrowing


def _proposal(batch, damping):
    """Where (5) leads from the model accepted, and what it promises."""
    memory, model = batch.memory, batch.memory.points[ACCEPTED]
    slopes, bent = memory.slopes[1], memory.bent[1]
    proposed = minimum_of(batch, slopes, bent, model, damping)
    step = batch.grouped(proposed - model)
    promised = -float(
        (batch.grouped(slopes) * step).sum()
        + 0.5 * np.einsum("gi,gij,gj->", step, bent, step)
        + batch.coordinates.penalty(proposed)
        - batch.coordinates.penalty(model)
    )
    return proposed, promised


def _added(batch):
    """What smoothing adds to the objective; at most that, where the band is not in the middle and the sum says little."""
    note, losses = batch.note, batch.memory.losses
    if not note["band"]:
        return 0.0
    most = note["band"] ** 2 / 8.0 * note["bend"]
    middle = lean(innermost(batch.engine.loss)) == 0.5
    return float(losses[-2] - losses[-1] if middle else most) / batch.n


def _most(batch, objective):
    """What a quadratic model may promise: much more than what is there cannot be gained, where losses are not negative."""
    return math.inf if isinstance(innermost(batch.engine.loss).link, Log) else 10.0 * objective
