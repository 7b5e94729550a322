"""The plan: what is to be made of each column. Inferred from a sample, written as JSON, edited, and taken back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

from fallline.data.encoder.kinds import KINDS
from fallline.data.encoder.target import TASKS, require_target_type
from fallline.errors import ParameterError
from fallline.names import did_you_mean, listed, which_one

__all__ = ["ColumnPlan", "Glance", "Plan", "require_known"]

_FORMAT = 1


class Glance(NamedTuple):
    """What a sample shows of a column, for people to look at.

    Parameters
    ----------
    rows, missing, distinct : int
        Of the sample.
    examples : tuple of str
        Its first distinct values.
    """

    rows: int
    missing: int
    distinct: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class ColumnPlan:
    """What is to be made of a column.

    Parameters
    ----------
    name : str
    type : str
        Its Arrow type when the plan was made; for people to read.
    kind : str
        One of `KINDS`.
    options : dict
        All options of the kind.
    notation : str
        How its dates are written, where they are text otherwise than in ISO 8601; or its numbers, otherwise than in digits alone.
    note : str
        Why it is ignored, where nobody asked for that. Not kept in JSON.
    glance : Glance, optional
        Not kept in JSON.
    """

    name: str
    type: str
    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    notation: str = ""
    note: str = field(default="", compare=False)
    glance: Glance | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, name: str, type_: str, kind: Any, given: Mapping[str, Any], **more: Any) -> ColumnPlan:
        """With the options that are given, and defaults for the others.

        Raises
        ------
        ParameterError
            For a kind or an option that there is none of, and a value that it cannot take.
        """
        if not isinstance(kind, str) or kind not in KINDS:
            raise ParameterError(
                f"The kind of column {name!r} is {kind!r}, but one of {', '.join(KINDS)} is wanted.{did_you_mean(kind, KINDS)}"
            )
        options = KINDS[kind].options
        for option, value in given.items():
            if option not in options:
                known = ", ".join(options) or "none"
                raise ParameterError(
                    f"Column {name!r} has {option!r}, which is no option of kind {kind!r} (there is {known})."
                    f"{did_you_mean(option, options)}"
                )
            options[option].check(f"{option!r} of column {name!r}", value)
        return cls(name, type_, kind, {key: given.get(key, options[key].default) for key in options}, **more)

    @property
    def notated(self) -> dict[str, str]:
        """The notation as an entry of JSON, where there is one."""
        return {"notation": self.notation} if self.notation else {}


@dataclass(frozen=True)
class Plan:
    """What is to be made of a source's columns.

    Parameters
    ----------
    target : str or None
        The column to predict; None as long as that is not said.
    task : str or None
        "binary", "multiclass" or "regression"; None without a target.
    task_reason : str or None
        Why that one, if it was inferred; the pass over all rows may then find otherwise. None if it was asked for.
    columns : list of ColumnPlan
        All columns but the target and those of weights and offsets, in the source's order.
    weight, offset : str, optional
        The columns of the rows' weights, and of what is added to their scores.
    decimal : str, optional
        The decimal point of tables of text, by which further ones are read that do not tell.
    """

    target: str | None
    task: str | None
    task_reason: str | None
    columns: list[ColumnPlan]
    weight: str | None = None
    offset: str | None = None
    decimal: str | None = None

    @property
    def named_target(self) -> str:
        """The target; `ParameterError` if there is none."""
        if self.target is None:
            names = listed(column.name for column in self.columns)
            raise ParameterError(f"Which column is to be predicted? Give a target, one of: {names}.")
        return self.target

    def features(self) -> list[ColumnPlan]:
        """The columns that are looked at."""
        return [column for column in self.columns if column.kind != "ignore"]

    def to_json(self) -> str:
        """As users edit it; `from_json` takes it back."""
        head = {"format": _FORMAT, "target": self.target, "task": self.task, "task_reason": self.task_reason}
        lines = [f'  "{key}": {_json(value)},' for key, value in head.items()]
        lines += [f'  "weight": {_json(self.weight)},', f'  "offset": {_json(self.offset)},']
        lines += [f'  "decimal": {_json(self.decimal)},'] * (self.decimal is not None)
        columns = [
            {
                "name": column.name,
                "type": column.type,
                "kind": column.kind,
                **column.notated,
                **column.options,
            }
            for column in self.columns
        ]
        # A line a column: that reads, compares and edits best.
        body = ",\n".join(f"    {_json(column)}" for column in columns)
        return "\n".join(["{", *lines, '  "columns": [', body, "  ]", "}\n"])

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan that `to_json` wrote and a user may have edited. Columns that are no longer in it are ignored.

        Raises
        ------
        ParameterError
            For what is not a plan, naming what is wrong and the nearest right name.
        """
        try:
            given = json.loads(text)
        except json.JSONDecodeError as error:
            raise ParameterError(
                f"The plan is not JSON: {error}. Correct it there, or write a new one."
            ) from error
        _require_keys(
            "The plan",
            given,
            {"target", "columns"},
            {"format", "task", "task_reason", "weight", "offset", "decimal"},
        )
        if given.get("format", _FORMAT) != _FORMAT:
            raise ParameterError(
                f"The plan has format {given['format']!r}, but this version of fallline reads format {_FORMAT}. Write a new one."
            )
        task = given.get("task")
        if task not in TASKS and not (task is None and given["target"] is None):
            raise ParameterError(
                f"The plan's task is {task!r}, but one of {', '.join(TASKS)} is wanted.{did_you_mean(task, TASKS)}"
            )
        for key in ("target", "task_reason", "weight", "offset"):
            if not isinstance(given.get(key), str | None):
                raise ParameterError(f"The plan's {key} is {given[key]!r}, but text is wanted.")
        if given.get("decimal") not in (None, ".", ","):
            raise ParameterError(f"The plan's decimal is {given['decimal']!r}, but '.' or ',' is wanted.")
        if not isinstance(given["columns"], list):
            raise ParameterError("The plan's columns are not a list. Give one entry a column.")
        plan = cls(
            given["target"],
            task,
            given.get("task_reason"),
            [_column(column) for column in given["columns"]],
            given.get("weight"),
            given.get("offset"),
            given.get("decimal"),
        )
        plan.require_one_role_each()
        return plan

    def require_fit(self, schema: pa.Schema, name: str) -> None:
        """Raise unless a source of this schema has what the plan speaks of.

        Raises
        ------
        ParameterError
            For a column that is not there, with the nearest name, or is of a type that its kind does not take.
        TargetError
            For a target that can be none.
        """
        types = dict(zip(schema.names, schema.types, strict=True))
        for role in (self.target, self.weight, self.offset, *(column.name for column in self.columns)):
            if role is not None:
                require_known(role, types, f"The plan speaks of a column {role!r}, but {name!r} has none")
        require_target_type(self.named_target, types[self.named_target])
        for column in self.columns:
            type_ = types[column.name]
            if not KINDS[column.kind].accepts(type_):
                fitting = ", ".join(kind for kind, page in KINDS.items() if page.accepts(type_))
                raise ParameterError(
                    f"Column {column.name!r} is of type {type_}, which cannot be of kind {column.kind!r}. It can be: {fitting}."
                )

    def require_one_role_each(self) -> None:
        """Raise `ParameterError` if a column is spoken of more than once."""
        roles = [role for role in (self.target, self.weight, self.offset) if role is not None]
        times = Counter(roles + [column.name for column in self.columns])
        for name, count in times.items():
            if count > 1:
                raise ParameterError(
                    f"The plan speaks of column {name!r} more than once. Give each column one role."
                )


def require_known(column: str, known: Collection[str], what: str) -> None:
    """Raise `ParameterError`, its message beginning with `what`, if there is no such column."""
    if column not in known:
        raise ParameterError(f"{what}.{which_one(column, known)}")


def _json(value):
    return json.dumps(value, ensure_ascii=False)


def _column(given):
    """One entry of the plan's list."""
    if not isinstance(given, dict) or not isinstance(given.get("name"), str) or "kind" not in given:
        raise ParameterError(
            f'The plan\'s columns hold {given!r}, but {{"name": ..., "kind": ...}} is wanted.'
        )
    options = {key: value for key, value in given.items() if key not in {"name", "type", "kind", "notation"}}
    notation = str(given.get("notation", ""))
    return ColumnPlan.of(given["name"], str(given.get("type", "")), given["kind"], options, notation=notation)


def _require_keys(what, given, needed, allowed):
    if not isinstance(given, dict):
        raise ParameterError(f"{what} is not a JSON object. Write one with --plan, and edit that.")
    for key in needed - set(given):
        raise ParameterError(f"{what} has no {key!r}. Put it back.")
    for key in given:
        if key not in needed | allowed:
            raise ParameterError(
                f"{what} has {key!r}, which means nothing.{did_you_mean(key, needed | allowed)}"
            )
