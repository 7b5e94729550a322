"""Rows to measure on: a fraction of those to train on, or other data."""

from __future__ import annotations

from typing import Any, NamedTuple

from fallline.data.prepared import Prepared, Preparing, encoded
from fallline.data.rows import TrainingSource
from fallline.data.sources import open_source
from fallline.data.sources.base import Source
from fallline.data.sources.options import ReadOptions
from fallline.data.windows import Part
from fallline.errors import ParameterError
from fallline.settings import number

__all__ = ["HeldOut"]


class HeldOut(NamedTuple):
    """What was given as `validation`.

    Parameters
    ----------
    fraction : float
        Of the rows; 0 for none.
    seed : int
        Chooses them.
    source : Source or None
        Other data.
    """

    fraction: float
    seed: int
    source: Source | None

    @classmethod
    def of(cls, validation: Any, seed: int, options: ReadOptions) -> HeldOut:
        """Understand what was given."""
        if validation is None:
            return cls(0.0, seed, None)
        if isinstance(validation, (int, float)):
            return cls(number("validation", validation, above=0, below=1), seed, None)
        return cls(0.0, seed, open_source(validation, options=options))

    def parts(self, prepared: Prepared, how: Preparing) -> tuple[TrainingSource, TrainingSource | None]:
        """Rows to train on, and rows to measure on, if any."""
        training = prepared.source(Part(self.seed, self.fraction), how.budget)
        if self.source is not None:
            other = encoded(self.source, prepared.encoder, how._replace(tell=lambda share, what: None, folder=None))
            return training, other.source(Part(), how.budget)
        if not self.fraction:
            return training, None
        judging = prepared.source(Part(self.seed, self.fraction, held_out=True), how.budget)
        if not (training.n_rows and judging.n_rows):
            raise ParameterError(
                f"validation={self.fraction:g} of {prepared.n_rows:,} rows leaves none to train or to measure on. Choose another."
            )
        return training, judging


