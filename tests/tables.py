"""A table in memory as a source, cut into batches of any size."""

from __future__ import annotations

import pyarrow as pa

from fallline.data.sources.base import Batch, Cursor, Source

FIRST = Cursor()


class TableSource(Source):
    """Rows of an Arrow table, `size` a batch."""

    def __init__(self, table, size=1000, name="table"):
        self.name, self.schema, self.size, self.n_rows = name, table.schema, table.nbytes, len(table)
        self._table, self._rows = table, size

    @property
    def fingerprint(self):
        return "0"

    def batches(self, columns=None, start=FIRST, in_flight=4):
        table = self._table.select(columns) if columns is not None else self._table
        for first in range(start.row, len(table), self._rows):
            part = table.slice(first, self._rows).combine_chunks()
            rows = pa.RecordBatch.from_arrays(
                [column.combine_chunks() for column in part.columns], schema=table.schema
            )
            yield Batch(rows, self.name, first + 1, Cursor(0, 0, first + len(rows)), first + len(rows))

    def sample(self):
        return self._table.slice(0, 2000)


def batch_of(table, name="table"):
    """A whole table as one batch."""
    return next(iter(TableSource(table, max(len(table), 1), name).batches()))
