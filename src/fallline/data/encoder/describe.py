"""A plan or an encoder as a table for people."""

from __future__ import annotations

from typing import NamedTuple

from fallline.data.encoder.encoder import Encoder
from fallline.data.encoder.plan import ColumnPlan, Plan

__all__ = ["Described", "describe"]

_ROLES = {"weight": "how much a row counts", "offset": "added to the score"}
_PLANNED = {
    "number": "standardised",
    "boolean": "1 if true",
    "category": "one-hot, or hashed if there are many",
    "date": "standardised; year, month, weekday and hour where they vary",
    "text": "words, hashed",
    "sparse": "scaled",
    "ignore": "left out",
}


class Described(NamedTuple):
    """A row of the table.

    Parameters
    ----------
    column, type, kind : str
        Name, Arrow type, and kind or role.
    becomes : str
        What is made of it.
    features : int or None
        How many features; None before the pass.
    missing : float or None
        The share of rows without a value: of the sample, before the pass.
    distinct : int or None
        Distinct values: of the sample, before the pass.
    examples : str
    """

    column: str
    type: str
    kind: str
    becomes: str
    features: int | None
    missing: float | None
    distinct: int | None
    examples: str


def describe(what: Plan | Encoder) -> list[Described]:
    """A row for each column: the target first, then those with other roles, then the others in order."""
    plan = what if isinstance(what, Plan) else what.plan
    roles = [
        (role, name) for role, name in (("weight", plan.weight), ("offset", plan.offset)) if name is not None
    ]
    rows = [] if plan.target is None else [_target(plan.target, what)]
    rows += [Described(name, "", role, _ROLES[role], None, None, None, "") for role, name in roles]
    return rows + ([_planned(column) for column in plan.columns] if isinstance(what, Plan) else _fitted(what))


def _target(name: str, what: Plan | Encoder) -> Described:
    row = Described(name, "", "target", f"predicted: {what.task}", None, None, None, "")
    if isinstance(what, Plan) or what.classes is None:
        return row
    shown = ", ".join(map(str, what.classes[:5])) + (", ..." if len(what.classes) > 5 else "")
    return row._replace(distinct=len(what.classes), examples=shown)


def _planned(column: ColumnPlan) -> Described:
    becomes = _PLANNED[column.kind] + (f": {column.note}" if column.note else "")
    seen = column.glance
    if seen is None:
        return Described(column.name, column.type, column.kind, becomes, None, None, None, "")
    share = seen.missing / max(seen.rows, 1)
    examples = ", ".join(seen.examples)
    return Described(column.name, column.type, column.kind, becomes, None, share, seen.distinct, examples)


def _fitted(encoder: Encoder) -> list[Described]:
    features = encoder.layout.counts()
    becomes = {column.name: column.becomes for column in encoder.columns}
    profiles = {profile.name: profile for profile in encoder.profiles}
    rows = []
    for column in encoder.plan.columns:
        profile = profiles.get(column.name)
        share = distinct = None
        if profile is not None:
            share, distinct = profile.missing / encoder.counts.used, profile.distinct
        rows.append(
            Described(
                column.name,
                column.type,
                column.kind,
                becomes.get(column.name, "left out"),
                features.get(column.name, 0),
                share,
                distinct,
                ", ".join(profile.examples) if profile is not None else "",
            )
        )
    return rows
