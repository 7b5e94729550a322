"""Map-style datasets: samples loaded by their numbers, batch by batch, in an order that is fallline's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, default_collate

from fallline.data.order import Order
from fallline.engines.base import IN_ORDER
from fallline.engines.module.blocks import LoadedBatch
from fallline.engines.module.tensors import held_out, in_rows, numbers_of
from fallline.engines.module.trees import mapped
from fallline.errors import InputError, StateError
from fallline.kernels.order import select
from fallline.torch.sources.samples import NO_KEYS, Keys, parted, require_finite_batch
from fallline.torch.sources.seeding import seeded

__all__ = ["DatasetSource"]


class DatasetSource:
    """Samples of a dataset, in batches: see `TrainingSource`.

    What a dataset draws from PyTorch's, NumPy's or Python's generator, to augment images say, depends on the seed, the epoch and
    the batch alone: it is the same with any number of workers, and when training goes on from a saved state.

    Parameters
    ----------
    dataset : Dataset
        It has a length and gives samples by their number; many at once, if it has `__getitems__`.
    batch_size : int
    collate : callable, optional
        Makes a batch of a list of samples; by default PyTorch's own, with floating point numbers as `dtype`.
    workers : int
        Processes that load batches; 0 for none.
    keys : Keys
        Of samples that are dicts.
    weight : tensor of shape (n,), optional
        One number a sample.
    dtype : torch.dtype
    subset : ndarray of row numbers, uint64, optional
        The samples that belong to this source; by default all.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        *,
        collate: Callable[[list], Any] | None = None,
        workers: int = 0,
        keys: Keys = NO_KEYS,
        weight: torch.Tensor | None = None,
        dtype: torch.dtype = torch.float32,
        subset: np.ndarray | None = None,
    ):
        self._given = dataset, batch_size
        self._options: dict[str, Any] = {
            "collate": collate, "workers": workers, "keys": keys, "weight": weight, "dtype": dtype,
        }  # fmt: skip
        self._load = _Loading(dataset, collate or _Collated(dtype))
        self._subset = subset
        self._loader: DataLoader | None = None
        self._latest: Any = None
        self.n_rows = len(dataset) if subset is None else len(subset)
        _, first = self._load[0, 0, 0, [0] if subset is None else [int(subset[0])]]
        inputs, targets, _ = parted(first, keys, "a sample")
        self.n_columns, self.n_targets = numbers_of(inputs), numbers_of(targets)
        self.numbers_a_row = float(self.n_columns)
        self.dtype = np.dtype(np.float32)

    def blocks(
        self,
        order: Order,
        epoch: int,
        position: int,
        size: Callable[[], int],  # noqa: ARG002
    ) -> Iterator[tuple[LoadedBatch, int]]:
        """See `TrainingSource.blocks`. Every block is a batch, whatever size is asked for."""
        _, batch_size = self._given
        if position % batch_size:
            raise StateError(
                f"Training stopped after {position:,} rows of an epoch, where no batch of {batch_size} ends. Go on with "
                "the batch size that it began with."
            )
        for (_, _, start, rows), batch in self._loaded(self._planned(order, epoch, position)):
            inputs, targets, weight = parted(batch, self._options["keys"], "a batch")
            if self._options["weight"] is not None:
                weight = self._options["weight"][rows]
            self._latest = (inputs, targets, weight), rows
            yield LoadedBatch(inputs, targets, weight, len(rows)), start + len(rows)

    def targets(self) -> tuple[np.ndarray, np.ndarray]:
        """See `TrainingSource.targets`."""
        found = [block for block, _ in self.blocks(IN_ORDER, 0, 0, lambda: self.n_rows)]
        targets = [in_rows(block.targets, block.n_rows) for block in found]
        weight = [np.ones(block.n_rows) if block.weight is None else block.weight.numpy() for block in found]
        return np.concatenate(targets), np.concatenate(weight)

    def require_finite(self, rows: Any) -> None:  # noqa: ARG002
        """See `TrainingSource.require_finite`; the error names the sample."""
        parts, numbers = self._latest
        require_finite_batch(parts, numbers, "the batch")

    def split(self, fraction: float, seed: int) -> tuple[DatasetSource, DatasetSource]:
        """Samples to train on, and samples held out: a fraction of all, chosen at random by the seed."""
        dataset, batch_size = self._given
        rest, held = (
            DatasetSource(dataset, batch_size, **self._options, subset=numbers)
            for numbers in held_out(self.n_rows, self._subset, fraction, seed)
        )
        return rest, held

    def close(self) -> None:
        """End the worker processes."""
        self._loader = None

    def _planned(self, order, epoch, position):
        """What each batch from a position on is: seed, epoch, position and the numbers of its samples."""
        _, batch_size = self._given
        for start in range(position, self.n_rows, batch_size):
            rows = order.rows(self.n_rows, epoch, start, min(start + batch_size, self.n_rows))
            if self._subset is not None:
                select(self._subset, rows)
            yield order.seed, epoch, start, rows.tolist()

    def _loaded(self, plan):
        """Each item of the plan with its batch. Workers are two batches ahead each, and stay for the next epoch."""
        workers = self._options["workers"]
        if not workers:
            yield from map(self._load.__getitem__, plan)
            return
        loader = _loader(self._load, workers) if self._loader is None else self._loader
        self._loader = None
        assert isinstance(loader.sampler, _Plan)  # noqa: S101 (as it was made)
        loader.sampler.items = plan
        yield from loader
        self._loader = loader


def _loader(load, workers):
    return DataLoader(
        load,
        batch_size=None,
        sampler=_Plan(),
        collate_fn=_as_it_is,
        num_workers=workers,
        persistent_workers=True,
        generator=torch.Generator(),
    )


def _as_it_is(found):
    return found


class _Plan:
    """What is to be loaded in an epoch, for PyTorch's `DataLoader` to hand out."""

    items: Iterator = iter(())

    def __iter__(self):
        return self.items


class _Loading:
    """Loads an item of a plan, here or in a worker."""

    def __init__(self, dataset, collate):
        self._dataset = dataset
        self._many = getattr(dataset, "__getitems__", None) or self._one_by_one
        self._collate = collate

    def __getitem__(self, item):
        seed, epoch, start, rows = item
        with seeded(seed, epoch, start):
            return item, self._collate(self._many(rows))

    def _one_by_one(self, rows):
        return [self._dataset[row] for row in rows]


class _Collated:
    """PyTorch's own way to put samples together, but for floating point numbers that come as float64: NumPy's and Python's."""

    def __init__(self, dtype):
        self._dtype = dtype

    def __call__(self, samples):
        try:
            return mapped(self._converted, default_collate(samples))
        except (TypeError, RuntimeError, KeyError) as error:
            raise InputError(
                f"The samples of the Dataset cannot be put together: {str(error).splitlines()[0]} Give tensors, arrays or "
                "numbers, the same shapes in all; or collate=, a function that makes a batch of a list of samples."
            ) from error

    def _converted(self, tensor):
        return tensor.to(self._dtype) if tensor.dtype is torch.float64 else tensor
