"""Mini-batch gradient descent over a block of rows.

With weights w, a loss l, a penalty P and a mini-batch B, an update is

    (1)  g = 1/|B| * sum over i in B of  weight_i * dl(score_i, y_i) * x_i        score_i = w . x_i
    (2)  w = step(w, g, rate of the update, P)

|B| is the number of rows really in the batch. The sum in (1) is carried in `memory` from one block to the next, so
a batch may be smaller or larger than a block, and where blocks begin and end changes no bit of the result: rows
are added one after the other, and whatever else depends on position depends on the position in the batch.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fallline.kernels.blocks import accumulate, gather, padded, score
from fallline.kernels.chunk import CHUNK, FOLD, losses_and_slopes, room_for
from fallline.kernels.compile import inlined, kernel
from fallline.kernels.verbs import average, prepare, step

__all__ = ["Descent", "Memory", "Rule", "Sums", "measure", "predict", "sweep"]


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
        Sum over the rows before that; in `lazy`, over all.
    clock : ndarray of shape (5,), int64
        Rows in the unfinished batch; updates made. For sparse rows also the update up to which all columns are caught up, and how
        many columns and non-zeros the unfinished batch has (see `lazy`).
    seen : ndarray of shape (columns,), int64, or (outputs, columns), float64
        How far each column is caught up. This and what follows is filled within epochs over sparse rows only.
    common : ndarray of shape (2,) or (updates,), float64
        What every column has to catch up with: scale and shift, or the rates of the updates since all columns were caught up.
    touched : ndarray of shape (columns,), uint64
        First come the columns of the unfinished batch.
    slopes : ndarray of shape (outputs, batch_size), the data's dtype
        Of the rows of the unfinished batch.
    indptr, indices, data : ndarray
        Those of its rows that came with earlier blocks.
    """

    weights: np.ndarray
    slots: np.ndarray
    mean: np.ndarray
    gradient: np.ndarray
    folded: np.ndarray
    clock: np.ndarray
    seen: np.ndarray = np.empty(0)
    common: np.ndarray = np.empty(0)
    touched: np.ndarray = np.empty(0, np.uint64)
    slopes: np.ndarray = np.empty((0, 0))
    indptr: np.ndarray = np.empty(0, np.uint64)
    indices: np.ndarray = np.empty(0, np.uint64)
    data: np.ndarray = np.empty(0)


class Rule(NamedTuple):
    """What an update makes of the weights, given gradient and rate: typed values (see `verbs`), none of them the loss.

    So what is compiled of it serves all losses.
    """

    penalty: NamedTuple
    unpenalised: NamedTuple
    optimizer: NamedTuple
    averaging: NamedTuple
    fit_intercept: bool


class Descent(NamedTuple):
    """What to do with rows."""

    loss: NamedTuple
    rule: Rule
    batch_size: int


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
def sweep(block, memory, descent, rates, last, loss_sum):
    """Make every update that a block of dense rows completes.

    `rates` are those of the updates to come, one for each. `last`: the epoch ends here, so a short batch counts as one.
    """
    rows, batch_size = len(block.rows), descent.batch_size
    pending, before = memory.clock[0], memory.clock[1]
    updates = before
    weights, gradient = padded(block, memory.weights), padded(block, memory.gradient)
    room = room_for(weights.shape[0], block.y.shape[1], weights.dtype)
    norm, eta, finite = math.nan, math.nan, True
    start = 0
    while start < rows:
        count = min(CHUNK, rows - start, batch_size - pending, FOLD - pending % FOLD)
        loss_sum = _differentiate(block, start, count, descent.loss, weights, room, loss_sum, False)
        finite = math.isfinite(loss_sum)
        if not finite:
            break
        accumulate(block, start, count, room.slopes, gradient)
        pending += count
        start += count
        if pending == batch_size or (last and start == rows):
            eta = rates[updates - before]
            updates += 1
            if pending > FOLD:
                _unfold(memory.folded, gradient)
            if rows - start < batch_size:
                norm = math.sqrt(_sum_of_squares(gradient)) / pending
            _update(memory, descent.rule, weights, gradient, pending, eta, updates)
            pending = 0
        elif pending % FOLD == 0:
            _fold(gradient, memory.folded)
    _copy(weights, memory.weights)
    _copy(gradient, memory.gradient)
    memory.clock[0] = pending
    memory.clock[1] = updates
    return loss_sum, start, norm, eta, finite


@kernel
def measure(block, weights, loss, loss_sum):
    """The loss of the block's rows at fixed weights."""
    rows, weights = len(block.rows), padded(block, weights)
    room = room_for(weights.shape[0], block.y.shape[1], weights.dtype)
    start, finite = 0, True
    while start < rows and finite:
        count = min(CHUNK, rows - start)
        loss_sum = _differentiate(block, start, count, loss, weights, room, loss_sum, True)
        finite = math.isfinite(loss_sum)
        start += count
    return loss_sum, start, math.nan, math.nan, finite


@kernel
def predict(block, weights, out):
    """Fill `out` (rows, outputs) with the scores of the block's rows."""
    (rows, outputs), weights = out.shape, padded(block, weights)
    scores = np.zeros((outputs, CHUNK), out.dtype)
    for start in range(0, rows, CHUNK):
        count = min(CHUNK, rows - start)
        score(block, start, count, weights, scores, True)
        for i in range(count):
            for k in range(outputs):
                out[start + i, k] = scores[k, i]


@inlined
def _copy(source, target):
    for k in range(source.shape[0]):
        for j in range(min(source.shape[1], target.shape[1])):
            target[k, j] = source[k, j]


@inlined
def _differentiate(block, start, rows, loss, weights, room, loss_sum, alone):
    """Score some rows, and what `losses_and_slopes` does of the scores."""
    gather(block, start, rows, room.targets, room.weight)
    score(block, start, rows, weights, room.scores, alone)
    return losses_and_slopes(loss, rows, room, loss_sum)


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
def _update(memory, rule, weights, gradient, rows, eta, update):
    """(2), coordinate by coordinate; the intercept is not penalised."""
    penalty, unpenalised, optimizer, slots = rule.penalty, rule.unpenalised, rule.optimizer, memory.slots
    outputs, width = memory.weights.shape
    prepared = prepare(optimizer, update)
    for k in range(outputs):
        for j in range(width - 1):
            step(optimizer, prepared, k, j, weights, gradient[k, j] * (1.0 / rows), slots, penalty, eta)
            gradient[k, j] = 0.0
        j = width - 1
        if rule.fit_intercept:
            step(optimizer, prepared, k, j, weights, gradient[k, j] * (1.0 / rows), slots, unpenalised, eta)
        gradient[k, j] = 0.0
    average(rule.averaging, update, weights, memory.mean)
