"""The history of a training run."""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.state import Stop

__all__ = ["History"]


class History(list):
    """The records of a training run, one dict an epoch and more within long ones; ``pandas.DataFrame(history)`` works.

    Each record has "epoch" (finished epochs), "rows", "updates" and "seconds" so far, the mean "loss" over the epoch's rows
    as they were met, "gradient_norm" and "learning_rate" of the last update; at the end of an epoch also "objective" (loss
    plus penalty), and with validation "validation_loss" and "validation_score". Records of the solvers "newton" and "saga" have
    "batch_size" and "step" (how much of what was proposed was done), and at the end of an epoch "optimality".

    Attributes
    ----------
    stop : Stop
        Why training ended: `stop.reason` in one word, `stop.message` in a sentence.
    choices : dict
        What was chosen and why: the "solver" always, "learning_rate" and "batch_size" where they were looked for.
    encoder : Encoder or None
        What made numbers of the columns of files or of a table that a module was trained on; for `fallline.torch.predict`.
    """

    def __init__(
        self,
        records: list[dict[str, Any]],
        stop: Stop,
        notes: dict[str, Any] | None = None,
        encoder: Any = None,
    ):
        super().__init__(records)
        self.encoder = encoder
        self.stop = stop
        notes = notes or {}
        self.choices = {"solver": notes.get("choice")} | {
            name: notes[name] for name in ("learning_rate", "batch_size") if name in notes
        }

    def column(self, name: str) -> np.ndarray:
        """One quantity over all records; NaN where a record does not have it."""
        return np.array([record.get(name, np.nan) for record in self])
