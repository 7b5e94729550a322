"""Rows ready to be trained on: read, encoded, and kept in the cache or in memory."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

import fallline
from fallline.data.ahead import THREADS, mapped_ahead
from fallline.data.budget import Budget
from fallline.data.cache import Cache, Gathered, cache_key, default_folder, find, write
from fallline.data.cache.shuffle import cut
from fallline.data.encoder import Encoder, Plan, fit
from fallline.data.encoder.batch import at, without_missing_target
from fallline.data.further import warn_of_skipped
from fallline.data.kept import KeptBatches
from fallline.data.part import Part
from fallline.data.rows import ArraySource, DenseRows, Rows, SparseRows, TrainingSource
from fallline.data.sources.base import Batch, Source
from fallline.data.sources.formats import BATCH_BYTES
from fallline.data.sources.joined import JoinedSource
from fallline.data.windows import WindowSource
from fallline.errors import FalllineWarning, InputError, TargetError
from fallline.objective.domains import Domain

__all__ = ["Prepared", "Preparing", "encoded", "prepare"]

# Where rows are gathered, how much more than expected they may take: of what is not used, the system gives no memory.
_ROOM, _MORE_ROOM = 1.02, 2**16


class Preparing(NamedTuple):
    """How rows are to be prepared.

    Parameters
    ----------
    budget : Budget
        How much memory may be used.
    folder : Path or None
        Where the cache is kept; None to keep none.
    standardise_target : bool
        Whether numbers to predict are brought to mean 0 and standard deviation 1.
    domain : Domain
        What the targets may be.
    loss : str
        The name of the loss whose domain that is, for messages.
    tell : callable
        Told the share of the work that is done, and what is being done.
    in_memory : bool
        Whether rows in a file are taken into memory, too, if they fit.
    """

    budget: Budget
    folder: Path | None
    standardise_target: bool
    domain: Domain
    loss: str
    tell: Callable[[float, str], None]
    in_memory: bool = True


@dataclass
class Prepared:
    """Encoded rows, wherever they are: shuffled once, in blocks that are the same in memory and in a file.

    Attributes
    ----------
    encoder : Encoder
        What encoded them.
    block_rows : ndarray of shape (blocks,), int64
        Rows of each block.
    rows : DenseRows, SparseRows or None
        All of them, where they fit in memory.
    cache : Cache or None
        The file that holds them, where there is one.
    found : bool
        Whether that was there already.
    key : str
        Of the data, and of all that determines how they are encoded.
    seconds : dict of float
        How long "reading", to learn what the columns hold, and "encoding" took.
    """

    encoder: Encoder
    block_rows: np.ndarray
    rows: Rows | None
    cache: Cache | None = None
    found: bool = False
    key: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def cached(
        cls,
        encoder: Encoder,
        cache: Cache,
        how: Preparing,
        *,
        found: bool = False,
        gathered: Rows | None = None,
    ) -> Prepared:
        """Those of a cache, in memory too if they are to be and fit: as they were gathered there already, or read."""
        rows = None
        if how.in_memory and how.budget.holds(cache.nbytes):
            rows = cache.read() if gathered is None else gathered
        return cls(encoder, cache.rows, rows, cache, found, cache.key)

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return int(self.block_rows.sum())

    @property
    def nbytes(self) -> int:
        """Bytes that they take in memory."""
        held = self.cache if self.rows is None else self.rows
        assert held is not None  # noqa: S101 (they are in memory or in a file)
        return held.nbytes

    def source(self, part: Part, budget: Budget) -> TrainingSource:
        """A part of the rows, to train or to measure on."""
        if self.cache is not None and self.rows is None:
            return WindowSource(self.cache, budget.window_bytes, part)
        assert self.rows is not None  # noqa: S101 (they are in memory or in a file)
        subset = part.numbers(self.block_rows) if part.fraction else None
        return ArraySource(self.rows, subset=subset, columns=self.encoder.feature_names, shuffled=True)


def prepare(source: Source, plan: Plan, how: Preparing) -> Prepared:
    """Learn what the columns hold and encode the rows; or find them in the cache.

    Raises
    ------
    InputError
        If the data cannot be used: the message says where, and what to do.
    CacheError
        If encoded rows cannot be written.
    """
    folder = how.folder if isinstance(source, JoinedSource) else None
    key = cache_key(
        fallline.__version__,
        source.fingerprint,
        plan.to_json(),
        f"{how.standardise_target}",
        how.domain.wanted,
    )
    cache = None if folder is None else find(folder, key)
    if cache is not None:
        encoder = Encoder.from_tensors(cache.tensors, cache.header["encoder"])
        return Prepared.cached(encoder, cache, how, found=True)
    columns = len(plan.features())
    how = how._replace(budget=how.budget.reading(source, columns))
    _warn_of_columns(source, columns, how.budget)
    began = time.perf_counter()
    # What is in memory already need not be kept.
    room = how.budget.spare(BATCH_BYTES) // 2 if isinstance(source, JoinedSource) else 0
    kept = KeptBatches(room, source.size)
    encoder = fit(
        plan,
        source,
        standardise_target=how.standardise_target,
        in_flight=how.budget.in_flight(BATCH_BYTES),
        threads=THREADS,
        progress=lambda done, size: how.tell(0.5 * done / max(size, 1), "reading: what the columns hold"),
        keep=kept.add,
    )
    reading = time.perf_counter() - began
    second = how._replace(folder=folder, tell=lambda share, what: how.tell(0.5 + share / 2, what))
    chunks = _chunks(source, encoder, second, kept=kept)
    prepared = _written(chunks, encoder, second, key, encoder.counts.used, kept.nbytes)
    prepared.key = key
    prepared.seconds = {"reading": reading, "encoding": time.perf_counter() - began - reading}
    return prepared


def _warn_of_columns(source, n, budget):
    """Say so if the columns alone take more memory than is left beside the least of batches and buffers."""
    if budget.beside and budget.lacks(BATCH_BYTES):
        warnings.warn(
            f"{source.name!r} has {n:,} columns, for which reading takes up to {budget.beside / 1e6:,.0f} MB, however few "
            f"rows are read at a time. That may be more than the {budget.total / 1e6:,.0f} MB asked for: raise "
            "--memory, or --ignore columns.",
            FalllineWarning,
            stacklevel=3,
        )


def encoded(source: Source, encoder: Encoder, how: Preparing) -> Prepared:
    """Encode other rows with an encoder that is there. Rows of classes that it does not know are left out, with a warning.

    Raises
    ------
    InputError
        If they cannot be encoded, or none is left.
    """
    how = how._replace(budget=how.budget.reading(source, len(encoder.reads)))
    left_out = 0

    def known(chunks):
        nonlocal left_out
        for rows in chunks:
            unknown = np.isnan(rows.y[:, 0])
            left_out += int(unknown.sum())
            yield rows.take(np.flatnonzero(~unknown)) if unknown.any() else rows

    chunks = known(_chunks(source, encoder, how, unseen="nan"))
    prepared = _written(
        chunks, encoder, how._replace(folder=None), cache_key(source.fingerprint), source.n_rows
    )
    if left_out:
        warnings.warn(
            f"{left_out:,} rows of {source.name!r} were left out: their classes are not among those trained on.",
            FalllineWarning,
            stacklevel=2,
        )
    return prepared


def _written(chunks, encoder, how, key, most, kept=0):
    """Encoded rows in memory, where no folder is given and so many fit; otherwise, and if it is not known how many, in a file."""
    expected = int(encoder.bytes_a_row * (most or 0))
    if how.folder is None and most is not None and how.budget.holds(expected):
        return _gathered(chunks, encoder, most)
    gathered = _room_for(encoder, how, most, kept)
    tensors, document = encoder.to_tensors()
    cache = write(
        how.folder or default_folder(),
        key,
        chunks,
        header={"encoder": document},
        tensors=tensors,
        expected_bytes=expected,
        temporary=how.folder is None,
        gathered=gathered,
    )
    return Prepared.cached(encoder, cache, how, gathered=None if gathered is None else gathered.rows())


def _room_for(encoder, how, most, kept):
    """Where to gather rows that are written to a file, too, beside so many bytes of batches; None where they do not fit."""
    room = int(_ROOM * encoder.bytes_a_row * (most or 0)) + _MORE_ROOM
    fits = how.budget.holds(room) and room + kept <= how.budget.spare(BATCH_BYTES)
    return Gathered(most, room) if how.in_memory and most is not None and fits else None


def _chunks(
    source: Source,
    encoder: Encoder,
    how: Preparing,
    unseen: str = "error",
    kept: KeptBatches | None = None,
) -> Iterator[Rows]:
    """The encoded rows, in order; of the batches that were kept, if all were."""
    in_flight = how.budget.in_flight(BATCH_BYTES)
    if kept is not None and kept.complete:
        stream = kept.batches(encoder.reads)
    else:
        stream = source.batches(encoder.reads, in_flight=in_flight)

    def encode(batch):
        rows = encoder.encode(batch, unseen=unseen)
        _require_in_domain(rows.y[:, 0], batch, encoder.target.name, how)
        return batch, rows

    total, weight, skipped = 0, 0.0, []
    with (
        closing(stream) as batches,
        closing(mapped_ahead(encode, batches, THREADS, in_flight)) as ahead,
    ):
        for batch, rows in ahead:
            total += rows.n_rows
            weight += float(rows.weight.sum())
            skipped += batch.skipped
            how.tell(batch.done / max(source.size, 1), f"encoding: {total:,} rows")
            yield rows
    source.require_unchanged()  # also where batches were kept, and so the end of the files lies further back
    if total and not weight:
        raise InputError(
            f"The weight {encoder.plan.weight!r} is 0 in every row, so none counts. Check the column."
        )
    warn_of_skipped(skipped)


def _require_in_domain(y: np.ndarray, batch: Batch, target: str, how: Preparing) -> None:
    """Raise `TargetError`, with file and row, for the first target that the loss cannot take."""
    outside = y < how.domain.lowest
    if not outside.any():
        return
    place = int(np.argmax(outside))
    _, kept = without_missing_target(batch, target)
    raise TargetError(
        f"{at(batch, place if kept is None else kept[place])}: the target {target!r} is {y[place]:g}, but loss={how.loss!r} "
        f"takes {how.domain.wanted}. Correct it, or choose a loss for targets of any sign, such as 'squared_error'."
    )


def _gathered(chunks, encoder, most):
    """All rows in memory, shuffled as in a file."""
    sizes: list[int] = []
    shuffled = _counted(cut(chunks), sizes)
    first = next(shuffled, None)
    if first is None:
        raise InputError("No row has a target that is known. Check the data and the target's column.")
    if isinstance(first, SparseRows):
        rows: Rows = SparseRows.concatenate([first, *shuffled])
    else:
        rows = _in_one_piece(chain([first], shuffled), first, most)
    return Prepared(encoder, np.array(sizes, np.int64), rows)


def _counted(blocks, sizes):
    """The blocks that hold rows; how many goes into a list."""
    for rows in blocks:
        if rows.n_rows:
            sizes.append(rows.n_rows)
            yield rows


def _in_one_piece(blocks, like, most):
    """Dense rows, put where they stay as they come, so that there is one copy only."""
    out = DenseRows(*(np.empty((most, *array.shape[1:]), array.dtype) for array in like))
    start = 0
    for rows in blocks:
        for whole, part in zip(out, rows, strict=True):
            whole[start : start + rows.n_rows] = part
        start += rows.n_rows
    return DenseRows(*(array[:start] for array in out))
