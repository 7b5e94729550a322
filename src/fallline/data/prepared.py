"""Rows ready to be trained on: read, encoded, and kept in the cache or in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fallline.data.ahead import THREADS, mapped_ahead
from fallline.data.budget import Budget
from fallline.data.cache import Cache, cache_key, default_folder, find, write
from fallline.data.encoder import Encoder, Plan, fit
from fallline.data.order import Order
from fallline.data.rows import ArraySource, DenseRows, Rows, SparseRows, TrainingSource
from fallline.data.sources.base import Source
from fallline.data.sources.formats import BATCH_BYTES
from fallline.data.sources.joined import JoinedSource
from fallline.data.windows import Part, WindowSource
from fallline.errors import TargetError
from fallline.objective.domains import Domain

__all__ = ["Prepared", "Preparing", "encoded", "prepare"]


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
    """

    budget: Budget
    folder: Path | None
    standardise_target: bool
    domain: Domain
    loss: str
    tell: Callable[[float, str], None]


@dataclass
class Prepared:
    """Encoded rows, wherever they are.

    Attributes
    ----------
    encoder : Encoder
        What encoded them.
    rows : DenseRows, SparseRows or None
        All of them, where they fit in memory.
    cache : Cache or None
        The file that holds them, where there is one.
    found : bool
        Whether that was there already.
    seconds : dict of float
        How long "reading", to learn what the columns hold, and "encoding" took.
    """

    encoder: Encoder
    rows: Rows | None
    cache: Cache | None = None
    found: bool = False
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return (self.cache or self.rows).n_rows  # type: ignore[union-attr]

    @property
    def nbytes(self) -> int:
        """Bytes that they take in memory."""
        return self.rows.nbytes if self.rows is not None else _bytes_in_memory(self.cache)

    def source(self, part: Part, budget: Budget) -> TrainingSource:
        """A part of the rows, to train or to measure on."""
        if self.rows is None:
            return WindowSource(self.cache, budget.window_bytes, part)
        subset = None
        if part.fraction:
            # Of rows that are in the order they came in, a random part; of shuffled ones, the same as in windows.
            subset = _drawn(part, self.rows.n_rows) if self.cache is None else part.numbers(self.cache.rows)
        return ArraySource(self.rows, subset=subset, columns=self.encoder.feature_names)


def prepare(source: Source, plan: Plan, how: Preparing) -> Prepared:
    """Learn what the columns hold and encode the rows; or find them in the cache.

    Raises
    ------
    InputError
        If the data cannot be used: the message says where, and what to do.
    CacheError
        If encoded rows cannot be written.
    """
    key = cache_key(source.fingerprint, plan.to_json(), f"{how.standardise_target}")
    if how.folder is not None and isinstance(source, JoinedSource):
        cache = find(how.folder, key)
        if cache is not None:
            encoder = Encoder.from_tensors(cache.tensors, cache.header["encoder"])
            return Prepared(encoder, _loaded(cache, how.budget), cache, found=True)
    began = time.perf_counter()
    encoder = fit(
        plan,
        source,
        standardise_target=how.standardise_target,
        in_flight=how.budget.in_flight(BATCH_BYTES),
        threads=THREADS,
        progress=lambda done, size: how.tell(0.5 * done / max(size, 1), "reading: what the columns hold"),
    )
    reading = time.perf_counter() - began
    prepared = encoded(source, encoder, how._replace(tell=lambda share, what: how.tell(0.5 + share / 2, what)), key)
    prepared.seconds = {"reading": reading, **prepared.seconds}
    return prepared


def encoded(source: Source, encoder: Encoder, how: Preparing, key: str = "") -> Prepared:
    """Encode a source's rows with an encoder that is there: into the cache if they come from files, otherwise into memory."""
    began = time.perf_counter()
    chunks = _chunks(source, encoder, how)
    expected = int(encoder.bytes_a_row * encoder.counts.used)
    keep = how.folder is not None and isinstance(source, JoinedSource) and key != ""
    if not keep and how.budget.holds(expected):
        prepared = Prepared(encoder, _gathered(chunks, encoder.counts.used))
    else:
        tensors, document = encoder.to_tensors()
        cache = write(
            how.folder or default_folder(),
            key or "0" * 64,
            chunks,
            header={"encoder": document},
            tensors=tensors,
            expected_bytes=expected,
            temporary=not keep,
        )
        prepared = Prepared(encoder, _loaded(cache, how.budget), cache)
    prepared.seconds = {"encoding": time.perf_counter() - began}
    return prepared


def _chunks(source, encoder, how) -> Iterator[Rows]:
    """The encoded rows, in order."""
    in_flight = how.budget.in_flight(BATCH_BYTES)

    def encode(batch):
        rows = encoder.encode(batch)
        try:
            how.domain.check(rows.y, how.loss)
        except TargetError as error:
            raise TargetError(f"{batch.file!r}, of the rows from {batch.first:,} on: {error}") from error
        return batch, rows

    total = 0
    batches = source.batches(encoder.reads, in_flight=in_flight)
    for batch, rows in mapped_ahead(encode, batches, THREADS, in_flight):
        total += rows.n_rows
        how.tell(batch.done / max(source.size, 1), f"encoding: {total:,} rows")
        yield rows


def _gathered(chunks, n):
    """All rows in one piece of memory. Dense ones are put where they stay as they come, so that there is one copy only."""
    first = next(chunks)
    if isinstance(first, SparseRows):
        return SparseRows.concatenate([first, *chunks])
    out = DenseRows(*(np.empty((n, *array.shape[1:]), array.dtype) for array in first))
    start = 0
    for rows in _again(first, chunks):
        for whole, part in zip(out, rows, strict=True):
            whole[start : start + rows.n_rows] = part
        start += rows.n_rows
    return out if start == n else DenseRows(*(array[:start] for array in out))


def _again(first, rest):
    yield first
    yield from rest


def _bytes_in_memory(cache):
    return int(cache.memory_of(cache.rows, cache.entries).sum())


def _loaded(cache, budget):
    """All rows of a cache, if they fit."""
    return cache.load() if budget.holds(_bytes_in_memory(cache)) else None


def _drawn(part, n):
    """Row numbers of a random part."""
    held_out = np.sort(Order(part.seed).rows(n, 0, 0, round(part.fraction * n)))
    return held_out if part.held_out else np.setdiff1d(np.arange(n, dtype=np.uint64), held_out, assume_unique=True)
