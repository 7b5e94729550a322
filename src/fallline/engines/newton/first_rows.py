"""The first rows: they give coordinates, intercepts and the first batch."""

from __future__ import annotations

import math

import numpy as np

from fallline.engines.coordinates import spread_of
from fallline.engines.newton.band import distances_of, set_band, share_of
from fallline.engines.newton.batch import CURRENT, NULL, Batch
from fallline.engines.newton.first_pass import end_batch
from fallline.engines.newton.full_passes import begin_passes, take_in
from fallline.engines.newton.intercepts import intercepts_alone
from fallline.engines.newton.model import minimum_of
from fallline.engines.summing import STEPS, ask
from fallline.kernels.curvature import enlarge

__all__ = ["begin"]

# Newton steps on the first batch, at most.
_ITERATIONS = 4


def begin(batch: Batch, count: int) -> None:
    """Find coordinates and the model of intercepts alone; then the first batch, or at once full passes."""
    memory, engine, note = batch.memory, batch.engine, batch.note
    rows = memory.rows[:count, :-1]
    shift, scale = spread_of(rows, centre=engine.fit_intercept)
    memory.coordinates[:, :-1] = shift, scale
    batch.read_coordinates()
    rows -= batch.shift
    rows *= batch.inverse
    given = batch.coordinates.inside(memory.weights.astype(np.float64))
    memory.points[:] = 0.0
    memory.points[:, :, -1] = given[:, -1] if not engine.fit_intercept else 0.0
    if engine.fit_intercept:
        memory.points[:] = intercepts_alone(batch, count)
    else:
        set_band(batch, distances_of(batch, count, memory.points[NULL]), 1.0)
    if note["warm"]:
        memory.points[CURRENT] = given
    looking = note["stage"] == "look"
    if looking:
        set_band(batch, distances_of(batch, count, given), share_of(batch, batch.n, for_each=1.0))
    note["widest"] = note["band"] or math.inf
    if looking or count >= 0.7 * batch.n:
        begin_passes(batch, memory.points[CURRENT], memory.points[CURRENT if looking else NULL])
        take_in(batch, count)
        return
    note["batch"] = count
    batch.clear()
    enlarge(memory.largest, memory.rows[:count])
    _iterate(batch, count)
    end_batch(batch)


def _iterate(batch, count):
    """Newton steps on the first batch, if it is large enough for several."""
    memory, chunk = batch.memory, batch.chunk(slice(0, count))
    several = count >= 5 * batch.size and len(memory.candidates) > 1
    for left in reversed(range(_ITERATIONS if several else 1)):
        batch.clear()
        batch.add(ask(batch.question(), chunk, curve=True), count)
        if left == 0:
            break
        begin = memory.points[CURRENT].copy()
        end = minimum_of(batch, memory.slopes[0] / count, memory.bent[0] / count, begin, 1e-3)
        losses = batch.lowest_along(begin, end, chunk)
        best = int(np.argmin(losses))
        if losses[0] - losses[best] < 1e-2 * batch.size / count * abs(losses[best]):
            break
        memory.points[CURRENT] = begin + STEPS[best] * (end - begin)
        set_band(batch, distances_of(batch, count, memory.points[CURRENT]), share_of(batch, count))
        batch.visits += count
    batch.loss_sum += batch.note["loss"]
