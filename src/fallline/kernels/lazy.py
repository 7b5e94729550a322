"""Updates on sparse rows by any optimizer, at the cost of the columns that the batch's rows hold.

The others are left behind, and each is caught up with (`catch_up`) when a row holds it next. An update is then that of `sweep`
for the columns of its batch, which are listed in `memory.touched` as their rows come.

Where catching up would cost more than to visit all columns, an update visits all of them: that is so when the batch has
many non-zeros for the number of columns (see `reach`). All columns are also brought up to date when there is no room to
note the rate of another update. Both depend on the batch and on the number of updates alone.

`memory.seen` holds the number of the update up to which each column is caught up; in the unfinished batch's columns it is one
more, the update that they are waiting for. The update up to which all are is `memory.clock[2]`.
"""

from __future__ import annotations

import math

import numpy as np

from fallline.kernels.blocks import accumulate, bounds, gather, score
from fallline.kernels.chunk import CHUNK, FOLD, losses_and_slopes, room_for
from fallline.kernels.compile import inlined, kernel
from fallline.kernels.verbs import average, catch_up, prepare, rate, reach, step

__all__ = ["settle_lazy", "sweep_lazy"]


@kernel
def sweep_lazy(block, memory, descent, rate_factor, last, loss_sum):
    """Make every update that the block completes; see `sweep`."""
    rows, batch_size, clock = len(block.rows), descent.batch_size, memory.clock
    weights, gradient = memory.weights, memory.gradient
    room = room_for(weights.shape[0], block.y.shape[1], weights.dtype)
    norm, eta, finite = math.nan, math.nan, True
    start = 0
    while start < rows:
        pending = clock[0]
        count = min(CHUNK, rows - start, batch_size - pending, FOLD - pending % FOLD)
        _touch(block, start, count, memory, descent)
        gather(block, start, count, room.targets, room.weight)
        score(block, start, count, weights, room.scores, False)
        loss_sum = losses_and_slopes(descent.loss, count, room, loss_sum)
        finite = math.isfinite(loss_sum)
        if not finite:
            break
        accumulate(block, start, count, room.slopes, gradient)
        pending += count
        start += count
        clock[0] = pending
        if pending == batch_size or (last and start == rows):
            eta = rate_factor * rate(descent.schedule, clock[1] + 1)
            if pending > FOLD:
                _unfold(memory)
            if rows - start < batch_size:
                norm = math.sqrt(_sum_of_squares(memory)) / pending
            _update(memory, descent, eta)
        elif pending % FOLD == 0:
            _fold(memory)
    return loss_sum, start, norm, eta, finite


@kernel
def settle_lazy(memory, descent):
    """Catch up with every column."""
    _settle(memory, descent)


@inlined
def _touch(block, start, rows, memory, descent):
    """Catch up with the columns of some rows, and list those that are new in their batch."""
    clock, seen, touched = memory.clock, memory.seen, memory.touched
    updates, many = clock[1], clock[3]
    for i in range(rows):
        begin, end = bounds(block, block.rows[start + i])
        clock[4] += end - begin
        for place in range(begin, end):
            j = block.indices[place]
            if seen[j] <= updates:
                _catch_up(memory, descent, j, updates)
                seen[j] = updates + 1
                touched[many] = j
                many += 1
    clock[3] = many


@inlined
def _update(memory, descent, eta):
    """(2) of `sweep` in the columns that have been touched, or in all of them."""
    clock, weights = memory.clock, memory.weights
    intercept, rows = weights.shape[1] - 1, clock[0]
    everywhere = clock[4] * reach(descent.optimizer, descent.penalty) >= intercept
    if everywhere or clock[1] - clock[2] == memory.common.size:
        _settle(memory, descent)
    memory.common[clock[1] - clock[2]] = eta
    clock[1] += 1
    prepared = prepare(descent.optimizer, clock[1])
    if everywhere:
        _step_everywhere(memory, descent, prepared, rows, eta)
        clock[2] = clock[1]
    else:
        _step_touched(memory, descent, prepared, rows, eta)
    for k in range(weights.shape[0]):
        if descent.fit_intercept:
            _step(memory, descent, prepared, k, intercept, rows, eta, descent.unpenalised)
        memory.gradient[k, intercept] = 0.0
        _average(memory, descent, clock[1], k, intercept)
    clock[0] = clock[3] = clock[4] = 0


@inlined
def _step_everywhere(memory, descent, prepared, rows, eta):
    columns = memory.weights.shape[1] - 1
    for k in range(memory.weights.shape[0]):
        for j in range(columns):
            _step(memory, descent, prepared, k, j, rows, eta, descent.penalty)
    average(descent.averaging, memory.clock[1], memory.weights[:, :columns], memory.mean[:, :columns])


@inlined
def _step_touched(memory, descent, prepared, rows, eta):
    for i in range(memory.clock[3]):
        for k in range(memory.weights.shape[0]):
            _step(memory, descent, prepared, k, memory.touched[i], rows, eta, descent.penalty)
            _average(memory, descent, memory.clock[1], k, memory.touched[i])


@inlined
def _step(memory, descent, prepared, k, j, rows, eta, penalty):
    g = memory.gradient[k, j] * (1.0 / rows)
    step(descent.optimizer, prepared, k, j, memory.weights, g, memory.slots, penalty, eta)
    memory.gradient[k, j] = 0.0


@inlined
def _average(memory, descent, update, k, j):
    average(
        descent.averaging, update, memory.weights[k : k + 1, j : j + 1], memory.mean[k : k + 1, j : j + 1]
    )


@inlined
def _settle(memory, descent):
    if memory.clock[2] < memory.clock[1]:
        for j in range(memory.weights.shape[1] - 1):
            _catch_up(memory, descent, j, memory.clock[1])
        memory.clock[2] = memory.clock[1]


@inlined
def _catch_up(memory, descent, j, to):
    """Make up for the updates that a column missed, up to number `to`; one by one where each has its part in an average."""
    settled = memory.clock[2]
    since = max(memory.seen[j], settled)
    stride = 1 if memory.mean.size else to - since
    for k in range(memory.weights.shape[0]):
        if since >= to or _at_rest(memory, k, j):
            continue
        for update in range(since, to, stride):
            rates = memory.common[update - settled : update - settled + stride]
            catch_up(descent.optimizer, update + 1, rates, k, j, memory.weights, memory.slots, descent.penalty)
            _average(memory, descent, update + 1, k, j)


@inlined
def _at_rest(memory, k, j):
    """Whether nothing would move a weight without a gradient: it is zero, and all that is remembered of it."""
    moving = memory.weights[k, j] != 0.0 or (memory.mean.size > 0 and memory.mean[k, j] != 0.0)
    for slot in range(memory.slots.shape[0]):
        moving = moving or memory.slots[slot, k, j] != 0.0
    return not moving


@inlined
def _fold(memory):
    """Move the sum since the last fold into float64."""
    for k in range(memory.folded.shape[0]):
        for i in range(memory.clock[3] + 1):
            j = _listed(memory, i)
            memory.folded[k, j] += memory.gradient[k, j]
            memory.gradient[k, j] = 0.0


@inlined
def _unfold(memory):
    """Bring the whole sum back."""
    for k in range(memory.folded.shape[0]):
        for i in range(memory.clock[3] + 1):
            j = _listed(memory, i)
            memory.gradient[k, j] = memory.gradient[k, j] + memory.folded[k, j]
            memory.folded[k, j] = 0.0


@inlined
def _sum_of_squares(memory):
    total = 0.0
    for k in range(memory.gradient.shape[0]):
        for i in range(memory.clock[3] + 1):
            g = np.float64(memory.gradient[k, _listed(memory, i)])
            total += g * g
    return total


@inlined
def _listed(memory, i):
    """The column at a place in the list, which ends with the intercept's."""
    return (
        memory.touched[i] if i < memory.clock[3] else memory.touched.dtype.type(memory.weights.shape[1] - 1)
    )
