"""The encoder: from batches of a source to rows of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from fallline.data.encoder.arrow import NumberColumns, is_number
from fallline.data.encoder.batch import refused, too_large, without_missing_target
from fallline.data.encoder.kinds import COLUMNS, KINDS
from fallline.data.encoder.kinds.base import BadValue, Column
from fallline.data.encoder.kinds.number import as_number
from fallline.data.encoder.layout import Layout
from fallline.data.encoder.plan import Plan
from fallline.data.encoder.target import Target, require_target_type
from fallline.data.encoder.tensors import pack, unpack
from fallline.data.encoder.units import Effects, effects_of
from fallline.data.rows import DenseRows, SparseRows
from fallline.data.sources.base import Batch
from fallline.errors import InputError, StateError
from fallline.kernels.encode import count, fill, one_hot, scatter, standardise
from fallline.names import did_you_mean

__all__ = ["Counted", "Encoder", "Profile", "plain_numbers"]

_FORMAT = 1


class Counted(NamedTuple):
    """What became of the rows that were read.

    Parameters
    ----------
    read : int
        Rows that were read.
    without_target : int
        How many of them were left out, having no target.
    skipped : int
        Rows that could not be read and were left out, as asked for.
    weight : float
        The sum of the weights of the rows to train on, where there are weights.
    """

    read: int
    without_target: int
    skipped: int
    weight: float = 0.0

    def plus(self, other: Counted) -> Counted:
        """These and others."""
        read, without_target, skipped, weight = (a + b for a, b in zip(self, other, strict=True))
        return Counted(int(read), int(without_target), int(skipped), weight)

    @property
    def used(self) -> int:
        """Rows to train on."""
        return self.read - self.without_target


@dataclass(frozen=True)
class Profile:
    """What the pass found in a column, for people to look at.

    Parameters
    ----------
    name : str
    missing : int
        Rows without a value.
    distinct : int or None
        How many distinct values there are, about; None where they were not counted.
    examples : tuple of str
        Frequent values, with the share of rows that have them, or quantiles.
    """

    name: str
    missing: int
    distinct: int | None
    examples: tuple[str, ...]


class Encoder:
    """Columns as numbers, as one pass over the data found best.

    Parameters
    ----------
    plan : Plan
    columns : list of Column
        Those of which features are made.
    target : Target
    counts : Counted
    warnings : list of str
        What users should know, in sentences.
    profiles : list of Profile
        One a column of the plan that was looked at.

    Attributes
    ----------
    n_columns, n_targets : int
        Columns of X and y; with an offset, the last column of y is that.
    sparse : bool
        Whether rows are `SparseRows`.
    task : str
        "binary", "multiclass" or "regression".
    classes : list or None
    target_mean, target_scale : float
        What undoes the standardising of y: y * scale + mean.
    bytes_a_row : float
        Of an encoded row with target and weight, on average.
    reads, reads_features : list of str
        The columns that `encode` and `encode_features` need.
    """

    def __init__(
        self,
        plan: Plan,
        columns: Sequence[Column],
        target: Target,
        counts: Counted,
        warnings: Sequence[str],
        profiles: Sequence[Profile],
    ):
        self.plan, self.columns, self.target = plan, list(columns), target
        self.counts, self.warnings, self.profiles = counts, list(warnings), list(profiles)
        absent = {profile.name: profile.missing / max(counts.used, 1) for profile in profiles}
        self.layout = Layout(columns, [absent[column.name] for column in columns])
        self.n_columns, self.sparse = self.layout.n_columns, self.layout.sparse
        self.n_targets = 1 + (plan.offset is not None)
        self.task, self.classes = target.task, target.classes
        self.target_mean, self.target_scale = target.mean, target.scale
        self.bytes_a_row = self.layout.bytes_a_row + 4 * (self.n_targets + 1)
        self._kinds = {column.name: KINDS[column.kind] for column in plan.columns}
        offset = [plan.offset] if plan.offset is not None else []
        self.reads_features = [column.name for column in self.columns] + offset
        self.reads = [*self.reads_features, target.name] + ([plan.weight] if plan.weight is not None else [])
        self._fitting: dict[bool, pa.Schema] = {}

    @cached_property
    def feature_names(self) -> list[str]:
        """The names of the columns of X."""
        return list(self.layout.names())

    def encode(self, batch: Batch, *, unseen: str = "error") -> DenseRows | SparseRows:
        """Rows to train or to evaluate on: those of a batch that have a target.

        Parameters
        ----------
        batch : Batch
            With the columns of `reads` among its own.
        unseen : str
            What to do about classes that were not in the pass: "error", or "nan" for y to be NaN.

        Raises
        ------
        InputError
            For a column that is not there or holds another type, and for infinite numbers, with file and row.
        """
        self._require(batch, [self.target.name, self.plan.weight])
        rows, kept = without_missing_target(batch, self.target.name)
        try:
            y = self.target.encode(rows.column(self.target.name), unseen)
            weight = self._weight(rows)
            offset = self._offset(rows)
            return self._rows(rows, np.column_stack([y, *offset]), weight)
        except BadValue as error:
            raise refused(batch, kept, error) from error

    def encode_features(self, batch: Batch) -> DenseRows | SparseRows:
        """Rows to predict: all of a batch, with targets of 0 and weights of 1.

        Parameters
        ----------
        batch : Batch
            With the columns of `reads_features` among its own.
        """
        self._require(batch, [])
        rows = batch.rows
        try:
            y = np.column_stack([np.zeros(len(rows), np.float32), *self._offset(rows)])
            return self._rows(rows, y, np.ones(len(rows), np.float32))
        except BadValue as error:
            raise refused(batch, None, error) from error

    @property
    def mean_weight(self) -> float:
        """Of the rows of the pass; 1 where they have no weights."""
        return self.counts.weight / self.counts.used if self.counts.weight else 1.0

    def strangers(self, batch: Batch) -> dict[str, tuple[list[str], list[str]]]:
        """Columns of which no value in a batch was met in the pass: its values, and those of the pass."""
        found = {column.name: column.strangers(batch.rows.column(column.name)) for column in self.columns}
        return {name: values for name, values in found.items() if values is not None}

    def original_units(self, weights: np.ndarray) -> list[Effects]:
        """What the weights (outputs, n_columns + 1) mean in units of the columns, one `Effects` an output.

        For regression, in units of the target too.
        """
        return effects_of(self.layout, weights, self.target_mean, self.target_scale)

    def to_tensors(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Everything, as arrays and what can be JSON."""
        tensors, target = pack("target", self.target)
        kinds = {page: name for name, page in COLUMNS.items()}
        columns = []
        for place, column in enumerate(self.columns):
            found, rest = pack(f"column.{place}", column)
            tensors |= found
            columns.append({"becomes": kinds[type(column)], **rest})
        meta = {
            "format": _FORMAT,
            "plan": self.plan.to_json(),
            "target": target,
            "columns": columns,
            "counts": self.counts._asdict(),
            "warnings": self.warnings,
            "profiles": [asdict(profile) for profile in self.profiles],
        }
        return tensors, meta

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> Encoder:
        """The encoder that `to_tensors` took apart.

        Raises
        ------
        StateError
            If it is of a later format, or not whole.
        """
        if meta.get("format") != _FORMAT:
            raise StateError(
                f"The encoder has format {meta.get('format')!r}, but this version of fallline reads format {_FORMAT}. "
                "Use the version that wrote it, or train again."
            )
        columns = []
        for place, kept in enumerate(meta["columns"]):
            rest = dict(kept)
            kind = rest.pop("becomes")
            if kind not in COLUMNS:
                raise StateError(
                    f"The encoder has a column of kind {kind!r}, which is not known. Use a later version."
                )
            columns.append(unpack(COLUMNS[kind], f"column.{place}", tensors, rest))
        profiles = [
            Profile(**{**profile, "examples": tuple(profile["examples"])}) for profile in meta["profiles"]
        ]
        target = unpack(Target, "target", tensors, meta["target"])
        plan, counts = Plan.from_json(meta["plan"]), Counted(**meta["counts"])
        return cls(plan, columns, target, counts, meta["warnings"], profiles)

    def _require(self, batch, more):
        """Raise unless a batch has what is needed, of types that can be encoded."""
        schema = batch.rows.schema
        # Batches of one source share their schema, so it is looked at once.
        known = self._fitting.get(bool(more))
        if known is not None and known.equals(schema):
            return
        names = set(schema.names)
        for name in [*self.reads_features, *more]:
            if name is not None and name not in names:
                raise InputError(
                    f"{batch.file!r} has no column {name!r}, which was trained on.{did_you_mean(name, schema.names)} "
                    "Give it, even if all of it is missing."
                )
        for column in self.columns:
            _require_type(batch.file, column.name, schema.field(column.name).type, self._kinds[column.name])
        if self.target.name in more:
            require_target_type(self.target.name, schema.field(self.target.name).type)
        self._fitting[bool(more)] = schema

    def _weight(self, rows):
        name = self.plan.weight
        if name is None:
            return np.ones(len(rows), np.float32)
        weight = plain_numbers(rows.column(name), name)
        if (weight < 0).any():
            row = int(np.argmax(weight < 0))
            raise BadValue(row, f"the weight {name!r} is {weight[row]:g}. Give 0 or more")
        return weight

    def _offset(self, rows):
        """The offset, in units of y, in a list; empty where there is none."""
        name = self.plan.offset
        return (
            [] if name is None else [plain_numbers(rows.column(name), name) / np.float32(self.target_scale)]
        )

    def _rows(self, rows, y, weight):
        """Encoded features with these targets and weights."""
        layout = self.layout
        encoded = [column.encode(rows.column(column.name)) for column in layout.computed]
        computed = [number for one in encoded for number in one.numbers]
        codes = _stacked([codes for one in encoded for codes in one.codes], len(rows))
        lists = [part for one in encoded for part in one.lists]
        width = layout.n_numbers + layout.n_flags if self.sparse else layout.n_columns
        out = np.empty((len(rows), width), np.float32)
        self._write_numbers(rows, computed, out)
        if self.sparse:
            indptr, indices, data = _as_csr(layout, out, codes, lists)
            return SparseRows(indptr, indices, data, layout.n_columns, y, weight)
        one_hot(codes, layout.firsts, layout.n_numbers + layout.n_flags, out)
        for part, first in zip(lists, layout.list_firsts, strict=True):
            scatter(*part, first, out)
        return DenseRows(out, y, weight)

    def _write_numbers(self, rows, computed, out):
        """Standardise the columns that are numbers as they are, and those that were computed."""
        names = [column.name for column in self.layout.direct]
        direct = rows.select(names)
        if not all(map(is_number, direct.schema.types)):
            arrays = [as_number(array) for array in direct.columns]
            direct = pa.RecordBatch.from_arrays(arrays, names)
        if len(rows) == 0:
            return
        start = len(names)
        if names:
            self._standardise(NumberColumns(direct), slice(0, start), out, rows)
        if computed:
            self._standardise(NumberColumns.of(computed), slice(start, None), out, rows)

    def _standardise(self, columns, part, out, rows):
        layout = self.layout
        given = (layout.means[part], layout.scales[part], layout.flags[part], part.start, out)
        if standardise(columns.address, columns.kinds, *given):
            self._blame(rows)

    def _blame(self, rows):
        """Raise for the first number that is infinite, or too far from the others."""
        for column in self.layout.direct + self.layout.computed:
            arrays = column.encode(rows.column(column.name)).numbers
            for number, array in zip(column.numbers, arrays, strict=True):
                values = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
                with np.errstate(over="ignore", invalid="ignore"):
                    bad = np.isinf(((values - number.mean) / number.deviation).astype(np.float32))
                if bad.any():
                    row = int(np.argmax(bad))
                    raise BadValue(row, too_large(column.name, values[row]))
        raise BadValue(0, "a number from this row on is too large for what was trained on. Correct it")


def _stacked(codes, n):
    return np.stack(codes) if codes else np.empty((0, n), np.int32)


def _as_csr(layout, dense, codes, lists):
    """Numbers, flags, codes and lists as the three arrays of one CSR."""
    pointers = np.stack([part[0] for part in lists]) if lists else np.empty((0, len(dense) + 1), np.int64)
    sizes = [len(part[1]) for part in lists]
    begins = np.cumsum([0, *sizes], dtype=np.int64)[:-1]
    list_indices = np.concatenate([part[1] for part in lists]) if lists else np.empty(0, np.int32)
    list_values = np.concatenate([part[2] for part in lists]) if lists else np.empty(0, np.float32)
    indptr = np.empty(len(dense) + 1, np.int64)
    count(dense, layout.n_numbers, codes, pointers, indptr)
    indices, data = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], np.float32)
    fill(
        dense, layout.n_numbers, codes, layout.firsts, pointers, begins, list_indices, list_values, layout.list_firsts,
        indptr, indices, data,
    )  # fmt: skip
    return indptr, indices, data


def _require_type(file, name, type_, kind):
    if not (kind.accepts(type_) or pa.types.is_null(type_)):
        raise InputError(
            f"Column {name!r} of {file!r} holds {type_}, but a {kind.name} was trained on. Convert it, or correct how it is read."
        )


def plain_numbers(array: pa.Array, name: str) -> np.ndarray:
    """A column of numbers (n,) float32 that may be neither missing nor infinite."""
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        raise InputError(f"Column {name!r} holds {array.type}, but numbers are wanted.")
    numbers = as_number(array).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        numbers = numbers.astype(np.float32)
    bad = ~np.isfinite(numbers)
    if bad.any():
        row = int(np.argmax(bad))
        found = "is missing" if np.isnan(numbers[row]) else "is not finite"
        raise BadValue(row, f"{name!r} {found}, but every row needs one. Give it, or leave the row out")
    return numbers
