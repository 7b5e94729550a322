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
from fallline.engines.newton.batch import BadRowsError, Batch
from fallline.engines.newton.sizes import chunk_size, chunks_together, first_batch
from fallline.kernels.sweep import Sums

__all__ = ["take"]


def take(batch: Batch, last: bool) -> Sums:
    """Use the rows of a block: at once, or when enough of them are there."""
    note, place, rows = batch.note, 0, len(batch.block.rows)
    try:
        while place < rows:
            if count := _at_once(batch, rows - place):
                _use(batch, count, place)
                place += count
                continue
            enough = min(_enough(batch), note["filled"] + rows - place)
            batch.fill(place, enough)
            place += enough - note["filled"]
            note["filled"] = enough
            if note["filled"] == _enough(batch):
                _use(batch, note["filled"])
                note["filled"] = 0
    except BadRowsError:
        return Sums(batch.loss_sum, place, math.nan, math.nan, finite=False)
    batch.memory.clock[0] = 0 if last else note["taken"] + note["filled"]
    finite = not note["beyond"]
    return Sums(batch.loss_sum, rows + batch.visits, batch.gradient_norm(), note["step"], finite)


def _at_once(batch, count):
    """How many of so many rows of the block need not wait for others: whole chunks, or what is left of the batch."""
    note, chunk = batch.note, chunk_size(batch.memory.rows.shape[1])
    if note["filled"] or note["stage"] not in {"grow", "pass"}:
        return 0
    left, most = note["batch"] - note["taken"], chunk * chunks_together(batch.memory.bent[0].size)
    return left if left <= min(count, most) else min(count // chunk * chunk, most)


def _enough(batch):
    """How many rows have to wait before something is done with them."""
    note = batch.note
    match note["stage"]:
        case "first rows" | "look":
            return min(first_batch(batch.size), batch.n)
        case "choose":
            return min(note["batch"], len(batch.memory.rows))
    return min(note["batch"] - note["taken"], chunk_size(batch.memory.rows.shape[1]))


def _use(batch, count, place=None):
    """Do what rows were waited for: so many of those that wait, or of the block from a place on."""
    match batch.note["stage"]:
        case "first rows" | "look":
            first_rows.begin(batch, count)
        case "choose":
            first_pass.choose(batch, count)
        case "grow":
            first_pass.grow(batch, count, place)
        case "sorted":
            first_pass.let_go_by(batch, count)
        case "pass":
            full_passes.take_in(batch, count, place)
