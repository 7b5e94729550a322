"""What `engines.saga` does with one row, dense or sparse: scores, and where the model and sums of slopes go.

Dense columns are shifted: what is said of x holds for x - shift. Symbols are those of `engines.saga`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fallline.kernels.blocks import CsrBlock, DenseBlock, bounds, fetch_row, row_weight
from fallline.kernels.compile import generic, inlined
from fallline.kernels.verbs import shrink

__all__ = ["Work", "fetch", "finite", "meet", "move", "recall", "score", "spread", "targets_of", "work_for"]


class Work(NamedTuple):
    """Room for one row: among the rest, scores as found, and a copy that losses may overwrite."""

    found: np.ndarray
    scores: np.ndarray
    targets: np.ndarray
    values: np.ndarray
    slopes: np.ndarray
    before: np.ndarray
    bent: np.ndarray
    steep: np.ndarray


@inlined
def work_for(block, outputs):
    """Room for one row after the other."""
    return Work(
        np.zeros((outputs, 1)),
        np.zeros((outputs, 1)),
        np.zeros((block.y.shape[1], 1)),
        np.zeros((1, 1)),
        np.zeros((outputs, 1)),
        np.zeros((outputs, 1)),
        np.zeros((outputs, 1)),
        np.zeros((outputs, 1)),
    )


@inlined
def recall(work):
    """Copy the scores found to where losses may overwrite them."""
    for k in range(work.found.shape[0]):
        work.scores[k, 0] = work.found[k, 0]


@inlined
def targets_of(block, row, work):
    """Fill in a row's targets; its weight."""
    for t in range(work.targets.shape[0]):
        work.targets[t, 0] = block.y[row, t]
    return np.float64(row_weight(block, row))


@inlined
def finite(scores, loss_sum):
    """Whether all of these are."""
    good = math.isfinite(loss_sum)
    for k in range(scores.shape[0]):
        good = good and math.isfinite(scores[k, 0])
    return good


@generic
def meet(block, row, walk, memory, scores):
    """Fill in a row's scores, and return its pull."""
    raise NotImplementedError


@generic
def score(block, row, model, columns, scores):
    """Fill in a row's scores at a model."""
    raise NotImplementedError


@generic
def move(block, row, walk, memory, changes):
    """(6): let the model follow a change of slopes."""
    raise NotImplementedError


@generic
def spread(block, row, columns, slopes, out, squared):
    """Add the row, or its squares, times `slopes` to `out`."""
    raise NotImplementedError


@generic
def fetch(block, i):
    """Start loading rows to come."""


@fetch.of(CsrBlock)
def _(block, i):
    fetch_row(block, i)


@meet.of(CsrBlock)
def _(block, row, walk, memory, scores):
    columns, point, penalty = memory.columns, memory.point, walk.penalty
    outputs, last, rows = point.shape[1], block.columns, walk.rows
    pull = _intercepts(walk, memory, last, scores)
    begin, end = bounds(block, row)
    for place in range(begin, end):
        j, x = block.indices[place], np.float64(block.data[place])
        inverse = 1.0 / columns[3, j]
        pull += x * x * inverse
        for k in range(outputs):
            scores[k, 0] += x * shrink(penalty, point[j, k], rows * inverse)
    return pull


@meet.of(DenseBlock)
def _(block, row, walk, memory, scores):
    columns, point, penalty = memory.columns, memory.point, walk.penalty
    outputs, last, rows = point.shape[1], block.X.shape[1], walk.rows
    pull = _intercepts(walk, memory, last, scores)
    if outputs == 1:
        along, own = _meet_one(block.X[row], columns, point.reshape(last + 1), penalty, rows)
        scores[0, 0] += along
        return pull + own
    for j in range(last):
        x = block.X[row, j] - columns[0, j]
        inverse = 1.0 / columns[3, j]
        pull += x * x * inverse
        for k in range(outputs):
            scores[k, 0] += x * shrink(penalty, point[j, k], rows * inverse)
    return pull


@inlined(reassociate=True)
def _meet_one(x, columns, point, penalty, rows):
    """A row's score, but for the intercept, and its pull; of one output: numbers beside each other are taken together."""
    along = pull = 0.0
    for j in range(len(x)):
        off, inverse = x[j] - columns[0, j], 1.0 / columns[3, j]
        pull += off * off * inverse
        along += off * shrink(penalty, point[j], rows * inverse)
    return along, pull


@inlined
def _intercepts(walk, memory, last, scores):
    for k in range(scores.shape[0]):
        scores[k, 0] = memory.point[last, k]
    return 1.0 / memory.columns[3, last] if walk.fit_intercept else 0.0


@score.of(CsrBlock)
def _(block, row, model, columns, scores):
    for k in range(scores.shape[0]):
        scores[k, 0] = model[block.columns, k]
    begin, end = bounds(block, row)
    for place in range(begin, end):
        j, x = block.indices[place], np.float64(block.data[place])
        for k in range(scores.shape[0]):
            scores[k, 0] += x * model[j, k]


@score.of(DenseBlock)
def _(block, row, model, columns, scores):
    for k in range(scores.shape[0]):
        scores[k, 0] = model[block.X.shape[1], k]
    if scores.shape[0] == 1:
        scores[0, 0] += _along(block.X[row], columns, model.reshape(len(model)))
        return
    for j in range(block.X.shape[1]):
        x = block.X[row, j] - columns[0, j]
        for k in range(scores.shape[0]):
            scores[k, 0] += x * model[j, k]


@inlined(reassociate=True)
def _along(x, columns, model):
    total = 0.0
    for j in range(len(x)):
        total += (x[j] - columns[0, j]) * model[j]
    return total


@move.of(CsrBlock)
def _(block, row, walk, memory, changes):
    columns, point, last = memory.columns, memory.point, block.columns
    begin, end = bounds(block, row)
    for place in range(begin, end):
        j, x = block.indices[place], np.float64(block.data[place])
        rate = x / columns[3, j]
        for k in range(point.shape[1]):
            point[j, k] -= rate * changes[k, 0]
    _move_intercepts(walk, memory, last, changes)


@move.of(DenseBlock)
def _(block, row, walk, memory, changes):
    columns, point, last = memory.columns, memory.point, block.X.shape[1]
    if point.shape[1] == 1:
        only, x, change = point.reshape(last + 1), block.X[row], changes[0, 0]
        for j in range(last):
            only[j] -= (x[j] - columns[0, j]) / columns[3, j] * change
    for j in range(last if point.shape[1] > 1 else 0):
        rate = (block.X[row, j] - columns[0, j]) / columns[3, j]
        for k in range(point.shape[1]):
            point[j, k] -= rate * changes[k, 0]
    _move_intercepts(walk, memory, last, changes)


@inlined
def _move_intercepts(walk, memory, last, changes):
    if walk.fit_intercept:
        for k in range(changes.shape[0]):
            memory.point[last, k] -= changes[k, 0] / memory.columns[3, last]


@spread.of(CsrBlock)
def _(block, row, columns, slopes, out, squared):
    begin, end = bounds(block, row)
    for place in range(begin, end):
        j, x = block.indices[place], np.float64(block.data[place])
        x = x * x if squared else x
        for k in range(out.shape[1]):
            out[j, k] += x * slopes[k, 0]
    for k in range(out.shape[1]):
        out[block.columns, k] += slopes[k, 0]


@spread.of(DenseBlock)
def _(block, row, columns, slopes, out, squared):
    last = block.X.shape[1]
    if out.shape[1] == 1:
        only, x, slope = out.reshape(last + 1), block.X[row], slopes[0, 0]
        for j in range(last):
            off = x[j] - columns[0, j]
            only[j] += (off * off if squared else off) * slope
    for j in range(last if out.shape[1] > 1 else 0):
        x = block.X[row, j] - columns[0, j]
        x = x * x if squared else x
        for k in range(out.shape[1]):
            out[j, k] += x * slopes[k, 0]
    for k in range(out.shape[1]):
        out[last, k] += slopes[k, 0]
