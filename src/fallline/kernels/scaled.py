"""Plain descent on sparse rows, at the cost of their non-zeros.

An update of plain descent, w <- shrink(kept w - eta g), moves every weight, but those without a gradient all in the same way.
What they have in common is kept apart (Bottou, Stochastic gradient descent tricks, 2012; Carpenter, Lazy sparse stochastic
gradient descent, 2008; Tsuruoka, Tsujii and Ananiadou, 2009): with the scale c, the product of all factors `kept`, and
the shift d, the sum of all eta / c,

    (1)  w_j = c shrink(v_j, d - seen_j)            seen_j: the shift when v_j was last shrunk

is the weight of column j, and an update becomes

    (2)  c <- kept c
    (3)  v_j <- v_j - eta / c * g_j                 for the columns of the batch's rows
    (4)  d <- d + eta / c

Before a row is scored its columns are shrunk by what they missed. The gradient is not added up first: once all rows of
the batch are scored, each goes into v as often as it has non-zeros. The rows of a batch that began in an earlier
block are therefore held in memory, `Held`, with their slopes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fallline.kernels.blocks import bounds, dot, fetch_row, gather
from fallline.kernels.chunk import CHUNK, losses_and_slopes, room_for
from fallline.kernels.compile import inlined, kernel
from fallline.kernels.verbs import decay, prepare, shrink, shrinks, step

__all__ = ["MOST_ROWS", "Held", "settle_scaled", "sweep_scaled"]

# Batches of more rows need float64 for the sum of their gradients.
MOST_ROWS = 256
# A scale below this is multiplied into the weights, long before anything in v could overflow in float32.
_SMALLEST = 2.0**-60


class Held(NamedTuple):
    """The first rows of the unfinished batch, which came with earlier blocks, as a block holds rows.

    Parameters
    ----------
    indptr : ndarray of shape (rows + 1,), uint64
    indices : ndarray of shape (non-zeros,), uint64
    data : ndarray of shape (non-zeros,), the weights' dtype
    rows : ndarray of shape (rows,), uint64
        0, 1, 2, ...
    """

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    rows: np.ndarray


@kernel
def sweep_scaled(block, held, memory, descent, rates, last, loss_sum):
    """Make every update that the block completes; see `sweep`. The batch has at most `MOST_ROWS` rows."""
    rows, batch_size, penalty = len(block.rows), descent.batch_size, descent.rule.penalty
    weights, slopes = memory.weights, memory.slopes
    outputs, intercept = weights.shape[0], weights.shape[1] - 1
    pending, first = memory.clock[0], memory.clock[1]
    updates = first
    scale, shift = memory.common[0], memory.common[1]
    room = room_for(outputs, block.y.shape[1], weights.dtype)
    norm, eta, finite = math.nan, math.nan, True
    start, before = 0, pending
    while start < rows:
        count = min(CHUNK, rows - start, batch_size - pending)
        gather(block, start, count, room.targets, room.weight)
        _score(block, start, count, memory, penalty, scale, shift, room.scores)
        loss_sum = losses_and_slopes(descent.loss, count, room, loss_sum)
        finite = math.isfinite(loss_sum)
        if not finite:
            break
        for k in range(outputs):
            for i in range(count):
                slopes[k, pending + i] = room.slopes[k, i]
        pending += count
        start += count
        if pending == batch_size or (last and start == rows):
            eta = rates[updates - first]
            updates += 1
            here = pending - before
            if rows - start < batch_size:
                norm = _norm(block, start - here, here, held, before, memory) / pending
            scale *= max(1.0 - eta * decay(penalty), 0.0)
            if scale < _SMALLEST:
                _settle(memory, penalty, scale, shift)
                scale, shift = 1.0, 0.0
            factor = -eta / (pending * scale)
            _add(held, 0, before, slopes, 0, factor, weights)
            _add(block, start - here, here, slopes, before, factor, weights)
            shift += eta / scale
            if descent.rule.fit_intercept:
                optimizer, unpenalised = descent.rule.optimizer, descent.rule.unpenalised
                prepared = prepare(optimizer, updates)
                for k in range(outputs):
                    g = _sum(slopes, k, pending) * (1.0 / pending)
                    step(optimizer, prepared, k, intercept, weights, g, memory.slots, unpenalised, eta)
            pending = before = 0
    memory.clock[0], memory.clock[1] = pending, updates
    memory.common[0], memory.common[1] = scale, shift
    return loss_sum, start, norm, eta, finite


@kernel
def settle_scaled(memory, penalty):
    """Bring all weights up to date, (1)."""
    _settle(memory, penalty, memory.common[0], memory.common[1])
    memory.common[0], memory.common[1] = 1.0, 0.0


@inlined
def _settle(memory, penalty, scale, shift):
    weights, seen = memory.weights, memory.seen
    for k in range(weights.shape[0]):
        for j in range(weights.shape[1] - 1):
            if shrinks(penalty):
                weights[k, j] = shrink(penalty, weights[k, j], shift - seen[k, j])
                seen[k, j] = 0.0
            weights[k, j] *= scale


@inlined
def _score(block, start, rows, memory, penalty, scale, shift, scores):
    """Shrink the columns of some rows by what they missed, and score the rows."""
    weights = memory.weights
    intercept, factor = weights.shape[1] - 1, weights.dtype.type(scale)
    for i in range(rows):
        begin, end = bounds(block, block.rows[start + i])
        indices, data = block.indices[begin:end], block.data[begin:end]
        for k in range(weights.shape[0]):
            if shrinks(penalty):
                product = _shrink_and_dot(indices, data, weights, memory.seen, k, penalty, shift)
            else:
                product = dot(indices, data, weights, k)
            scores[k, i] = weights[k, intercept] + factor * product
        fetch_row(block, start + i)


@inlined
def _shrink_and_dot(indices, data, weights, seen, k, penalty, shift):
    total = data.dtype.type(0)
    for j in range(indices.size):
        column = indices[j]
        weights[k, column] = shrink(penalty, weights[k, column], shift - seen[k, column])
        seen[k, column] = shift
        total += data[j] * weights[k, column]
    return total


@inlined
def _add(block, start, rows, slopes, first, factor, out):
    """Add to `out` some rows times `factor` and their slopes, which begin at the `first`."""
    for i in range(rows):
        begin, end = bounds(block, block.rows[start + i])
        indices, data = block.indices[begin:end], block.data[begin:end]
        for k in range(out.shape[0]):
            s = out.dtype.type(factor * slopes[k, first + i])
            for j in range(indices.size):
                out[k, indices[j]] += s * data[j]


@inlined
def _sum(slopes, k, rows):
    total = slopes.dtype.type(0)
    for i in range(rows):
        total += slopes[k, i]
    return total


@inlined
def _norm(block, start, rows, held, before, memory):
    """The Euclidean norm of the sum of the batch's rows times their slopes."""
    _add(held, 0, before, memory.slopes, 0, 1.0, memory.gradient)
    _add(block, start, rows, memory.slopes, before, 1.0, memory.gradient)
    total = _taken(held, 0, before, memory.gradient) + _taken(block, start, rows, memory.gradient)
    for k in range(memory.slopes.shape[0]):
        total += np.float64(_sum(memory.slopes, k, before + rows)) ** 2
    return math.sqrt(total)


@inlined
def _taken(block, start, rows, gradient):
    """The sum of the squares in the columns of some rows, which are zero afterwards: each column counts once."""
    total = 0.0
    for i in range(rows):
        begin, end = bounds(block, block.rows[start + i])
        for j in range(begin, end):
            for k in range(gradient.shape[0]):
                g = gradient[k, block.indices[j]]
                total += np.float64(g) * np.float64(g)
                gradient[k, block.indices[j]] = 0.0
    return total
