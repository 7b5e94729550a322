"""From what users give (files, tables, arrays, the name of a demonstration) to encoded rows in memory.

::

    source ──▶ plan ──▶ encoder ──▶ draw ──▶ table
                        a first     which    a second pass: rows with a number
                        pass        rows     for each feature, and their targets
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from fallline.comparison.demos import demo_frame
from fallline.comparison.draw import draw
from fallline.comparison.words import counted
from fallline.data.ahead import THREADS, mapped_ahead
from fallline.data.arrays import as_array
from fallline.data.budget import memory_budget
from fallline.data.encoder import Encoder, fit, make_plan
from fallline.data.rows import DenseRows, Rows
from fallline.data.sources import open_source
from fallline.data.sources.base import Source
from fallline.data.sources.formats import BATCH_BYTES
from fallline.data.sources.options import ReadOptions
from fallline.errors import InputError, ParameterError, TargetError
from fallline.names import listed
from fallline.settings import choose

__all__ = ["Table", "read"]

_TASKS = ("binary", "multiclass", "regression", "classification")
_MOST_CLASSES = 50


@dataclass(frozen=True)
class Table:
    """Rows with a number for each feature, and the value to predict from each.

    Parameters
    ----------
    name : str
        What to call the data.
    X : ndarray of shape (n, features), float32
        As the encoder made it.
    y : ndarray of shape (n,), float32
        -1 and 1; the numbers of the classes from 0; or standardised amounts.
    task : str
        "binary", "multiclass" or "regression".
    classes : list of str
        Names of the classes; empty for regression.
    encoder : Encoder
    notes : list of str
        What users should know about the rows and columns, in sentences.
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    task: str
    classes: list[str]
    encoder: Encoder
    notes: list[str]


def read(
    data: Any,
    y: Any = None,
    *,
    target: str | None = None,
    demo: str | None = None,
    ignore: Sequence[str] = (),
    categorical: Sequence[str] = (),
    text: Sequence[str] = (),
    task: str | None = None,
    options: ReadOptions = ReadOptions(),
    memory: str | int | None = None,
    seed: int = 0,
    tell: Callable[[float, str], None] = lambda *_: None,
) -> Table:
    """Read and encode whatever was given, all of its rows or as many as can be compared on.

    Parameters are those of `compare`.

    Raises
    ------
    InputError
        If the data cannot be used.
    ParameterError
        If a setting cannot be used.
    """
    if task is not None:
        task = choose("task", task, _TASKS)
    budget = memory_budget(memory)
    name, source, target = _opened(data, y, target, demo, options)
    plan = make_plan(
        source,
        target=target,
        ignore=ignore,
        categorical=categorical,
        text=text,
        # Whether classes are two or more, the encoder finds out.
        task="multiclass" if task == "classification" else task,
    )
    in_flight = budget.reading(source, len(plan.features())).in_flight(BATCH_BYTES)
    encoder = fit(
        plan,
        source,
        in_flight=in_flight,
        threads=THREADS,
        progress=lambda done, size: tell(0.5 * done / max(size, 1), "reading: what the columns hold"),
    )
    _require_few_classes(encoder)
    outputs = len(encoder.classes or ()) if encoder.task == "multiclass" else 1
    rows, why = draw(encoder.counts.used, encoder.n_columns, outputs, budget, seed)
    X, found = _encoded(source, encoder, rows, in_flight, lambda share, what: tell(0.5 + 0.5 * share, what))
    numbers, task, classes, remarks = _labelled(found, encoder)
    notes = [*why, *_left_out(encoder), *remarks, *encoder.warnings]
    return Table(name, X, numbers, task, classes, encoder, notes)


def _opened(data, y, target, demo, options):
    """What to call the data, their source, and the name of the target in it."""
    if isinstance(y, str):
        target, y = y, None
    if demo is not None:
        if data is not None or y is not None or target is not None:
            raise ParameterError(
                f"demo={demo!r} brings its own data and target. Give either a demo or data, not both."
            )
        title, frame, target = demo_frame(demo)
        return title, open_source(frame), target
    if data is None:
        raise ParameterError("There is nothing to compare on. Give files, a data frame, arrays, or a demo.")
    if y is not None:
        if target is not None:
            raise ParameterError("y= and target= both say what is to be predicted. Give one of them.")
        source = open_source(data, target_values=as_array(y, "y"), options=options)
        return source.name, source, source.schema.names[-1]
    source = open_source(data, options=options)
    target = target or source.target
    if target is None:
        raise ParameterError(
            f"Which column is to be predicted? Give a target, one of: {listed(source.schema.names)}."
        )
    return _called(data, source), source, target


def _called(data, source):
    """The last part of a path; otherwise the source's own name."""
    if isinstance(data, (list, tuple)) and len(data) == 1:
        [data] = data
    name = PurePath(data).name if isinstance(data, (str, os.PathLike)) else ""
    return name or source.name


def _require_few_classes(encoder):
    """Raise where contenders would take for ever, each class being one more model to them."""
    if encoder.classes is None or len(encoder.classes) <= _MOST_CLASSES:
        return
    remedy = (
        "Use task='regression'."
        if encoder.target.sort == "number"
        else "Choose a target with fewer values, or join rare ones."
    )
    raise InputError(
        f"The target {encoder.target.name!r} has {len(encoder.classes):,} classes; at most {_MOST_CLASSES} can be compared. "
        f"{remedy}"
    )


def _encoded(source: Source, encoder: Encoder, chosen: np.ndarray, in_flight: int, tell: Callable) -> tuple:
    """The rows of these numbers, dense, and their targets."""
    X = np.empty((len(chosen), encoder.n_columns), np.float32)
    y = np.empty(len(chosen), np.float32)
    first = filled = 0
    with (
        closing(source.batches(encoder.reads, in_flight=in_flight)) as batches,
        closing(
            mapped_ahead(lambda batch: (batch.done, encoder.encode(batch)), batches, THREADS, in_flight)
        ) as parts,
    ):
        for done, rows in parts:
            stop = int(np.searchsorted(chosen, first + rows.n_rows))
            part = rows if stop - filled == rows.n_rows else rows.take(chosen[filled:stop] - first)
            _write(part, X[filled:stop])
            y[filled:stop] = part.y[:, 0]
            first, filled = first + rows.n_rows, stop
            tell(done / max(source.size, 1), f"encoding: {filled:,} rows")
    if filled < len(chosen):
        raise InputError(
            f"{source.name!r} had {encoder.counts.used:,} rows with a target when it was read first, and {first:,} now. Wait "
            "until nobody writes to it."
        )
    return X, y


def _write(rows: Rows, out: np.ndarray) -> None:
    """A number for every feature of these rows."""
    if isinstance(rows, DenseRows):
        out[:] = rows.X
    else:
        csr_array((rows.data, rows.indices, rows.indptr), (rows.n_rows, rows.n_columns)).toarray(out=out)


def _labelled(y, encoder):
    """Targets, task, names of classes, and sentences about classes of hardly any row."""
    if encoder.classes is None:
        return y, "regression", [], []
    codes = ((y + 1) / 2 if encoder.task == "binary" else y).astype(np.int64)
    present, numbers, counts = np.unique(codes, return_inverse=True, return_counts=True)
    classes = [str(encoder.classes[code]) for code in present]
    if len(classes) < 2:
        raise TargetError(
            f"The target {encoder.target.name!r} is {classes[0]!r} in all {len(y):,} rows that were drawn, so there is nothing "
            "to tell apart. Give more memory, or another seed."
        )
    remarks = []
    if gone := [str(name) for code, name in enumerate(encoder.classes) if code not in present]:
        remarks.append(f"Classes that no row drawn is of were left out: {listed(gone)}.")
    if lone := [name for name, count in zip(classes, counts, strict=True) if count == 1]:
        remarks.append(f"Classes of a single row are trained on, and never tested: {listed(lone)}.")
    if len(classes) == 2:
        return (2 * numbers - 1).astype(np.float32), "binary", classes, remarks
    return numbers.astype(np.float32), "multiclass", classes, remarks


def _left_out(encoder):
    """A sentence about the rows that were not used, if there are any."""
    counts = encoder.counts
    reasons = []
    if counts.without_target:
        reasons.append(f"{counted(counts.without_target, 'row')} without a target")
    if counts.skipped:
        reasons.append(f"{counted(counts.skipped, 'row')} that could not be read")
    return [f"Left out: {' and '.join(reasons)}."] if reasons else []
