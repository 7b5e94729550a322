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
    scratch = _scratch(block, memory.weights)
    norm, eta, finite = math.nan, math.nan, True
    start = 0
    while start < rows:
        count = min(_CHUNK, rows - start, batch_size - pending, _FOLD - pending % _FOLD)
        loss_sum = _differentiate(block, start, count, memory.weights, descent.loss, scratch, loss_sum)
        finite = math.isfinite(loss_sum)
        if not finite:
            break
        accumulate(block, start, count, scratch.slopes, memory.gradient)
        pending += count
        start += count
        if pending == batch_size or (last and start == rows):
            updates += 1
            eta = rate_factor * rate(descent.schedule, updates)
            if pending > _FOLD:
                _unfold(memory)
            if rows - start < batch_size:
                norm = math.sqrt(_sum_of_squares(memory.gradient)) / pending
            _update(memory, descent, pending, eta, updates)
            pending = 0
        elif pending % _FOLD == 0:
            _fold(memory)
    memory.clock[0] = pending
    memory.clock[1] = updates
    return loss_sum, start, norm, eta, finite


@kernel
def measure(block, weights, loss, loss_sum):
    """The loss of the block's rows at fixed weights."""
    rows = len(block.rows)
    scratch = _scratch(block, weights)
    start, finite = 0, True
    while start < rows and finite:
        count = min(_CHUNK, rows - start)
        loss_sum = _differentiate(block, start, count, weights, loss, scratch, loss_sum)
        finite = math.isfinite(loss_sum)
        start += count
    return loss_sum, start, math.nan, math.nan, finite


@kernel
def predict(block, weights, out):
    """Fill `out` (rows, outputs) with the scores of the block's rows."""
    rows, outputs = out.shape
    scores = np.empty((outputs, _CHUNK), weights.dtype)
    for start in range(0, rows, _CHUNK):
        count = min(_CHUNK, rows - start)
        score(block, start, count, weights, scores)
        for i in range(count):
            for k in range(outputs):
                out[start + i, k] = scores[k, i]


class _Scratch(NamedTuple):
    """Room for one chunk: arrays of shape (.., _CHUNK)."""

    scores: np.ndarray
    slopes: np.ndarray
    targets: np.ndarray
    weight: np.ndarray
    values: np.ndarray


@inlined
def _scratch(block, weights):
    outputs, dtype = weights.shape[0], weights.dtype
    return _Scratch(
        np.empty((outputs, _CHUNK), dtype),
        np.empty((outputs, _CHUNK), dtype),
        np.empty((block.y.shape[1], _CHUNK), dtype),
        np.empty((1, _CHUNK), dtype),
        np.empty((1, _CHUNK), dtype),
    )


@inlined
def _differentiate(block, start, rows, weights, loss, scratch, loss_sum):
    """Score some rows; leave weight times derivative in `scratch.slopes`; return `loss_sum` plus weight times loss.

    It is not finite if any score or loss is not.
    """
    scores, slopes, targets, weight, values = scratch
    gather(block, start, rows, targets, weight)
    score(block, start, rows, weights, scores)
    differentiate(loss, rows, scores, targets, values, slopes)
    for i in range(rows):
        loss_sum += weight[0, i] * values[0, i]
    for k in range(weights.shape[0]):
        for i in range(rows):
            slopes[k, i] = slopes[k, i] * weight[0, i]
        for i in range(rows, (rows + 3) // 4 * 4):
            slopes[k, i] = 0.0
    return loss_sum + _zero_if_finite(scores, rows)


@inlined(reassociate=True)
def _zero_if_finite(scores, rows):
    """0, or NaN if any score is not finite: comparisons in a loss may have swallowed that."""
    total = 0.0
    for k in range(scores.shape[0]):
        for i in range(rows):
            total += scores[k, i] - scores[k, i]
    return total


@inlined
def _fold(memory):
    """Move the sum so far into float64."""
    outputs, width = memory.gradient.shape
    for k in range(outputs):
        for j in range(width):
            memory.folded[k, j] += memory.gradient[k, j]
            memory.gradient[k, j] = 0.0


@inlined
def _unfold(memory):
    """Bring the whole sum back."""
    outputs, width = memory.gradient.shape
    for k in range(outputs):
        for j in range(width):
            memory.gradient[k, j] = memory.gradient[k, j] + memory.folded[k, j]
            memory.folded[k, j] = 0.0


@inlined(reassociate=True)
def _sum_of_squares(values):
    total = 0.0
    for k in range(values.shape[0]):
        for j in range(values.shape[1]):
            total += np.float64(values[k, j]) * np.float64(values[k, j])
    return total


@inlined
def _update(memory, descent, rows, eta, update):
    """(2), coordinate by coordinate; the intercept is not penalised."""
    weights, gradient = memory.weights, memory.gradient
    outputs, width = weights.shape
    prepared = prepare(descent.optimizer, update)
    for k in range(outputs):
        for j in range(width - 1):
            mean = gradient[k, j] * (1.0 / rows)
            step(descent.optimizer, prepared, k, j, weights, mean, memory.slots, descent.penalty, eta)
            gradient[k, j] = 0.0
        if descent.fit_intercept:
            mean = gradient[k, width - 1] * (1.0 / rows)
            step(
                descent.optimizer,
                prepared,
                k,
                width - 1,
                weights,
                mean,
                memory.slots,
                descent.unpenalised,
                eta,
            )
        gradient[k, width - 1] = 0.0
    average(descent.averaging, update, weights, memory.mean)
