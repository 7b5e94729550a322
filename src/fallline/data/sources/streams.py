"""Data that are made anew each time they are asked for: the result of a query, say."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from fallline.data.sources.agree import part_of, plain_schema, under
from fallline.data.sources.base import Batch, Cursor, Source
from fallline.data.sources.formats import rows_a_batch
from fallline.data.sources.memory import checksum
from fallline.data.sources.regroup import regrouped
from fallline.errors import InputError

__all__ = ["StreamSource", "is_stream"]

SAMPLED_PLACES = 16
SAMPLED_A_PLACE = 256


def is_stream(data: Any) -> bool:
    """Whether it makes its rows when asked, and so should not be asked for all of them at once."""
    if isinstance(data, pa.RecordBatchReader):
        raise InputError(
            "A RecordBatchReader can be read only once, but training takes several passes. Use reader.read_all() if it fits in "
            "memory, or write it to a Parquet file."
        )
    in_memory = isinstance(data, (pa.Table, pa.ChunkedArray)) or type(data).__module__.split(".")[0] in {
        "pandas",
        "polars",
    }
    return hasattr(data, "__arrow_c_stream__") and not in_memory


class StreamSource(Source):
    """Whatever gives an Arrow C stream as often as it is asked: a DuckDB relation, say.

    It is read through once at the beginning, to know how much there is.

    Parameters
    ----------
    data : object with `__arrow_c_stream__`

    Raises
    ------
    InputError
        If there are no rows, or it cannot be read again.
    """

    name = "your data"
    n_rows: int

    def __init__(self, data: Any):
        self._data = data
        with self._opened() as reader:
            self.schema = plain_schema(reader.schema, self.name)
        self._sampled: list[pa.RecordBatch] = []
        self.n_rows = self.size = 0
        self._fingerprint = checksum(self.schema, self._surveyed())
        if self.n_rows == 0:
            raise InputError("Your data have columns but no rows. Check how they were selected.")
        self._step = rows_a_batch(self.size / self.n_rows)

    @property
    def fingerprint(self) -> str:
        """Of the schema and all values, and how they came."""
        return self._fingerprint

    def batches(
        self, columns: Sequence[str] | None = None, start: Cursor = Cursor(), in_flight: int = 4
    ) -> Generator[Batch, None, None]:
        """What the stream gives, in batches of one size; to go on from the middle, it is run again up to there."""
        columns = self.schema.names if columns is None else list(columns)
        wanted, at = part_of(self.schema, columns), start.offset
        with self._opened() as reader:
            for rows in regrouped((batch.select(columns) for batch in reader), self._step, at):
                first, at = at + 1, at + rows.num_rows
                done = self.size * at // self.n_rows
                yield Batch(under(rows, wanted), self.name, first, Cursor(0, at, at), min(done, self.size))
        if at != self.n_rows:
            raise InputError(
                f"Your data had {self.n_rows:,} rows when they were read first, and {at:,} now. Every pass has to give the same: "
                "write them to a Parquet file."
            )

    def sample(self) -> pa.Table:
        """Rows from up to 16 places."""
        return pa.Table.from_batches(self._sampled, self.schema)

    def _opened(self):
        try:
            return pa.RecordBatchReader.from_stream(self._data)
        except (pa.ArrowException, ValueError, RuntimeError) as error:
            raise InputError(
                f"A {type(self._data).__name__} cannot be read ({error}). If it can be read only once, write it to a Parquet "
                "file first: training takes several passes."
            ) from error

    def _surveyed(self):
        """Everything, once, counted on its way; every 1st, 2nd, 4th ... batch leaves some rows for the sample."""
        stride = 1
        with self._opened() as reader:
            for number, batch in enumerate(reader):
                rows = under(batch, self.schema)
                self.n_rows += rows.num_rows
                self.size += rows.nbytes
                if number % stride == 0:
                    self._sampled.append(_some(rows))
                if len(self._sampled) > SAMPLED_PLACES:
                    self._sampled, stride = self._sampled[::2], 2 * stride
                yield rows


def _some(rows):
    """A few rows, spread over a batch, copied."""
    places = np.linspace(0, max(0, rows.num_rows - 1), min(SAMPLED_A_PLACE, rows.num_rows))
    return rows.take(pa.array(places.astype(np.int64)))
