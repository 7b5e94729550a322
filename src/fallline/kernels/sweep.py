"""Mini-batch gradient descent over a block of rows.

With weights w, a loss l, a penalty P and a mini-batch B, an update is

    (1)  g = 1/|B| * sum over i in B of  weight_i * dl(score_i, y_i) * x_i        score_i = w . x_i
    (2)  w = step(w, g, rate(t), P)

|B| is the number of rows really in the batch. The sum in (1) is carried in `memory` from one block to the next, so
a batch may be smaller or larger than a block, and where blocks begin and end changes no bit of the result: rows
are added one after the other, and whatever else depends on position depends on the position in the batch.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fallline.kernels.blocks import accumulate, gather, score
from fallline.kernels.compile import inlined, kernel
from fallline.kernels.lanes import PADDING
from fallline.kernels.verbs import average, differentiate, prepare, rate, step

__all__ = ["Descent", "Memory", "Sums", "measure", "predict", "sweep"]

# Rows handled together: their scores, then their slopes, then their gradient. Their data stay in the first-level cache.
_CHUNK = 32
# Rows whose gradient is summed in the data's own precision before the sum is folded into float64.
_FOLD = 256


class Memory(NamedTuple):
    """The arrays that change while training. Each row of `weights` is one output; its last entry is the intercept.

    Parameters
    ----------
    weights : ndarray of shape (outputs, columns + 1), the data's dtype
    slots : ndarray of shape (slots, outputs, columns + 1), the data's dtype
        What the optimizer remembers of each coordinate.
    mean : ndarray of shape (outputs, columns + 1) or (0, 0), float64
        The running average of the weights.
    gradient : ndarray of shape (outputs, columns + 1), the data's dtype
        Sum over the rows of the unfinished batch since the last fold.
    folded : ndarray of shape (outputs, columns + 1), float64
        Sum over the rows before that.
    clock : ndarray of shape (2,), int64
        Rows in the unfinished batch; updates made.
    """

    weights: np.ndarray
    slots: np.ndarray
    mean: np.ndarray
    gradient: np.ndarray
    folded: np.ndarray
    clock: np.ndarray


class Descent(NamedTuple):
    """What to do in each update: typed values (see `verbs`) and plain numbers."""

    loss: NamedTuple
    penalty: NamedTuple
    unpenalised: NamedTuple
    optimizer: NamedTuple
    schedule: NamedTuple
    averaging: NamedTuple
    batch_size: int
    fit_intercept: bool


class Sums(NamedTuple):
    """What one call of `sweep` or `measure` found.

    Kernels return it as a plain tuple: to make a NamedTuple runs Python code, where a signal could raise half-way.

    Parameters
    ----------
    loss : float
        Sum of weight times loss, each row at the weights it met, added row by row to the sum that the call began with.
    rows : int
        Rows visited. Fewer than the block has only where a score was not finite.
    gradient_norm : float
        Euclidean norm of (1) at the last update; NaN where there was none.
    rate : float
        Learning rate of the last update; NaN where there was none.
    finite : bool
        False if a score or a loss was NaN or infinite; the walk ends there.
    """

    loss: float
    rows: int
    gradient_norm: float
    rate: float
    finite: bool


@kernel
def sweep(block, memory, descent, rate_factor, last, loss_sum):
    """Make every update that the block completes. `last`: the epoch ends here, so a short batch counts as one."""
    rows, batch_size = len(block.rows), descent.batch_size
    pending, updates = memory.clock[0], memory.clock[1]
    work = _work(block, memory.weights)
    weights, gradient = work.weights, work.gradient
    _copy(memory.weights, weights)
    _copy(memory.gradient, gradient)
    norm, eta, finite = math.nan, math.nan, True
    start = 0
    while start < rows:
        count = min(_CHUNK, rows - start, batch_size - pending, _FOLD - pending % _FOLD)
        loss_sum = _differentiate(block, start, count, descent.loss, work, loss_sum, False)
        finite = math.isfinite(loss_sum)
        if not finite:
            break
        accumulate(block, start, count, work.slopes, gradient)
        pending += count
        start += count
        if pending == batch_size or (last and start == rows):
            updates += 1
            eta = rate_factor * rate(descent.schedule, updates)
            if pending > _FOLD:
                _unfold(memory.folded, gradient)
            if rows - start < batch_size:
                norm = math.sqrt(_sum_of_squares(gradient)) / pending
            _update(memory, descent, weights, gradient, pending, eta, updates)
            pending = 0
        elif pending % _FOLD == 0:
            _fold(gradient, memory.folded)
    _copy(weights, memory.weights)
    _copy(gradient, memory.gradient)
    memory.clock[0] = pending
    memory.clock[1] = updates
    return loss_sum, start, norm, eta, finite


@kernel
def measure(block, weights, loss, loss_sum):
    """The loss of the block's rows at fixed weights."""
    rows = len(block.rows)
    work = _work(block, weights)
    _copy(weights, work.weights)
    start, finite = 0, True
    while start < rows and finite:
        count = min(_CHUNK, rows - start)
        loss_sum = _differentiate(block, start, count, loss, work, loss_sum, True)
        finite = math.isfinite(loss_sum)
        start += count
    return loss_sum, start, math.nan, math.nan, finite


@kernel
def predict(block, weights, out):
    """Fill `out` (rows, outputs) with the scores of the block's rows."""
    rows, outputs = out.shape
    work = _work(block, weights)
    _copy(weights, work.weights)
    for start in range(0, rows, _CHUNK):
        count = min(_CHUNK, rows - start)
        score(block, start, count, work.weights, work.scores, True)
        for i in range(count):
            for k in range(outputs):
                out[start + i, k] = work.scores[k, i]


class _Work(NamedTuple):
    """Copies of weights and gradient, each row followed by zeros as `lanes` want it, and room for one chunk of rows."""

    weights: np.ndarray
    gradient: np.ndarray
    scores: np.ndarray
    slopes: np.ndarray
    targets: np.ndarray
    weight: np.ndarray
    values: np.ndarray


@inlined
def _work(block, weights):
    (outputs, width), targets, dtype = weights.shape, block.y.shape[1], weights.dtype
    return _Work(
        np.zeros((outputs, width + PADDING), dtype),
        np.zeros((outputs, width + PADDING), dtype),
        np.zeros((outputs, _CHUNK), dtype),
        np.zeros((outputs, _CHUNK), dtype),
        np.zeros((targets, _CHUNK), dtype),
        np.zeros((1, _CHUNK), dtype),
        np.zeros((1, _CHUNK), dtype),
    )


@inlined
def _copy(source, target):
    for k in range(source.shape[0]):
        for j in range(min(source.shape[1], target.shape[1])):
            target[k, j] = source[k, j]


@inlined
def _differentiate(block, start, rows, loss, work, loss_sum, alone):
    """Score some rows; leave weight times derivative in `work.slopes`; return `loss_sum` plus weight times loss.

    It is not finite if any score or loss is not.
    """
    weights, _, scores, slopes, targets, weight, values = work
    gather(block, start, rows, targets, weight)
    score(block, start, rows, weights, scores, alone)
    differentiate(loss, rows, scores, targets, values, slopes)
    for i in range(rows):
        loss_sum += weight[0, i] * values[0, i]
    for k in range(scores.shape[0]):
        for i in range(rows):
            slopes[k, i] = slopes[k, i] * weight[0, i]
        for i in range(rows, (rows + 3) // 4 * 4):
            slopes[k, i] = 0.0
    return math.nan if _not_finite(scores, rows) else loss_sum


@inlined
def _not_finite(scores, rows):
    """How many scores are NaN or infinite: comparisons in a loss may have swallowed that."""
    count, infinity = 0, scores.dtype.type(math.inf)
    for k in range(scores.shape[0]):
        for i in range(rows):
            count += 0 if abs(scores[k, i]) < infinity else 1
    return count


@inlined
def _fold(gradient, folded):
    """Move the sum since the last fold into float64."""
    outputs, width = folded.shape
    for k in range(outputs):
        for j in range(width):
            folded[k, j] += gradient[k, j]
            gradient[k, j] = 0.0


@inlined
def _unfold(folded, gradient):
    """Bring the whole sum back."""
    outputs, width = folded.shape
    for k in range(outputs):
        for j in range(width):
            gradient[k, j] = gradient[k, j] + folded[k, j]
            folded[k, j] = 0.0


@inlined(reassociate=True)
def _sum_of_squares(values):
    total = 0.0
    for k in range(values.shape[0]):
        for j in range(values.shape[1]):
            total += np.float64(values[k, j]) * np.float64(values[k, j])
    return total


@inlined
def _update(memory, descent, weights, gradient, rows, eta, update):
    """(2), coordinate by coordinate; the intercept is not penalised."""
    penalty, unpenalised, optimizer, slots = (
        descent.penalty,
        descent.unpenalised,
        descent.optimizer,
        memory.slots,
    )
    outputs, width = memory.weights.shape
    prepared = prepare(optimizer, update)
    for k in range(outputs):
        for j in range(width - 1):
            step(optimizer, prepared, k, j, weights, gradient[k, j] * (1.0 / rows), slots, penalty, eta)
            gradient[k, j] = 0.0
        j = width - 1
        if descent.fit_intercept:
            step(optimizer, prepared, k, j, weights, gradient[k, j] * (1.0 / rows), slots, unpenalised, eta)
        gradient[k, j] = 0.0
    average(descent.averaging, update, weights, memory.mean)
