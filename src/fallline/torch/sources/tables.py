"""Files and tables with a target among their columns: encoded, cached and read in windows as `fallline.train` does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from fallline.data.budget import Budget, memory_budget
from fallline.data.encoder import Encoder, Plan
from fallline.data.further import open_further, require_columns
from fallline.data.order import Order
from fallline.data.part import ALL, Part
from fallline.data.prepared import Prepared, Preparing, encoded, prepare
from fallline.data.sources.options import ReadOptions
from fallline.data.windows import WindowSource
from fallline.engines.module.blocks import TensorBlock
from fallline.engines.module.tensors import TensorSource, tensors_of
from fallline.objective.domains import ANY_NUMBER
from fallline.training.opening import cache_folder, opened

__all__ = ["Reading", "TableSource"]


class Reading(NamedTuple):
    """How files and tables are read.

    Parameters
    ----------
    weight : str or None
        The column that says how much a row counts.
    task : str or None
        "binary", "multiclass" or "regression"; by default what the target looks like.
    plan : str, Plan or None
        What becomes of each column, in JSON as `fallline inspect` writes it.
    memory : str, int or None
        How much to use.
    cache : path or bool
        Where encoded rows are kept.
    options : ReadOptions
        Of formats.
    tell : callable
        Told the share of the preparation that is done, and what is being done.
    encoder : Encoder or None
        What made numbers of the columns of the rows trained on; None to learn that from these.
    """

    weight: str | None = None
    task: str | None = None
    plan: str | Plan | None = None
    memory: str | int | None = None
    cache: str | os.PathLike | bool = True
    options: ReadOptions = ReadOptions()
    tell: Callable[[float, str], None] = lambda share, what: None  # noqa: ARG005
    encoder: Encoder | None = None


class TableSource:
    """Encoded rows of files or a table: see `TrainingSource`.

    Classes are numbered from 0, in the order of `encoder.classes`; numbers to predict stay as they are.

    Attributes
    ----------
    encoder : Encoder
    """

    n_rows: int
    n_columns: int
    n_targets: int
    numbers_a_row: float
    dtype: np.dtype

    def __init__(
        self, prepared: Prepared, budget: Budget, *, sparse: bool, part: Part = ALL, source: Any = None
    ):
        self._prepared, self._budget, self._sparse, self._part = prepared, budget, sparse, part
        self.encoder: Encoder = prepared.encoder
        self._rows = prepared.source(part, budget)
        self._source = source or self._tensors()

    @classmethod
    def of(cls, data: Any, target: str | None, how: Reading, *, sparse: bool) -> TableSource:
        """Prepare all rows.

        Raises
        ------
        InputError, ParameterError
            As for `fallline.train`.
        """
        budget = memory_budget(how.memory)
        preparing = Preparing(
            budget, None, standardise_target=False, domain=ANY_NUMBER, loss="", tell=how.tell
        )
        if how.encoder is not None:
            return cls(_encoded(data, how.encoder, how.options, preparing), budget, sparse=sparse)
        asked = {
            "weight": how.weight, "offset": None, "ignore": (), "categorical": (), "text": (), "task": how.task,
        }  # fmt: skip
        source, plan, _ = opened(data, target, how.plan, asked, None, how.options)
        prepared = prepare(source, plan, preparing._replace(folder=cache_folder(how.cache)))
        return cls(prepared, budget, sparse=sparse)

    def __getattr__(self, name: str) -> Any:
        """What the encoded rows say of themselves."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._source, name)

    def blocks(
        self, order: Order, epoch: int, position: int, size: Callable[[], int]
    ) -> Iterator[tuple[TensorBlock, int]]:
        """See `TrainingSource.blocks`. A block's tensors may be written over when the next is asked for."""
        return self._source.blocks(order, epoch, position, size)

    def targets(self) -> tuple[np.ndarray, np.ndarray]:
        """See `TrainingSource.targets`."""
        return self._source.targets()

    def require_finite(self, rows: Any) -> None:
        """See `TrainingSource.require_finite`."""
        self._source.require_finite(rows)

    def split(self, fraction: float, seed: int) -> tuple[TableSource, TableSource]:
        """Rows to train on, and rows held out: a fraction of each block of the cache."""
        rest, held = (
            TableSource(
                self._prepared, self._budget, sparse=self._sparse, part=Part(seed, fraction, held_out=held)
            )
            for held in (False, True)
        )
        return rest, held

    @property
    def window_bytes(self) -> int:
        """Bytes of memory for windows of rows; 0 where all rows are in memory."""
        return self._budget.window_bytes if isinstance(self._rows, WindowSource) else 0

    def on(self, device: torch.device, share: float) -> TableSource:
        """See `TensorSource.on`; rows of windows are where they were read."""
        if not isinstance(self._source, TensorSource):
            return self
        moved = self._source.on(device, share)
        return TableSource(self._prepared, self._budget, sparse=self._sparse, part=self._part, source=moved)

    def close(self) -> None:
        """Give back the memory of windows."""
        if isinstance(self._rows, WindowSource):
            self._rows.close()

    def _tensors(self):
        classes, weighted = self.encoder.classes, self.encoder.plan.weight is not None
        n_classes = None if classes is None else len(classes)
        return tensors_of(self._rows, n_classes, weighted=weighted, sparse=self._sparse)


def _encoded(data, encoder, options, how):
    """Further rows, with the columns of those trained on."""
    source = open_further(data, encoder.plan, options)
    require_columns(source, encoder.reads, "which the module is trained on")
    return encoded(source, encoder, how)
