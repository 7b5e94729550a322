"""Sums over rows at a fixed model, for `engines.saga`: how far kept slopes are from fitting it, and its gradient."""

from __future__ import annotations

import math

from fallline.kernels.compile import kernel
from fallline.kernels.implicit import bend, settle
from fallline.kernels.saga_rows import fetch, finite, recall, score, spread, targets_of, work_for
from fallline.kernels.verbs import differentiate

__all__ = ["sum_slack", "sum_slopes"]


@kernel
def sum_slack(block, numbers, firm, walk, memory, loss_sum):
    """At the centre, add to `memory.sums[0]` by how much kept slopes fail to fit: n S of (9); to the last of sums, null losses.

    A conjugate is a supremum over scores. It is where the loss has the slope that is kept; `settle` finds that score, if it
    must not change the slope by more than a trifle.

    Parameters
    ----------
    block : Block
    numbers : ndarray of int
        By which the table knows its rows.
    firm : float
        By how much a score moves for a slope that changes by 1: as much as makes the change a trifle.
    walk : Walk
    memory : SagaMemory
    loss_sum : float

    Returns
    -------
    loss_sum : float
        With the rows' weight times loss added; not finite if a score is not.
    """
    outputs, table = memory.point.shape[1], memory.table
    work = work_for(block, outputs)
    for i in range(len(block.rows)):
        row, number = block.rows[i], numbers[i]
        weight = targets_of(block, row, work)
        score(block, row, memory.centre, memory.columns, work.found)
        recall(work)
        differentiate(walk.loss, 1, work.scores, work.targets, work.values, work.steep)
        here = weight * work.values[0, 0]
        loss_sum += here
        if not finite(work.found, loss_sum):
            return math.nan
        recall(work)
        for k in range(outputs):
            work.slopes[k, 0] = table[number, k]
        settle(walk.loss, firm, weight, work.scores, work.targets, work.slopes)
        along = 0.0
        for k in range(outputs):
            away = firm * (work.slopes[k, 0] - table[number, k])
            work.scores[k, 0] = work.found[k, 0] - away
            along += table[number, k] * away
        differentiate(walk.loss, 1, work.scores, work.targets, work.values, work.steep)
        memory.sums[0] += max(here - weight * work.values[0, 0] - along, 0.0)
        for k in range(outputs):
            work.scores[k, 0] = memory.null[0, k]
        differentiate(walk.loss, 1, work.scores, work.targets, work.values, work.steep)
        memory.sums[8] += weight * work.values[0, 0]
        memory.sums[9] += 1.0
        fetch(block, i)
    return loss_sum


@kernel
def sum_slopes(block, walk, memory, loss_sum, curved):
    """At the model tried, add slopes times columns to `memory.gradient`, and if asked, curvatures times squares to `curved`."""
    outputs = memory.point.shape[1]
    work = work_for(block, outputs)
    for i in range(len(block.rows)):
        row = block.rows[i]
        weight = targets_of(block, row, work)
        score(block, row, memory.point, memory.columns, work.found)
        recall(work)
        differentiate(walk.loss, 1, work.scores, work.targets, work.values, work.slopes)
        loss_sum += weight * work.values[0, 0]
        if not finite(work.found, loss_sum):
            return math.nan
        for k in range(outputs):
            work.slopes[k, 0] *= weight
        spread(block, row, memory.columns, work.slopes, memory.gradient, False)
        if curved:
            recall(work)
            bend(walk.loss, work.scores, work.targets, work.slopes)
            for k in range(outputs):
                work.slopes[k, 0] *= weight
            spread(block, row, memory.columns, work.slopes, memory.curved, True)
        fetch(block, i)
    return loss_sum
