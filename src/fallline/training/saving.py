"""Where training is saved, and what has to be the same to go on from there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import fallline
from fallline.data.prepared import Prepared
from fallline.data.rows import ArraySource, TrainingSource
from fallline.engines.together import rows_from
from fallline.monitors.checkpoint import Checkpoint, gone_on_from, mark_of
from fallline.parallel.agreeing import told_by_first
from fallline.parallel.alone import Alone
from fallline.state import State, Stop
from fallline.training.held_out import HeldOut

__all__ = ["Saving"]


class Saving(NamedTuple):
    """A checkpoint, and the settings that determine what comes of training.

    Parameters
    ----------
    path : Path
    settings : mapping
    """

    path: Path
    settings: Mapping[str, Any]

    def begin(
        self,
        prepared: Prepared,
        training: TrainingSource,
        held_out: HeldOut,
        window_bytes: int,
        processes: Alone,
    ) -> tuple[Checkpoint, tuple[State, Stop | None] | None]:
        """What writes the checkpoint; and the state in it and why training ended, where there are such.

        Raises
        ------
        StateError
            If it is of another training run.
        """
        in_memory = isinstance(rows_from(training), ArraySource)
        divided = rows_from(training) is not training
        determining = {
            **self.settings,
            "validation": held_out.fraction if held_out.source is None else held_out.source.fingerprint,
            "data and encoding": prepared.key,
            "shuffling": "of all rows" if in_memory else f"in {window_bytes:,} bytes (--memory)",
            "number of processes": processes.size if divided else "any",
            "fallline": fallline.__version__,
        }
        marks = {name: mark_of(value) for name, value in determining.items()}
        return Checkpoint(self.path, marks), told_by_first(processes, lambda: gone_on_from(self.path, marks))
