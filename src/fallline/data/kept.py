"""The batches of one pass, kept for the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence

from fallline.data.sources.base import Batch

__all__ = ["KeptBatches"]

# Rows are more alike than this: where the first batches tell that all would take so many times the room, keeping more is vain.
_CLEARLY = 2


class KeptBatches:
    """Batches of a source as they were parsed, if all of them fit in so many bytes; otherwise none.

    Parameters
    ----------
    room : int
        Bytes that they may take.
    size : int
        `Source.size`, by which is told early how much all would take.

    Attributes
    ----------
    nbytes : int
        What they take.
    """

    def __init__(self, room: int, size: int):
        self._room = room
        self._size = size
        self._batches: deque[Batch] | None = deque()
        self.nbytes = 0

    def add(self, batch: Batch) -> None:
        """Keep the batch that follows; or give all up, where they do not fit."""
        if self._batches is None:
            return
        self._batches.append(batch)
        self.nbytes += batch.rows.get_total_buffer_size()
        expected = self.nbytes * max(self._size / max(batch.done, 1), 1)
        if self.nbytes > self._room or expected > _CLEARLY * self._room:
            self._batches, self.nbytes = None, 0

    @property
    def complete(self) -> bool:
        """Whether all batches that came are here."""
        return self._batches is not None

    def batches(self, columns: Sequence[str]) -> Generator[Batch, None, None]:
        """Every batch in order, with these columns, and forgotten as it goes: it can be done once."""
        while self._batches:
            batch = self._batches.popleft()
            yield batch._replace(rows=batch.rows.select(columns))
