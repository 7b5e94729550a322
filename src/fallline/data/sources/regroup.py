"""Batches of one size from batches of any sizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

__all__ = ["regrouped"]


def regrouped(batches: Iterable[pa.RecordBatch], n: int, skip: int = 0) -> Iterator[pa.RecordBatch]:
    """The same rows, without the first few, in batches of `n`; the last may be shorter.

    Batches that are larger are cut without copying, smaller ones are copied together.
    """
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        rest = batch.slice(min(skip, batch.num_rows))
        skip -= batch.num_rows - rest.num_rows
        while rows + rest.num_rows >= n:
            held.append(rest.slice(0, n - rows))
            rest = rest.slice(n - rows)
            yield _together(held)
            held, rows = [], 0
        if rest.num_rows:
            held.append(rest)
            rows += rest.num_rows
    if held:
        yield _together(held)


def _together(batches):
    batches = [batch for batch in batches if batch.num_rows]
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)
