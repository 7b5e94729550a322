"""The metric and the pull, measured on rows as they come: (4), (7) and (8)."""

from __future__ import annotations

import math

import numpy as np

from fallline.engines.saga.passes import TINY, Pass
from fallline.kernels.saga import STRAIGHT

__all__ = ["measure", "only_looked_at", "pull_of", "until_measured"]

_TAU = 0.3
# From one look to the next, kappa falls to this share at the most.
_FALL = 0.4
# The curvature is taken to be no less than this share of the most.
_FLAT = 1e-3
# Rows that are only looked at, and of how many; of few rows, so many all the same.
_FIRST, _OF, _FEWEST = 256, 16, 8
# An intercept is pulled to its centre as if it had this share of a row's pull, but no more than this share of its curvature.
_INTERCEPT_PULL, _INTERCEPT_SHARE = 0.01, 0.1


def only_looked_at(n: int) -> int:
    """Of n rows, how many are looked at before any is learned from."""
    return max(1, min(n - 1, _FEWEST), min(_FIRST, n // _OF))


def until_measured(here: Pass) -> int:
    """In how many rows the metric is measured next."""
    seen = here.note["seen"]
    if seen >= here.n or here.note["passes"]:
        return here.n
    due = only_looked_at(here.n)
    while due <= seen:
        due *= 2
    return due - seen


def pull_of(here: Pass) -> np.ndarray:
    """k of (2), that of intercepts included."""
    metric = here.memory.columns[3]
    pull = np.maximum(metric - here.n * here.decay, 0.0)
    pull[-1] = metric[-1]
    return pull


def measure(here: Pass) -> None:
    """(8), then (4) and (7)."""
    memory, note, sums = here.memory, here.note, here.memory.sums
    bend = _measure_bend(note, sums)
    counted = _counted(here)
    if counted:
        note["radius"] = float(sums[3] / counted)
        note["free"] = float(sums[2] / counted)
    least = here.n * here.decay
    stiff = least / note["free"] if note["free"] > 0.0 else 0.0
    share = note["ease"] * note["radius"] * max(0.0, bend / _TAU - stiff)
    note["share"] = float(max(share, note["share"] * _FALL))
    note["gained"] = (
        0.0 if note["seen"] >= here.n else note["gained"] + float(0.5 * (sums[0] + sums[1] / bend))
    )
    seen = min(note["seen"], here.n)
    metric = np.sqrt(memory.columns[1]) * np.sqrt(memory.columns[2] * (here.n / seen))
    metric = np.maximum(least + note["share"] * metric, TINY)
    pull = note["free"] / max(least + note["share"] * note["free"] / max(note["radius"], TINY), TINY)
    weak = note["intercept_ease"] / (_INTERCEPT_PULL * pull) if pull > 0.0 else math.inf
    metric[-1] = min(weak, _INTERCEPT_SHARE * bend * here.n)
    before = memory.columns[3]
    memory.point[:] = memory.centre + (before / metric)[:, np.newaxis] * (memory.point - memory.centre)
    memory.columns[3] = metric
    if note["null_objective"] is None or sums[9]:
        note["null_objective"] = float(sums[8] / sums[9])
    sums[:8] = 0.0


def _measure_bend(note, sums):
    """L of (8)."""
    bend = sums[4] / max(sums[5], 1.0)
    if not bend > 0.0:
        # A loss of straight pieces: what curvature a parabola of such slopes and values would have.
        bend = STRAIGHT * sums[6] / (2.0 * sums[7]) if sums[7] > 0.0 else 1.0
    note["most_bent"] = float(max(note["most_bent"], bend))
    # Losses of separable classes end flat; without a penalty nothing else would hold the model.
    note["bend"] = float(max(bend, _FLAT * note["most_bent"]))
    return note["bend"]


def _counted(here):
    """Rows whose radii have been summed since the last look."""
    seen, first = here.note["seen"], only_looked_at(here.n)
    if here.note["passes"]:
        return 0
    before = first
    while before * 2 < seen:
        before *= 2
    return seen if seen == first else seen - before
