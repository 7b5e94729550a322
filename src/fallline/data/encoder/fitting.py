"""One pass over a source, from which an encoder is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from fallline.data.ahead import THREADS, mapped_ahead
from fallline.data.encoder.arrow import NumberColumns, is_number, is_plain_text, missing
from fallline.data.encoder.batch import refused, too_large, without_missing_target
from fallline.data.encoder.encoder import Counted, Encoder, Profile, plain_numbers
from fallline.data.encoder.kinds import KINDS
from fallline.data.encoder.kinds.base import BadValue, Found
from fallline.data.encoder.plan import ColumnPlan, Plan
from fallline.data.encoder.statistics import Counts, Moments, RowSample, Statistic
from fallline.data.encoder.target import TargetSeen, fit_target, infer_task
from fallline.data.sources.base import Batch, Cursor, Source
from fallline.errors import InputError, TargetError

__all__ = ["fit"]

# Squares of larger numbers could overflow when they are added up.
_LARGEST = 1e150
_SHARES = (0.01, 0.5, 0.99)


def fit(
    plan: Plan,
    source: Source,
    *,
    standardise_target: bool = True,
    progress: Callable[[int, int], object] | None = None,
    threads: int | None = None,
    in_flight: int = 4,
    keep: Callable[[Batch], object] | None = None,
) -> Encoder:
    """Read a source once, and find how to encode it as planned.

    Batches are looked at on threads and put together in order, so neither `threads` nor `in_flight` changes a bit of the
    result.

    Parameters
    ----------
    plan : Plan
    source : Source
    standardise_target : bool
        Whether the targets of regression are centred and scaled to a deviation of 1.
    progress : callable, optional
        Called with what has been read of `source.size`, and with that, after each batch.
    threads : int, optional
        By default one a core.
    in_flight : int
        Batches in memory at once.
    keep : callable, optional
        Given each batch when it has been looked at, in order, with the columns that an encoder may read. Text that stands for
        categories and classes is behind a dictionary by then, so that encoding need not look it up once more.

    Raises
    ------
    ParameterError
        If the plan does not fit the source.
    InputError
        If there are no rows, or no columns to learn from; for infinite numbers and the like, with file and row.
    TargetError
        If there is nothing to learn.
    """
    plan.require_fit(source.schema, source.name)
    look = _Pass(plan, source)
    merged: _Seen | None = None
    with (
        closing(source.batches(look.reads, in_flight=in_flight)) as batches,
        closing(mapped_ahead(look, _numbered(batches), threads or THREADS, in_flight)) as ahead,
    ):
        for batch, seen in ahead:
            if keep is not None:
                keep(batch)
            if merged is None:
                merged = seen
            else:
                merged.merge(seen)
            if progress is not None:
                progress(seen.done, source.size)
    if merged is None or not merged.counts.read:
        raise InputError(
            f"{source.name!r} has no rows, so there is nothing to learn from. Check how it was written."
        )
    if not merged.counts.used:
        raise TargetError(
            f"The target {plan.named_target!r} is missing in all {merged.counts.read:,} rows of {source.name!r}. "
            "Check which column it is."
        )
    return _encoder(plan, source, look, merged, standardise_target)


def _numbered(batches: Iterator[Batch]) -> Iterator[tuple[int, Batch]]:
    """Batches, each with the number of rows before it."""
    first = 0
    for batch in batches:
        yield first, batch
        first += batch.rows.num_rows


class _Seen:
    """What is known of the rows up to some batch."""

    def __init__(self, counts, absent, numbers, sample, statistics, target, done):
        self.counts: Counted = counts
        self.absent: np.ndarray = absent
        self.numbers: Moments = numbers
        self.sample: RowSample | None = sample
        self.statistics: list[Statistic] = statistics
        self.target: TargetSeen | None = target
        self.done: int = done

    def merge(self, other: _Seen) -> None:
        """Add what is known of the batch that follows."""
        self.counts = self.counts.plus(other.counts)
        self.absent = self.absent + other.absent
        if other.target is None:
            return
        if self.target is None:
            self.numbers, self.sample, self.statistics = other.numbers, other.sample, other.statistics
            self.target = other.target
            return
        self.target.merge(other.target)
        self.numbers.merge(other.numbers)
        if self.sample is not None and other.sample is not None:
            self.sample.merge(other.sample)
        for own, more in zip(self.statistics, other.statistics, strict=True):
            own.merge(more)  # type: ignore[arg-type]


class _Slot(NamedTuple):
    """Where what is known of a column stands in a `_Seen`: which numbers, and which statistics."""

    numbers: slice
    statistics: slice


class _Pass:
    """What to look at in each batch; called on threads."""

    def __init__(self, plan: Plan, source: Source):
        self._plan = plan
        columns = plan.features()
        schema = source.schema
        # Numbers that kernels can read as they are need no Python a column.
        types = dict(zip(schema.names, schema.types, strict=True))
        as_it_is = [column.kind == "number" and is_number(types[column.name]) for column in columns]
        self.direct = list(compress(columns, as_it_is))
        self.computed = list(compress(columns, (not plain for plain in as_it_is)))
        self.reads = [column.name for column in columns] + [
            name for name in (plan.named_target, plan.weight, plan.offset) if name is not None
        ]
        categories = {plan.named_target, *(column.name for column in columns if column.kind == "category")}
        self._coded_places = [
            place
            for place, name in enumerate(self.reads)
            if name in categories and is_plain_text(types[name])
        ]
        self.slots = self._slots_of(schema)
        self._size = max((slot.numbers.stop for slot in self.slots.values()), default=0)
        self._shifts, self._target_shift = np.zeros(self._size), np.zeros(1)
        self._find_shifts(source)

    def __call__(self, item: tuple[int, Batch]) -> tuple[Batch, _Seen]:
        """A batch, its text behind dictionaries, and what it shows; given it and the number of rows before it."""
        first, batch = item
        batch = batch._replace(rows=self._coded(batch.rows))
        return batch, self._seen(batch, first)

    def _coded(self, rows):
        """The same rows with text that stands for categories and classes behind dictionaries."""
        if not self._coded_places:
            return rows
        arrays = rows.columns
        for place in self._coded_places:
            arrays[place] = arrays[place].dictionary_encode()
        return pa.RecordBatch.from_arrays(arrays, rows.schema.names)

    def _seen(self, batch, first):
        """What a batch shows, with the number of rows before it."""
        rows, kept = without_missing_target(batch, self._plan.named_target)
        n = batch.rows.num_rows
        counts = Counted(n, n - len(rows), sum(left_out.rows for left_out in batch.skipped))
        if len(rows) == 0:
            absent = np.zeros(len(self.slots), np.int64)
            return _Seen(counts, absent, None, None, [], None, batch.done)
        numbered = np.arange(first, first + n, dtype=np.uint64)
        if kept is not None:
            numbered = numbered[kept]
        try:
            if self._plan.weight is not None:
                weight = plain_numbers(rows.column(self._plan.weight), self._plan.weight)
                counts = counts._replace(weight=float(weight.sum(dtype=np.float64)))
            return self._look(rows, counts, numbered, first + n, batch.done)
        except BadValue as error:
            raise refused(batch, kept, error) from error

    def _look(self, rows, counts, numbered, stop, done):
        observed = [
            KINDS[column.kind].observe(rows.column(column.name), column.options) for column in self.computed
        ]
        arrays = [array for one in observed for array in one.numbers]
        parts = [NumberColumns(rows.select([column.name for column in self.direct]))] if self.direct else []
        parts += [NumberColumns.of(arrays)] if arrays else []
        cuts = np.cumsum([0] + [len(part.kinds) for part in parts])
        found = [
            Moments.of(part, self._shifts[start:end])
            for part, start, end in zip(parts, cuts[:-1], cuts[1:], strict=True)
        ]
        numbers = Moments.together(found)
        self._require_moderate(rows, numbers)
        sample = RowSample.of(parts[0], numbered, stop) if self.direct else None
        absent = np.concatenate(
            [
                len(rows) - numbers.count[: len(self.direct)].astype(np.int64),
                np.array([missing(rows.column(column.name)).sum() for column in self.computed], np.int64),
            ]
        )
        target = TargetSeen.of(rows.column(self._plan.named_target), self._target_shift)
        statistics = [statistic for one in observed for statistic in one.statistics]
        return _Seen(counts, absent, numbers, sample, statistics, target, done)

    def _slots_of(self, schema):
        """The place of each column among numbers and statistics, from looking at no rows."""
        slots = {column.name: _Slot(slice(j, j + 1), slice(0, 0)) for j, column in enumerate(self.direct)}
        number, statistic = len(self.direct), 0
        for column in self.computed:
            empty = pa.array([], schema.field(column.name).type)
            observed = KINDS[column.kind].observe(empty, column.options)
            stops = number + len(observed.numbers), statistic + len(observed.statistics)
            slots[column.name] = _Slot(slice(number, stops[0]), slice(statistic, stops[1]))
            number, statistic = stops
        return slots

    def _find_shifts(self, source):
        """Numbers near the means, from the sample: what is infinite or absurd there is reported by the pass, with its row."""
        sample = source.sample().select(self.reads).combine_chunks().to_batches()
        if not sample:
            return
        try:
            _, seen = self((0, Batch(sample[0], source.name, 1, Cursor(), 0)))
        except InputError:
            return
        if seen.target is not None:
            self._shifts = np.where(np.isfinite(seen.numbers.mean), seen.numbers.mean, 0.0)
            if seen.target.moments is not None:
                self._target_shift = seen.target.moments.mean

    def _require_moderate(self, rows, numbers):
        """Raise for infinite numbers, and those whose squares would be."""
        bad = (numbers.count > 0) & ~((numbers.low >= -_LARGEST) & (numbers.high <= _LARGEST))
        if not bad.any():
            return
        place = int(np.argmax(bad))
        name, slot = next((name, slot) for name, slot in self.slots.items() if place < slot.numbers.stop)
        column = next(column for column in self.direct + self.computed if column.name == name)
        array = (
            KINDS[column.kind].observe(rows.column(name), column.options).numbers[place - slot.numbers.start]
        )
        values = np.abs(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
        row = int(np.argmax(values > _LARGEST))
        raise BadValue(row, too_large(name, values[row]))


def _encoder(plan, source, look, seen, standardise_target):
    """The encoder that all rows make."""
    warn: list[str] = []
    target = _target(plan, seen.target, standardise_target, warn)
    columns, profiles = [], []
    absent = dict(zip([column.name for column in look.direct + look.computed], seen.absent, strict=True))
    medians = _quantiles(look, seen)
    for column in plan.features():
        slot = look.slots[column.name]
        numbers, statistics = seen.numbers.part(slot.numbers), seen.statistics[slot.statistics]
        found = Found(seen.counts.used, int(absent[column.name]), numbers, statistics, warn)
        fitted = KINDS[column.kind].fit(column.name, found, column.options)
        if fitted is not None:
            columns.append(fitted)
        profiles.append(_profile(column, found, medians.get(column.name)))
    warn += target.doubts()
    warn += [f"Column {column.name!r} was left out: {column.note}." for column in plan.columns if column.note]
    if not columns:
        raise InputError(
            " ".join([f"{source.name!r} has no column to learn from, besides {plan.named_target!r}.", *warn])
        )
    return Encoder(plan, columns, target, seen.counts, warn, profiles)


def _target(plan, seen, standardise, warn):
    """The target; where its task was inferred, all rows have the last word."""
    if plan.task_reason is None:
        return fit_target(plan.named_target, plan.task, seen, standardise=standardise)
    inferred = infer_task(seen)
    target = fit_target(plan.named_target, None, seen, standardise=standardise)
    if inferred.task != plan.task:
        warn.append(
            f"The target {plan.named_target!r} looked like {plan.task} in a sample, but all rows make it {target.task}: "
            f"{inferred.reason}."
        )
    return target


def _quantiles(look, seen):
    """Low, middle and high numbers of each column that is read as it is."""
    if seen.sample is None:
        return {}
    found = seen.sample.quantiles(_SHARES)
    return {column.name: found[:, j] for j, column in enumerate(look.direct)}


def _profile(column: ColumnPlan, found: Found, quantiles: Any) -> Profile:
    """What people are shown of a column."""
    for statistic in found.statistics:
        if isinstance(statistic, Counts) and column.kind == "category":
            values, counts = statistic.most_common()
            shown = [
                f"{value} ({count / found.rows:.0%})"
                for value, count in zip(values[:3], counts[:3], strict=True)
            ]
            return Profile(column.name, found.missing, statistic.distinct(), tuple(shown))
    if quantiles is not None and not np.isnan(quantiles).any():
        low, middle, high = (f"{number:.4g}" for number in quantiles)
        return Profile(column.name, found.missing, None, (f"{low} to {high}, median {middle}",))
    examples = column.glance.examples if column.glance is not None else ()
    return Profile(column.name, found.missing, None, examples)
