"""Which pass follows which.

::

    dual ──▶ dual ──▶ ... ──▶ check ──▶ the end
                              │   ├──▶ dual ──▶ ... ──▶ check ──▶ ...
                              │   └──▶ active ──▶ active ──▶ ... ──▶ the end
                              │          ▲│
                              │          │▼
                              └─────▶ full ──▶ full ──▶ ... ──▶ the end

With an L1 penalty, active passes follow dual ones; full ones take over where too many columns count.
"""

from __future__ import annotations

import math

import numpy as np

from fallline.engines.saga.passes import Pass
from fallline.kernels.saga import SagaMemory
from fallline.objective.losses import is_coupled

__all__ = [
    "after_active",
    "after_check",
    "after_dual",
    "after_full",
    "in_groups",
    "room_for_columns",
    "room_for_pairs",
]

# Where so many dual passes leave more than this of what was left before, others take over: after this many. Beside an L1 penalty
# that is sooner, since active passes are almost sure to be faster.
_PATIENCE, _ACTIVE_PATIENCE = (5, 0.8, 15), (3, 0.5, 5)
# After this many dual passes there is a check now and then, whatever is expected: when there are so many more.
_LONG, _MORE = 24, 1.25
# A check is tried where the estimate is so many times the tolerance. After so many in vain there are more passes between them.
_HOPE, _CHECKS = 1.3, 2
# Of what an exact look finds, how much less the estimate before may have said for it to be of use from then on.
_DOUBT = 1e4
_PAIRS, _FEWEST_PAIRS, _PAIR_BYTES = 20, 3, 2**30
# Coefficients that share the curvature of active columns, at most; and of these columns, how many may be so at first, since
# others are to join them.
_COEFFICIENTS, _ROOMY = 3000, 0.5
# Columns for which there has to be room; and how often full passes of one kind follow those of the other.
_LEAST_ROOM, _MOST_BEGUN = 30, 4
# What quasi-Newton passes leave at most of what they have gained, when active ones finish.
_CLOSE = 0.01


def after_dual(here: Pass, left: float, objective: float) -> None:
    """How to go on, given an estimate of what is left to gain: check it, or go on."""
    note = here.note
    note["expected"] = left
    note["remained"] = [*note["remained"], left][-_PATIENCE[0] :]
    here.judge(left * note["doubt"], objective)
    little = note["left"] <= _HOPE * here.engine.tolerance
    if note["found"] is not None:
        # What a check found is surer than any estimate since.
        here.judge(note["found"], objective)
    due = note["passes"] >= max(_LONG, _MORE * note["checked"])
    rested = note["passes"] > note["checked"] + max(note["checks"] - _CHECKS, 0)
    if due or (rested and (little or (_seems_slow(here) and _faster(here)))):
        note["stage"] = "check"


def after_check(here: Pass, left: float, objective: float) -> None:
    """How to go on, given a bound of what is left to gain: end, or go on by what was faster."""
    note = here.note
    if here.judge(left, objective):
        here.end_training()
        return
    then, since = note["found"], note["passes"] - note["checked"]
    passes, share, _ = _patience(here)
    slow = then is not None and note["passes"] >= passes and left > then * share ** (since / passes)
    note["doubt"] = left / max(note["expected"], left / _DOUBT)
    note.update(stage="dual", found=left, checked=note["passes"], checks=note["checks"] + 1)
    if (slow or _seems_slow(here)) and _faster(here):
        _set_out(here, left, objective)
        note["stage"] = _faster(here)


def _patience(here):
    return _ACTIVE_PATIENCE if here.absolute else _PATIENCE


def _seems_slow(here):
    """Whether estimates say that dual passes leave much."""
    note, (passes, share, least) = here.note, _patience(here)
    remained = note["remained"][-passes:]
    return note["passes"] >= least and remained[-1] > share * remained[0]


def _set_out(here, left, objective):
    """Begin full passes where dual ones have come to; but at intercepts alone, if that is worse.

    Beside an L1 penalty they are also begun there if more may be left than has been gained, or too many columns count.
    """
    memory, note = here.memory, here.note
    worse = not objective < note["null_objective"]
    if here.absolute and room_for_columns(here) >= _LEAST_ROOM:
        worse = worse or objective + left > note["null_objective"] or not _has_room(here)
    if worse and not note["warm"]:
        memory.centre[:-1] = 0.0
        memory.centre[-1] = memory.null[0]
    memory.point[:] = memory.centre


def _faster(here):
    """The passes that can be made of what is left, where dual ones are slow; None if there are no others."""
    if here.corners:
        return None
    if here.absolute and _has_room(here):
        return "active"
    return "full" if room_for_pairs(here.memory) >= _FEWEST_PAIRS else None


def _has_room(here):
    """Whether the columns that count can be active, and others join them."""
    room, columns = room_for_columns(here), in_groups(here, here.memory.centre[:-1] != 0.0)
    return room >= _LEAST_ROOM and max(map(np.count_nonzero, columns)) <= _ROOMY * room


def after_active(here: Pass) -> None:
    """Go on by quasi-Newton passes, if there is room for their steps."""
    if here.note["ended"] is None and room_for_pairs(here.memory) >= _FEWEST_PAIRS:
        _begin_anew(here, "full")


def after_full(here: Pass) -> None:
    """Finish by active passes, where quasi-Newton ones beside an L1 penalty have left few columns that count."""
    note = here.note
    close = here.absolute and note["ended"] is None and note["left"] < _CLOSE
    if close and note["begun"] < _MOST_BEGUN and _has_room(here):
        _begin_anew(here, "active")


def _begin_anew(here, stage):
    """Begin full passes of another kind, which find no arrays of those before."""
    memory, note = here.memory, here.note
    names = ("kept", "steps", "changes", "active", "edges", "bent", "waiting")
    memory.point[:] = memory.centre
    here.put(
        **{name: np.zeros((0,) * part.ndim, part.dtype) for name in names for part in [getattr(memory, name)]}
    )
    note.update(stage=stage, pairs=0, objective=None, objectives=[], begun=note["begun"] + 1)


def in_groups(here: Pass, found: np.ndarray) -> list[np.ndarray]:
    """The largest of what was found of a column, for each group of outputs that share a curvature."""
    return [found.max(axis=1)] if is_coupled(here.engine.loss) else list(found.T)


def room_for_columns(here: Pass) -> int:
    """How many columns of a group of outputs can share a curvature."""
    outputs = here.memory.point.shape[1]
    return int(_COEFFICIENTS / (outputs if is_coupled(here.engine.loss) else math.sqrt(outputs))) - 1


def room_for_pairs(memory: SagaMemory) -> int:
    """How many steps can be remembered."""
    return min(_PAIRS, _PAIR_BYTES // (2 * memory.point.nbytes))
