"""From a sample of a source to a plan."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_

from fallline.data.encoder.arrow import as_strings, missing
from fallline.data.encoder.kinds import KINDS
from fallline.data.encoder.kinds.base import BadValue
from fallline.data.encoder.plan import ColumnPlan, Glance, Plan, require_known
from fallline.data.encoder.target import TASKS, TargetSeen, infer_task, require_target_type
from fallline.data.sources.base import Source
from fallline.errors import FalllineWarning, InputError, ParameterError, TargetError
from fallline.names import did_you_mean, in_short

__all__ = ["aimed", "make_plan"]

_EXAMPLES = 3


def make_plan(
    source: Source,
    *,
    target: str | None = None,
    weight: str | None = None,
    offset: str | None = None,
    ignore: Iterable[str] = (),
    categorical: Iterable[str] = (),
    text: Iterable[str] = (),
    task: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Plan:
    """What is to be made of each column of a source, from the types of its columns and a sample of its rows.

    Parameters
    ----------
    source : Source
    target : str, optional
        The column to predict; without one the plan is not whole: see `aimed`.
    weight, offset : str, optional
        The columns of the rows' weights, and of what is added to their scores.
    ignore, categorical, text : iterable of str
        Columns of these kinds, whatever their types suggest.
    task : str, optional
        "binary", "multiclass" or "regression"; by default what the target suggests.
    overrides : mapping, optional
        For other columns and kinds: from the name of a column to a kind, or to a dict of "kind" and options.

    Raises
    ------
    ParameterError
        For a column that is not there, with the nearest name, or has several roles.
    TargetError
        For a target that can be none.
    """
    names = source.schema.names
    for role, column in (("target", target), ("weight", weight), ("offset", offset)):
        if column is not None:
            _require_column(column, source, f"{role}={column!r}")
    if task is not None and task not in TASKS:
        raise ParameterError(f"task={task!r} is not one of {', '.join(TASKS)}.{did_you_mean(task, TASKS)}")
    sample = source.sample()
    reason = None
    if task is None and target is not None:
        task, reason = _task(target, source, sample)
    kinds = _named_kinds(source, ignore, categorical, text, overrides or {})
    roles, notations = {target, weight, offset}, source.notations
    columns = [
        _column(source.schema.field(name), sample, kinds.get(name), notations.get(name, ""))
        for name in names
        if name not in roles
    ]
    for name in roles & set(kinds):
        raise ParameterError(
            f"Column {name!r} is the target, the weight or the offset; it has no other kind. Name it once."
        )
    plan = Plan(target, task, reason, columns, weight, offset, source.decimal)
    plan.require_one_role_each()
    if target is not None:
        plan.require_fit(source.schema, source.name)
        _warn_of_namesakes(plan, source)
    return plan


def aimed(plan: Plan, source: Source, target: str, task: str | None) -> Plan:
    """A plan that names no target, with one, which is no feature then.

    Raises
    ------
    ParameterError
        If there is no such column.
    TargetError
        If it can be none.
    """
    _require_column(target, source, f"target={target!r}")
    found = (task, None) if task is not None else _task(target, source, source.sample())
    columns = [column for column in plan.columns if column.name != target]
    plan = replace(plan, target=target, task=found[0], task_reason=found[1], columns=columns)
    _warn_of_namesakes(plan, source)
    return plan


def _warn_of_namesakes(plan, source):
    """Warn of features that are called as a second column of the target's name is when a table is read."""
    own = re.compile(re.escape(plan.target) + r"\.[1-9]\d*")
    for column in plan.features():
        if own.fullmatch(column.name):
            warnings.warn(
                f"{source.name!r}: the target is {plan.target!r}, and {column.name!r} is a feature, as the second of two columns "
                f"called {plan.target!r} is named. If it holds the target again, nothing else is learned: leave it out "
                f"(--ignore {column.name}). If not, rename it.",
                FalllineWarning,
                stacklevel=2,
            )


def _require_column(column, source, what):
    """Raise `ParameterError`, its message beginning with what named the column, if a source has no such column."""
    problem = f"{what}, but {source.name!r} has no such column"
    if source.places_for_names:
        problem += ". The file was read as one without a header; --header says that it has one"
    require_known(column, source.schema.names, problem)


def _task(target, source, sample):
    """What the sample suggests."""
    require_target_type(target, source.schema.field(target).type)
    values = _whole(sample, target)
    values = values.filter(pa.array(~missing(values)))
    if not len(values):
        raise TargetError(
            f"The target {target!r} is missing in every row looked at. Check which column it is."
        )
    try:
        return infer_task(TargetSeen.of(values))
    except BadValue as error:
        raise InputError(f"{source.name!r}, among the rows looked at: {error.reason}.") from error


def _named_kinds(source, ignore, categorical, text, overrides):
    """The kinds that were asked for by name, with their options."""
    kinds: dict[str, dict[str, Any]] = {}
    # A column named a category is one, however many values it has.
    asked = (
        ("ignore", ignore, {"kind": "ignore"}),
        ("categorical", categorical, {"kind": "category", "drop_if_unique": False}),
        ("text", text, {"kind": "text"}),
    )
    for setting, columns, kind in asked:
        for column in [columns] if isinstance(columns, str) else columns:
            _require_column(column, source, f"{setting}={column!r}")
            if column in kinds:
                raise ParameterError(f"Column {column!r} is named for two kinds. Name it for one.")
            kinds[column] = kind
    for column, kind in overrides.items():
        _require_column(column, source, f"overrides has {column!r}")
        kinds[column] = dict(kind) if isinstance(kind, Mapping) else {"kind": kind}
    return kinds


def _column(field, sample, named, notation):
    """The plan of a column: as it was named, or as its type suggests."""
    type_, note = field.type, ""
    if named is None:
        kind, note = _suggested(type_)
        named = {"kind": kind}
    options = {key: value for key, value in named.items() if key != "kind"}
    glance = _glance(_whole(sample, field.name))
    return ColumnPlan.of(
        field.name, str(type_), named.get("kind"), options, notation=notation, note=note, glance=glance
    )


def _suggested(type_):
    """The first kind that takes a type; and a note where that is to ignore it."""
    if is_.is_null(type_):
        return "ignore", "it has no values"
    kind = next(name for name, page in KINDS.items() if page.accepts(type_))
    return kind, f"nothing can be made of {type_}" if kind == "ignore" else ""


def _whole(sample, name):
    return sample.column(name).combine_chunks()


def _glance(array):
    """What a column of the sample shows."""
    absent = missing(array)
    try:
        there = array.filter(pa.array(~absent))
        # Adding 0 makes 0 of -0.
        distinct = (pc.add(there, 0) if is_.is_floating(array.type) else there).unique()
        examples = tuple(in_short(example) for example in as_strings(distinct[:_EXAMPLES]).to_pylist())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return Glance(len(array), int(absent.sum()), 0, ())
    if is_.is_floating(array.type):
        examples = tuple(f"{float(example):.6g}" for example in examples)
    return Glance(len(array), int(absent.sum()), len(distinct), examples)
