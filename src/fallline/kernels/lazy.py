"""Updates on sparse rows by any optimizer, at the cost of the columns that the batch's rows hold.

The others are left behind, and each is caught up with (`catch_up`) when a row holds it next. An update is then that of `sweep`
for the columns of its batch, which are listed in `memory.touched` as their rows come.

Where catching up would cost more than to visit all columns, an update visits all of them: that is so when the batch has
many non-zeros for the number of columns (see `reach`). As soon as that is known of a batch, and the update before visited all
of them too, its columns need not be listed any more: `memory.clock[3]`, their number, is then `_ALL`. All columns are also
brought up to date when there is no room to note the rate of another update. All this depends on the rows of the batch and on
the number of updates alone.

The gradient is summed in `memory.folded`, in float64, whatever the data's type: to fold sums of all columns every so many rows
would cost more than the rows.

`memory.seen` holds the number of the update up to which each column is caught up; in the unfinished batch's columns it is one
more, the update that they are waiting for. The update up to which all are is `memory.clock[2]`.
"""

from __future__ import annotations

import math

import numpy as np

from fallline.kernels.blocks import accumulate, bounds, gather, score
from fallline.kernels.chunk import CHUNK, losses_and_slopes, room_for
from fallline.kernels.compile import inlined, kernel
from fallline.kernels.verbs import average, catch_up, prepare, reach, step

__all__ = ["settle_lazy", "sweep_lazy"]

# What takes the place of `reach` where every update has its part in an average.
_ONE_BY_ONE = 64
_ALL = -1


@kernel
def sweep_lazy(block, memory, descent, rates, last, loss_sum):
    """Make every update that the block completes; see `sweep`."""
    rows, batch_size, clock = len(block.rows), descent.batch_size, memory.clock
    weights, gradient = memory.weights, memory.folded
    room = room_for(weights.shape[0], block.y.shape[1], weights.dtype)
    norm, eta, finite = math.nan, math.nan, True
    start, before = 0, clock[1]
    while start < rows:
        pending = clock[0]
        count = min(CHUNK, rows - start, batch_size - pending)
        _touch(block, start, count, memory, descent.rule)
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
            eta = rates[clock[1] - before]
            if rows - start < batch_size:
                norm = math.sqrt(_sum_of_squares(memory)) / pending
            _update(memory, descent.rule, eta)
    return loss_sum, start, norm, eta, finite


@kernel
def settle_lazy(memory, rule):
    """Catch up with every column."""
    _settle(memory, rule)


# In what follows arrays are taken out of the memory before loops begin: each time it is asked for one, Numba counts references.


@inlined
def _touch(block, start, rows, memory, rule):
    """List the columns of some rows that are new in their batch, and catch up with them."""
    clock, seen, touched, indices = memory.clock, memory.seen, memory.touched, block.indices
    if clock[3] == _ALL:
        return
    first = many = clock[3]
    for i in range(rows):
        begin, end = bounds(block, block.rows[start + i])
        clock[4] += end - begin
        for place in range(begin, end):
            j = indices[place]
            if 0 <= seen[j] <= clock[1]:
                # Below zero until it is caught up with.
                seen[j] = -1 - seen[j]
                touched[many] = j
                many += 1
    _catch_up(memory, rule, first, many, False)
    for i in range(first, many):
        seen[touched[i]] = clock[1] + 1
    clock[3] = _ALL if clock[2] == clock[1] and _is_of_all(memory, rule) else many


@inlined
def _is_of_all(memory, rule):
    """Whether the update of the batch is to visit all columns, by the rows that it has so far."""
    cost = _ONE_BY_ONE if memory.mean.size else reach(rule.optimizer, rule.penalty)
    return memory.clock[4] * cost >= memory.seen.size


@inlined
def _update(memory, rule, eta):
    """(2) of `sweep` in the columns that have been touched, or in all of them."""
    clock, rows, intercept = memory.clock, memory.clock[0], memory.weights.shape[1] - 1
    everywhere = _is_of_all(memory, rule)
    if (everywhere and clock[2] < clock[1]) or clock[1] - clock[2] == memory.common.size:
        _settle(memory, rule)
    memory.common[clock[1] - clock[2]] = eta
    clock[1] += 1
    prepared = prepare(rule.optimizer, clock[1])
    if everywhere:
        _step_everywhere(memory, rule, prepared, rows, eta)
        clock[2] = clock[1]
    else:
        _step_touched(memory, rule, prepared, rows, eta)
    gradient, weights, mean = memory.folded, memory.weights, memory.mean
    for k in range(weights.shape[0]):
        g = gradient[k, intercept] * (1.0 / rows)
        if rule.fit_intercept:
            step(rule.optimizer, prepared, k, intercept, weights, g, memory.slots, rule.unpenalised, eta)
        gradient[k, intercept] = 0.0
        if mean.size:
            _average(rule.averaging, clock[1], k, intercept, weights, mean)
    clock[0] = clock[3] = clock[4] = 0


@inlined
def _step_everywhere(memory, rule, prepared, rows, eta):
    weights, gradient, slots, columns = (
        memory.weights,
        memory.folded,
        memory.slots,
        memory.weights.shape[1] - 1,
    )
    for k in range(weights.shape[0]):
        for j in range(columns):
            g = gradient[k, j] * (1.0 / rows)
            step(rule.optimizer, prepared, k, j, weights, g, slots, rule.penalty, eta)
            gradient[k, j] = 0.0
    average(rule.averaging, memory.clock[1], weights[:, :columns], memory.mean[:, :columns])


@inlined
def _step_touched(memory, rule, prepared, rows, eta):
    weights, gradient, slots, touched, mean = (
        memory.weights,
        memory.folded,
        memory.slots,
        memory.touched,
        memory.mean,
    )
    for k in range(weights.shape[0]):
        for i in range(memory.clock[3]):
            j = touched[i]
            g = gradient[k, j] * (1.0 / rows)
            step(rule.optimizer, prepared, k, j, weights, g, slots, rule.penalty, eta)
            gradient[k, j] = 0.0
            if mean.size:
                _average(rule.averaging, memory.clock[1], k, j, weights, mean)


@inlined
def _average(averaging, update, k, j, weights, mean):
    average(averaging, update, weights[k : k + 1, j : j + 1], mean[k : k + 1, j : j + 1])


@inlined
def _settle(memory, rule):
    _catch_up(memory, rule, 0, memory.seen.size, True)
    memory.clock[2] = memory.clock[1]


@inlined
def _catch_up(memory, rule, first, last, everywhere):
    """Make up for the updates that some columns missed, all or listed ones; one by one where each has its part in an average."""
    touched, seen, rates, weights, slots, mean = (
        memory.touched,
        memory.seen,
        memory.common,
        memory.weights,
        memory.slots,
        memory.mean,
    )
    updates, settled = memory.clock[1], memory.clock[2]
    for i in range(first, last):
        j = np.uint64(i) if everywhere else touched[i]
        since = max(seen[j], -1 - seen[j], settled)
        stride = 1 if mean.size else max(updates - since, 1)
        for k in range(weights.shape[0]):
            # At rest is what is zero, with nothing remembered of it.
            moving = weights[k, j] != 0.0 or (mean.size > 0 and mean[k, j] != 0.0)
            for slot in range(slots.shape[0]):
                moving = moving or slots[slot, k, j] != 0.0
            if moving:
                for update in range(since, updates, stride):
                    missed = rates[update - settled : update - settled + stride]
                    catch_up(rule.optimizer, update + 1, missed, k, j, weights, slots, rule.penalty)
                    if mean.size:
                        _average(rule.averaging, update + 1, k, j, weights, mean)


@inlined
def _listed(memory):
    """Whether the batch's columns are listed, and how many of them there are as far as is known."""
    if memory.clock[3] == _ALL:
        return False, memory.seen.size
    return True, memory.clock[3]


@inlined
def _column(touched, listed, many, i, intercept):
    """The column at a place among those of `_listed`; after the last, the intercept."""
    if i == many:
        return np.uint64(intercept)
    return touched[i] if listed else np.uint64(i)


@inlined
def _sum_of_squares(memory):
    gradient, touched, intercept = memory.folded, memory.touched, memory.seen.size
    listed, many = _listed(memory)
    total = 0.0
    for k in range(gradient.shape[0]):
        for i in range(many + 1):
            j = _column(touched, listed, many, i, intercept)
            total += gradient[k, j] * gradient[k, j]
    return total
