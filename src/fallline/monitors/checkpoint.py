"""The state in a file, so that training that was ended by anything goes on from there, and comes to the same bits."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fallline.errors import FalllineWarning, StateError
from fallline.monitors.base import Monitor
from fallline.state import State, Stop

__all__ = ["Checkpoint", "gone_on_from", "mark_of"]

_NAME = "checkpoint"
# At the end of an epoch the state is written if the last time was so many seconds ago; and never more than this share of the time
# goes into writing it.
_EPOCH, _SHARE = 1.0, 0.05
# Training that ended so has ended; after any other end, it goes on.
_ENDED = ("epochs", "updates", "converged", "early_stopping")


class Checkpoint(Monitor):
    """Writes the state to a file every so many seconds, at the end of epochs, and at the end; whole or not at all.

    Of many processes, the first writes, between batches. Where the file cannot be written, there is a warning. It stays when
    training has ended: who trains again gets what came of it.

    Parameters
    ----------
    path : path
    marks : mapping of str to str
        What determines the result, such as settings and data: training goes on from the file only where they are the same.
    seconds : float
        How often to write within epochs.
    """

    def __init__(self, path: str | os.PathLike, marks: Mapping[str, str], seconds: float = 30.0):
        self.path = Path(path)
        self.marks = dict(marks)
        self.seconds = seconds
        self._written, self._took = 0.0, 0.0

    @contextmanager
    def watching(self, run):
        self._written = time.monotonic()
        yield

    def after_block(self, run):
        if self._is_due(self.seconds):
            self._write(run)

    def before_epoch(self, run):
        if self._is_due(min(_EPOCH, self.seconds)):
            self._write(run)

    def finish(self, run, stop):
        self._write(run, stop)

    def _is_due(self, seconds):
        return time.monotonic() - self._written >= max(seconds, self._took / _SHARE)

    def _write(self, run, stop=None):
        # Of an unfinished batch, each process has rows of its own: then what was written last stays.
        if run.processes.size > 1 and run.state.pending:
            return
        began = time.monotonic()
        if run.processes.rank == 0:
            ended = stop is not None and stop.reason in _ENDED
            run.state.notes[_NAME] = {"marks": self.marks, "ended": list(stop) if ended else None}
            try:
                run.state.save(self.path)
            except OSError as error:
                warnings.warn(
                    f"The checkpoint {str(self.path)!r} cannot be written ({error.strerror}). Training goes on; what was written "
                    "before stays. Make room, or give another path.",
                    FalllineWarning,
                    stacklevel=2,
                )
            del run.state.notes[_NAME]
        self._written = time.monotonic()
        self._took = self._written - began


def gone_on_from(path: str | os.PathLike, marks: Mapping[str, str]) -> tuple[State, Stop | None] | None:
    """The state in a checkpoint and, if training has ended, why; None where there is no file yet.

    Raises
    ------
    StateError
        If the file is damaged or not a checkpoint, or its marks are not these: the message says which is not.
    """
    if not Path(path).exists():
        return None
    state = State.load(path)
    note = state.notes.pop(_NAME, None)
    if note is None:
        raise StateError(f"{str(path)!r} is a saved state, but not a checkpoint. Give another path.")
    theirs = note["marks"]
    for name in {**theirs, **marks}:
        there, here = theirs.get(name, "not there"), marks.get(name, "not there")
        if there != here:
            raise StateError(
                f"The checkpoint {str(path)!r} is of another training run: its {name} is {there}, but here it is {here}. "
                "Make them the same to go on from it; or give another path, or remove the file, to begin anew."
            )
    return state, None if note["ended"] is None else Stop(*note["ended"])


def mark_of(value: Any) -> str:
    """A setting as a text that is the same in every process for the same setting."""
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return f"[{', '.join(map(mark_of, value))}]"
    name = getattr(value, "__qualname__", None)
    return repr(value) if name is None else f"{value.__module__}:{name}"
