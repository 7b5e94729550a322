"""The band of scores over which a loss with kinks is smoothed: how wide it is."""

from __future__ import annotations

import math

import numpy as np

from fallline.engines.newton.batch import Batch
from fallline.engines.summing import distances
from fallline.objective.losses import innermost
from fallline.objective.losses.huber import Huber

__all__ = ["distances_of", "few_bend", "hold", "narrow", "sample", "set_band", "share_of"]

# Of a band's width to the distance on either side that it holds: more than 2, for rows exactly there.
_HELD = 2.2
# Of the mean distance: narrower bands lose themselves in rounding.
_LEAST = 1e-7
# How many times narrower a band becomes at once: at least, and at most.
_NARROW, _NARROWER = 3.0, 30.0
_WIDER = 1.5
# Bands are narrowed no more often where no row bends in them.
_NARROWINGS = 30
# Rows that bend, for each coefficient: of fewer, curvature says little about what is further away.
_FEW = 3


def set_band(batch: Batch, distances: np.ndarray, share: float) -> None:
    """Make the band as wide as to hold a share of the rows; 0 where so many are within what bends smoothly anyway."""
    if not len(batch.memory.distances) or not len(distances):
        return
    place = min(int(share * len(distances)), len(distances) - 1)
    held = float(np.partition(distances, place)[place])
    if not isinstance(innermost(batch.engine.loss), Huber):
        held = max(held, _LEAST * float(distances.mean()) or 1.0)
    batch.note["band"] = min(_HELD * held, batch.note["widest"])


def share_of(batch: Batch, rows: int, for_each: float = 10.0) -> float:
    """The share of so many rows that a band holds: some for each coefficient that shares a curvature, and 2% at the least."""
    return min(1.0, max(for_each * batch.size / rows, 0.02))


def hold(batch: Batch, *, narrower: bool) -> None:
    """Choose the band of the passes to come: narrower where that is what is wanted, wider where rows pull and none bends in it.

    Where it has changed, slopes at the model accepted have to be seen anew.
    """
    memory, note = batch.memory, batch.note
    before, sampled = note["band"], memory.distances[: note["sampled"]]
    if not note["bend"] > 0.0 and memory.slopes[1].any():
        if note["narrowed"]:
            note["band"] = min(_WIDER * before, note["widest"])
        else:
            set_band(batch, sampled, min(1.0, batch.size / batch.n))
            note["band"] = max(before, note["band"])
    elif narrower:
        note["narrowed"] += 1
        set_band(batch, sampled, share_of(batch, batch.n) / 2.0 ** note["narrowed"])
        # Where many rows lie right at a kink, a band that holds a few of them is so narrow that curvature says nothing beyond it.
        most = _NARROWER if not few_bend(batch) else _NARROW
        note["band"] = min(before / _NARROW, max(note["band"], before / most))
    if note["band"] != before:
        note["accepted"] = False


def narrow(batch: Batch) -> bool:
    """Make a band narrower in which no row bends, and have slopes seen anew; whether it was not narrow enough already."""
    note = batch.note
    if note["narrowed"] >= _NARROWINGS:
        return False
    note.update(band=note["band"] / _NARROW, narrowed=note["narrowed"] + 1, accepted=False)
    return True


def few_bend(batch: Batch) -> bool:
    """Whether hardly more rows bend than there are coefficients, so that each of them counts."""
    return bool(batch.note["held"] < _FEW * batch.memory.weights.size)


def distances_of(batch: Batch, count: int, model: np.ndarray) -> np.ndarray:
    """How far the first rows' scores are from where the loss bends; none where it does not."""
    if not len(batch.memory.distances):
        return np.empty(0)
    chunk = batch.chunk(slice(0, count))
    return distances(batch.engine.loss, chunk.scores(model), chunk).ravel()


def sample(batch: Batch, apart: np.ndarray) -> None:
    """Note a few of the distances (outputs, rows) of some rows."""
    note, size, (outputs, count) = batch.note, len(batch.memory.distances), apart.shape
    few = max(1, min(count, math.ceil(size / outputs * count / batch.n)))
    found = apart[:, :few].ravel()[: size - note["sampled"]]
    batch.memory.distances[note["sampled"] : note["sampled"] + len(found)] = found
    note["sampled"] += len(found)
