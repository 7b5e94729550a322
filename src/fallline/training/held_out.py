"""Rows to measure on: a fraction of those to train on, or other data."""

from __future__ import annotations

from typing import Any, NamedTuple

from fallline.data.encoder import Encoder, Plan
from fallline.data.further import open_further, require_columns
from fallline.data.part import ALL, Part
from fallline.data.prepared import Prepared, Preparing, encoded
from fallline.data.rows import TrainingSource
from fallline.data.shared import Shared, shared
from fallline.data.sources.base import Source
from fallline.data.sources.options import ReadOptions
from fallline.errors import ParameterError
from fallline.parallel.alone import Alone
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
    def of(cls, validation: Any, seed: int, plan: Plan, options: ReadOptions) -> HeldOut:
        """Understand what was given, before any long work."""
        if validation is None:
            return cls(0.0, seed, None)
        if isinstance(validation, (int, float)):
            return cls(number("validation", validation, above=0, below=1), seed, None)
        source = open_further(validation, plan, options)
        require_columns(source, [plan.target, plan.weight, plan.offset], "which validation needs")
        return cls(0.0, seed, source)

    def parts(
        self, prepared: Prepared, how: Preparing, among: Alone | None = None
    ) -> tuple[TrainingSource, TrainingSource | None]:
        """Rows to train on, and rows to measure on, if any; divided among these processes."""

        def source(part: Part) -> TrainingSource:
            if among is None:
                return prepared.source(part, how.budget)
            return shared(prepared, part, how.budget, among)

        training = source(Part(self.seed, self.fraction))
        if self.source is not None:
            return training, self._others(self.source, prepared.encoder, how)
        if not self.fraction:
            return training, None
        judging = source(self._part)
        if not (training.n_rows and judging.n_rows):
            raise ParameterError(
                f"validation={self.fraction:g} of {prepared.n_rows:,} rows leaves none to train or to measure on. Choose another."
            )
        return training, judging

    def whole(self, judging: TrainingSource, prepared: Prepared, how: Preparing) -> TrainingSource:
        """All rows to measure on, of which `judging` may be divided."""
        return prepared.source(self._part, how.budget) if isinstance(judging, Shared) else judging

    @property
    def _part(self):
        return Part(self.seed, self.fraction, held_out=True)

    @staticmethod
    def _others(source: Source, encoder: Encoder, how: Preparing) -> TrainingSource:
        require_columns(source, encoder.reads, "which the model is trained on")
        return encoded(source, encoder, how).source(ALL, how.budget)
