"""Which pass follows which.

::

    dual ──▶ dual ──▶ ... ──▶ check ──▶ the end
                              │   └──▶ dual ──▶ ... ──▶ check ──▶ ...
                              └──▶ full ──▶ full ──▶ ... ──▶ the end
"""

from __future__ import annotations

from fallline.engines.saga.passes import Pass
from fallline.kernels.saga import SagaMemory

__all__ = ["after_check", "after_dual", "room_for_pairs"]

# Where so many dual passes leave more than this of what was left before, full ones take over: after this many.
_PATIENCE, _SLOW, _DUAL_PASSES = 5, 0.8, 15
# After this many dual passes there is a check now and then, whatever is expected: when there are so many more.
_LONG, _MORE = 24, 1.25
# A check is tried where the estimate is so many times the tolerance. After so many in vain there are more passes between them.
_HOPE, _CHECKS = 1.3, 2
# Of what an exact look finds, how much less the estimate before may have said for it to be of use from then on.
_DOUBT = 1e4
_PAIRS, _FEWEST_PAIRS, _PAIR_BYTES = 20, 3, 2**30


def after_dual(here: Pass, left: float, objective: float) -> None:
    """How to go on, given an estimate of what is left to gain: check it, or go on."""
    note = here.note
    note["expected"] = left
    note["remained"] = [*note["remained"], left][-_PATIENCE:]
    here.judge(left * note["doubt"], objective)
    little = note["left"] <= _HOPE * here.engine.tolerance
    if note["found"] is not None:
        # What a check found is surer than any estimate since.
        here.judge(note["found"], objective)
    due = note["passes"] >= max(_LONG, _MORE * note["checked"])
    rested = note["passes"] > note["checked"] + max(note["checks"] - _CHECKS, 0)
    if due or (rested and (little or (_seems_slow(note) and _may_go_full(here)))):
        note["stage"] = "check"


def after_check(here: Pass, left: float, objective: float) -> None:
    """How to go on, given a bound of what is left to gain: end, or go on by what was faster."""
    note = here.note
    if here.judge(left, objective):
        here.end_training()
        return
    then, since = note["found"], note["passes"] - note["checked"]
    slow = then is not None and note["passes"] >= _PATIENCE and left > then * _SLOW ** (since / _PATIENCE)
    note["doubt"] = left / max(note["expected"], left / _DOUBT)
    note.update(stage="dual", found=left, checked=note["passes"], checks=note["checks"] + 1)
    if (slow or _seems_slow(note)) and _may_go_full(here):
        note["stage"] = "full"
        here.memory.point[:] = here.memory.centre


def _seems_slow(note):
    """Whether estimates say that dual passes leave much."""
    return note["passes"] >= _DUAL_PASSES and note["remained"][-1] > _SLOW * note["remained"][0]


def _may_go_full(here):
    """Whether full passes can be made of what is left."""
    return here.is_smooth and room_for_pairs(here.memory) >= _FEWEST_PAIRS


def room_for_pairs(memory: SagaMemory) -> int:
    """How many steps can be remembered."""
    return min(_PAIRS, _PAIR_BYTES // (2 * memory.point.nbytes))
