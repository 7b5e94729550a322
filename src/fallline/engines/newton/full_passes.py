"""Full passes: each accepts a model or says how far to go back, and at the end of it the next is proposed. See (4) and (5)."""

from __future__ import annotations

import math

import numpy as np

from fallline.engines.newton.band import hold, narrow, sample
from fallline.engines.newton.batch import ACCEPTED, CURRENT, FRESH, NULL, Batch
from fallline.engines.newton.bound import bounded, opened, smoothing
from fallline.engines.newton.model import minimum_of
from fallline.engines.quadratic import to_gain
from fallline.engines.summing import STEPS
from fallline.objective.links import Log
from fallline.objective.losses import is_pieced

__all__ = ["begin_passes", "take_in"]

# Where damping more is given up.
_MOST_DAMPING = 1e6
# A band is narrowed where less than this share of what it adds to the objective is left to gain otherwise; and where slopes may
# prove that no model is better than intercepts alone, if it is less than this one.
_WIDE, _SETTLED = 0.3, 1e-9
# Of what there is to gain: how near the optimum a proposal is trusted unseen, where losses are exponentials.
_NEAR = 0.1
# Models in a row that may be no better than the best, and known no better, as those of smoothed losses are for a while.
_IDLE = 40
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


def take_in(batch: Batch, count: int, place: int | None = None) -> None:
    """Sum up rows of a full pass: losses along the line, gradient and curvature at its end. See `Batch.sum_up`."""
    memory, note = batch.memory, batch.note
    question = batch.question(
        begin=memory.points[ACCEPTED],
        plain=batch.engine.loss if note["band"] else None,
        null=memory.points[NULL] if note["null_objective"] is None else None,
    )
    for found in batch.sum_up(question, count, place):
        memory.losses[:-1] += found.line
        memory.losses[-1] += found.plain
        note["null_loss"] += found.null
        batch.loss_sum += found.plain
        if found.apart is not None:
            sample(batch, found.apart)
    if note["taken"] == batch.n:
        _end_pass(batch)


def _end_pass(batch):
    """Accept the model or a point before it; then propose: (5)."""
    memory, note = batch.memory, batch.note
    begin, end = memory.points[ACCEPTED], memory.points[CURRENT]
    note["penalty"] = batch.coordinates.penalty(end)
    losses = memory.losses[:-1] / batch.n + batch.penalties(begin, end)
    if note["null_objective"] is None:
        _settle_null(batch)
    if not np.isfinite(losses[0]):
        note["beyond"] = True
        return
    best = int(np.argmin(losses))
    gain = losses[0] - losses[best]
    whole = losses[-1] <= losses[best] + 0.5 * abs(gain) + 1e-14 * abs(losses[0])
    if note["fresh"] is not None:
        whole = whole and losses[-1] <= note["fresh"] + 0.1 * abs(losses[0] - note["fresh"])
    note["step"] = 1.0 if whole else float(STEPS[best])
    memory.clock[1] += 1
    note["every"] = note["every"] or not whole
    if whole:
        stalled = note["accepted"] and gain <= 1e-13 * abs(losses[0])
        narrowing = _accept(batch, float(losses[-1]), stalled=stalled)
        if note["band"]:
            hold(batch, narrower=narrowing)
    else:
        _go_back(batch, losses[best], begin + note["step"] * (end - begin))
    note["fresh"] = None
    _begin_pass(batch)


def _go_back(batch, lowest, there):
    """Look at the best point of the line, or at one that is better still; or from its beginning, take a shorter step."""
    memory, note = batch.memory, batch.note
    begin = memory.points[ACCEPTED]
    if note["fresh"] is not None and note["fresh"] < lowest:
        memory.points[CURRENT] = memory.points[FRESH]
    elif note["step"] > 0.0:
        memory.points[CURRENT] = there
    elif not note["accepted"]:
        memory.points[CURRENT] = begin
    elif note["band"] and not memory.bent[1].any() and narrow(batch):
        # No row bends, and any step leads to where they do.
        memory.points[CURRENT] = begin
    elif note["damping"] > _MOST_DAMPING:
        note["ended"] = _EXACT
    else:
        memory.points[CURRENT] = _more_damped(batch)[0]
    if not (note["band"] or note["accepted"]):
        batch.publish(memory.points[CURRENT])


def _settle_null(batch):
    """What intercepts alone come to. Where steps may lead up for a while, as smoothed losses' do, theirs is the model to beat."""
    note = batch.note
    note["null_objective"] = note["null_loss"] / batch.n
    if note["band"]:
        note["lowest"] = note["null_objective"]
        batch.publish(batch.memory.points[NULL])


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
    left = _to_gain(batch)
    proposed, promised = _proposal(batch, note["damping"])
    while promised > _most(batch, objective) and note["damping"] < _MOST_DAMPING:
        proposed, promised = _more_damped(batch)
    added, plain = opened(batch), float(objective - smoothing(batch))
    settled = left < _SETTLED * added
    left, bound = bounded(batch, left, added, plain, settled=settled)
    # While no model is better than intercepts alone, each band is followed to its end: slopes there may prove that none is.
    beaten = min(plain, note["lowest"]) < note["null_objective"]
    narrowing = bool(note["band"]) and left < _WIDE * added and (beaten or stalled or settled)
    if not math.isfinite(left + added + plain):
        note["beyond"] = True
        return False
    note["left"] = _left(batch, left, added, plain, bound)
    if promised <= 0.0 < left and note["left"] > engine.tolerance:
        proposed = _damped_until_it_promises(batch)
    memory.points[CURRENT] = proposed
    _publish(batch, model, proposed, plain)
    if note["left"] <= engine.tolerance:
        note["ended"] = (
            f"the objective is within {note['left']:.1g} of its optimum, relative to what was gained"
        )
    elif stalled and not narrowing:
        note["ended"] = _EXACT
    elif note["idle"] >= _IDLE:
        note["ended"] = f"the last {_IDLE} models looked at were no better than the best before"
    return narrowing


def _publish(batch, model, proposed, plain):
    """Show what training has come to: the proposal, where it is likely to be good; of smoothed losses the best model so far."""
    note = batch.note
    if not note["band"]:
        # Where curvature jumps, a step may lead anywhere: the model that was looked at is what training has come to.
        likely = not is_pieced(batch.engine.loss) and (note["left"] < _NEAR or not _is_logarithmic(batch))
        batch.publish(proposed if likely and note["damping"] == 0.0 else model)
        return
    _count_idle(note, plain)
    if plain < note["lowest"]:
        note["lowest"] = plain
        batch.publish(model)


def _count_idle(note, plain):
    """How many models in a row were hardly better than the best, and did not make known that less is left."""
    better = plain < note["lowest"] - 1e-6 * abs(note["lowest"])
    nearer = note["left"] < 0.5 * note["nearest"]
    note["idle"] = 0 if better or nearer else note["idle"] + 1
    if nearer:
        note["nearest"] = note["left"]


def _left(batch, left, added, plain, bound):
    """What is left to gain, as a share of what was: from the model accepted on, or from the best so far down to a bound."""
    note = batch.note
    lowest = min(plain, note["lowest"])
    share = _share_left(batch, max(left, 0.0) + added, lowest)
    if bound > -math.inf:
        bound = max(note["bound"], bound)
        # Above the best model it is none: intercepts went further than was supposed.
        note["bound"] = bound if bound <= lowest else -math.inf
        share = min(share, _share_left(batch, lowest - note["bound"], lowest))
    # Where a loss is smoothed and no row bends, slopes and curvatures know nothing of the kinks.
    blind = bool(note["band"]) and not note["bend"] > 0.0 and plain > 0.0
    return max(share, note["left"] or 1.0) if blind else share


def _share_left(batch, left, objective):
    """What is left to gain, as a share of what has been gained; at most all of it.

    Where next to nothing can be gained, a thousandth of the objective stands for it: of losses that are not negative.
    """
    null = batch.note["null_objective"]
    least = 1e-12 if _is_logarithmic(batch) else 1e-3
    return float(min(left / max(null - objective, least * abs(null), 1e-300), 1.0))


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


def _more_damped(batch):
    """The proposal after more damping."""
    batch.note["damping"] = max(10.0 * batch.note["damping"], 1e-3)
    return _proposal(batch, batch.note["damping"])


def _damped_until_it_promises(batch):
    """The first such proposal."""
    proposed, promised = _more_damped(batch)
    while promised <= 0.0 and batch.note["damping"] < _MOST_DAMPING:
        proposed, promised = _more_damped(batch)
    return proposed


def _to_gain(batch):
    """What (5) promises; where that is nothing, what coefficients can gain, each for itself.

    It is nothing at its minimum, and where rounding errors of the curvature are larger than what it says of some direction.
    """
    left = _proposal(batch, 0.0)[1]
    if left > 0.0 or batch.note["band"]:
        return left
    model, diagonal = batch.grouped(batch.memory.points[ACCEPTED]), np.einsum("gii->gi", batch.memory.bent[1])
    told = ~batch.constant(diagonal)
    slope = batch.grouped(batch.memory.slopes[1]) + batch.decay * model
    absolute = np.broadcast_to(batch.absolute, told.shape)
    return to_gain(slope[told], model[told], absolute[told], (diagonal + batch.decay)[told])


def _most(batch, objective):
    """What a quadratic model may promise: much more than what is there cannot be gained, where losses are not negative."""
    return math.inf if _is_logarithmic(batch) else 10.0 * objective


def _is_logarithmic(batch):
    """Whether losses may have any sign."""
    return isinstance(batch.engine.loss.link, Log)
