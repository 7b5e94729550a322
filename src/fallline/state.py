"""All that changes while training, and the cursor: save it, and training can go on elsewhere as if never stopped."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fallline.errors import StateError
from fallline.files import checksum_of, written_whole
from fallline.kernels.curvature import NewtonMemory
from fallline.kernels.saga import SagaMemory
from fallline.kernels.sweep import Memory, Sums

__all__ = ["SavedMemory", "State", "Stop"]

_FORMAT = 6
# What engines of linear models remember, by the name in the file.
_MEMORIES = {"descent": Memory, "newton": NewtonMemory, "saga": SagaMemory}


class Stop(NamedTuple):
    """Why training ended.

    Parameters
    ----------
    reason : str
        One of "epochs", "updates", "converged", "early_stopping", "time_limit", "interrupted".
    message : str
        The same for people, as the end of the sentence "Training stopped because ...".
    """

    reason: str
    message: str


class SavedMemory(NamedTuple):
    """What an engine of another kind remembered, as it was read from a file; that engine takes it up when training goes on.

    Parameters
    ----------
    kind : str
        What the memory called itself.
    clock : ndarray
        Rows in the unfinished batch, updates made, and what else the engine counts.
    arrays : dict of str to ndarray
        What its `to_arrays` gave: all the rest, the best weights included.
    """

    kind: str
    clock: np.ndarray
    arrays: dict[str, np.ndarray]

    def to_arrays(self, best: None) -> dict[str, np.ndarray]:  # noqa: ARG002 (the best weights are among them)
        """The same arrays."""
        return self.arrays


@dataclass
class State:
    """The state of a training run.

    Parameters
    ----------
    memory : NamedTuple of arrays, or any value with `kind`, `clock` and `to_arrays`
        What the engine remembers: weights, all else that its updates need, the unfinished batch. Its `clock` counts the rows in
        the unfinished batch and the updates made.
    epoch : int
        Finished epochs.
    position : int
        Rows consumed in the epoch under way.
    rows : int
        Rows consumed in all.
    seconds : float
        Time spent training, waiting for rows included, and monitors left out.
    rate_factor : float
        What the schedule's rate is multiplied by.
    loss_sum : float
        Sum of weight times loss over the epoch under way, each row at the weights it met.
    gradient_norm, rate : float
        Of the last update.
    history : list of dict
        One record an epoch, and more within long ones.
    notes : dict of dict
        What each monitor has to remember, by its name; under "solver" what the engine does beside arrays, under "choice" which
        engine was chosen and why, under "learning_rate" and "batch_size" what was looked for and found.
    best : ndarray, what else an engine calls weights, or None
        The best weights so far, where a monitor keeps them.
    """

    memory: Any
    epoch: int = 0
    position: int = 0
    rows: int = 0
    seconds: float = 0.0
    rate_factor: float = 1.0
    loss_sum: float = 0.0
    gradient_norm: float = 0.0
    rate: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)
    best: Any = None

    @property
    def updates(self) -> int:
        """Updates made so far."""
        return int(self.memory.clock[1])

    @property
    def pending(self) -> int:
        """Rows in the unfinished batch."""
        return int(self.memory.clock[0])

    def advance(self, sums: Sums, position: int, seconds: float) -> None:
        """Take a swept block into account, which ended at a position of the epoch."""
        self.rows += sums.rows
        self.position = position
        self.seconds += seconds
        self.loss_sum = sums.loss
        if not math.isnan(sums.rate):
            self.gradient_norm, self.rate = sums.gradient_norm, sums.rate

    def end_epoch(self, penalty: float, rows: int) -> None:
        """Write the epoch's record and begin the next."""
        loss = self.loss_sum / rows
        self.epoch += 1
        self.history.append({**self.record(loss), "objective": loss + penalty})
        self.position, self.loss_sum = 0, 0.0

    def record(self, loss: float) -> dict[str, Any]:
        """Where training stands, given the mean loss of the epoch's rows so far."""
        return {
            "epoch": self.epoch,
            "rows": self.rows,
            "updates": self.updates,
            "seconds": self.seconds,
            "loss": loss,
            "gradient_norm": self.gradient_norm,
            "learning_rate": self.rate,
        }

    def note(self, name: str, **initial: Any) -> dict[str, Any]:
        """What the monitor of that name remembers, with these values at the beginning."""
        return self.notes.setdefault(name, initial)

    def save(self, path: str | os.PathLike) -> None:
        """Write the state to a safetensors file, whole or not at all."""
        from safetensors.numpy import save

        kind, arrays = self._memory_to_arrays()
        scalars = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("memory", "best")}
        arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        text = json.dumps(scalars)
        metadata = {
            "format": f"fallline-state-{_FORMAT}",
            "memory": kind,
            "scalars": text,
            "checksum": checksum_of(kind + text, arrays),
        }
        content = save(arrays, metadata)
        with written_whole(path) as file:
            file.write(content)

    def _memory_to_arrays(self):
        """The kind of the memory, and the memory and the best weights as arrays."""
        for name, kind in _MEMORIES.items():
            if isinstance(self.memory, kind):
                best = {} if self.best is None else {"best": self.best}
                return name, self.memory._asdict() | best
        return self.memory.kind, {"clock": self.memory.clock} | self.memory.to_arrays(self.best)

    @classmethod
    def load(cls, path: str | os.PathLike) -> State:
        """Read a state that `save` wrote.

        Raises
        ------
        StateError
            If the file is missing, damaged or not a state.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(Path(path), "numpy") as file:
                metadata = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        except FileNotFoundError:
            raise StateError(
                f"There is no file {str(path)!r} to read a state from. Check the path."
            ) from None
        except (OSError, SafetensorError) as error:
            raise StateError(
                f"{str(path)!r} cannot be read as a saved state ({error}). It may be damaged or another kind of file."
            ) from error
        if metadata.get("format") != f"fallline-state-{_FORMAT}":
            raise StateError(
                f"{str(path)!r} has format {metadata.get('format')!r}, but this version reads 'fallline-state-{_FORMAT}'. "
                "Use the version that wrote it, or start anew."
            )
        try:
            kind, text = metadata["memory"], metadata["scalars"]
            _require_whole(metadata["checksum"], checksum_of(kind + text, arrays))
            scalars = json.loads(text)
            if kind not in _MEMORIES:
                return cls(SavedMemory(kind, arrays.pop("clock"), arrays), **scalars)
            best = arrays.pop("best", None)
            return cls(_MEMORIES[kind](**arrays), best=best, **scalars)
        except (KeyError, TypeError, ValueError) as error:
            raise StateError(
                f"{str(path)!r} is not a whole state ({error}). Start anew, or from another one."
            ) from error


def _require_whole(written, found):
    if written != found:
        raise ValueError("its checksum does not match")
