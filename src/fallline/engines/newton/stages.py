"""The stages of a run, and what each does with rows.

::

    "first rows" ──▶ "choose" ──▶ "grow" ──▶ ... ──▶ "pass" ──▶ "pass" ──▶ ...
    coordinates,     among the    sums of a          all rows: losses along
    intercepts,      proposals,   batch, then        a line, and slopes and
    first batch      on fresh     proposals          curvature at its end
                     rows

Few rows go from the first stage to full passes at once. "sorted" lets the rest of a first pass go by that was given up, and
"look" asks a single full pass how good given weights are.
"""

from __future__ import annotations

import math

from fallline.engines.newton import first_pass, first_rows, full_passes
from fallline.engines.newton.batch import Batch
from fallline.engines.newton.sizes import chunk_size, first_batch
from fallline.kernels.blocks import Block
from fallline.kernels.sweep import Sums

__all__ = ["take"]


def take(batch: Batch, block: Block, last: bool) -> Sums:
    """Use the rows of a block, now or when enough of them are there."""
    note, place, rows = batch.note, 0, len(block.rows)
    while place < rows:
        count = min(_wanted(batch) - note["filled"], rows - place)
        if not batch.fill(block, place, count):
            return Sums(batch.loss_sum, place, math.nan, math.nan, finite=False)
        place += count
        note["filled"] += count
        if note["filled"] == _wanted(batch):
            _use(batch)
    batch.memory.clock[0] = 0 if last else note["taken"] + note["filled"]
    finite = not note["beyond"]
    return Sums(batch.loss_sum, rows + batch.visits, batch.gradient_norm(), note["step"], finite)


def _wanted(batch):
    """How many rows have to be there before something is done with them."""
    capacity, note = len(batch.memory.rows), batch.note
    match note["stage"]:
        case "first rows" | "look":
            return min(first_batch(batch.size), batch.n)
        case "choose":
            return min(note["batch"], capacity)
    chunk = chunk_size(batch.memory.rows.shape[1])
    return min(capacity // chunk * chunk, note["batch"] - note["taken"])


def _use(batch):
    """Do what the rows that wait were waited for."""
    note, count = batch.note, batch.note["filled"]
    match note["stage"]:
        case "first rows" | "look":
            first_rows.begin(batch, count)
        case "choose":
            first_pass.choose(batch, count)
        case "grow":
            first_pass.grow(batch, count)
        case "sorted":
            first_pass.let_go_by(batch, count)
        case "pass":
            full_passes.take_in(batch, count)
    note["filled"] = 0
