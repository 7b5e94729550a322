"""PyTorch's `DataLoader`, used as it is: its batches are those that updates see."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence
from torch.utils.data import DataLoader, SequentialSampler

from fallline.data.order import Order
from fallline.engines.base import IN_ORDER
from fallline.engines.module.blocks import LoadedBatch
from fallline.engines.module.reading import leaves
from fallline.engines.module.tensors import in_rows
from fallline.engines.module.trees import mapped
from fallline.errors import FalllineWarning, InputError
from fallline.torch.sources.samples import NO_KEYS, Keys, parted, require_finite_batch
from fallline.torch.sources.seeding import seeded

__all__ = ["LoaderSource"]


class LoaderSource:
    """Batches of a loader: see `TrainingSource`.

    The order is the loader's. Where it draws from PyTorch's global generator, as it does unless given another one, that is seeded
    with the seed and the epoch, so that the same seed gives the same order, and an epoch broken off can be gone on with: what was
    visited before is loaded and skipped. A generator of its own, or a sampler with a memory, decides for itself.

    How many rows an epoch has is known for certain when its last batch has come; before, it is what the sampler says.

    Parameters
    ----------
    loader : DataLoader
    keys : Keys
        Of batches that are dicts.
    shuffled : bool
        Whether another order is wanted in every epoch, and a warning where the loader has none.

    Raises
    ------
    InputError
        If it does not know how many batches it has.
    """

    def __init__(self, loader: DataLoader, *, keys: Keys = NO_KEYS, shuffled: bool = True):
        self._loader, self._keys = loader, keys
        self.updates = _length(loader)
        self.batch_size = loader.batch_size or getattr(loader.batch_sampler, "batch_size", None)
        self.n_rows = _expected_rows(loader, self.updates)
        self._latest: Any = None
        self._begun = False
        # Not known before a batch has come.
        self.n_columns = self.n_targets = 0
        self.numbers_a_row = 1.0
        self.dtype = np.dtype(np.float32)
        if shuffled:
            _warn_unless_shuffled(loader)

    def blocks(
        self,
        order: Order,
        epoch: int,
        position: int,
        size: Callable[[], int],  # noqa: ARG002
    ) -> Iterator[tuple[LoadedBatch, int]]:
        """See `TrainingSource.blocks`. Every block is a batch, and the order is the loader's."""
        self._warn_where_resumed(epoch, position)
        start = 0
        for parts, n, last in self._looking_ahead(order, epoch):
            stop = start + n
            # The rows of the epoch are those that came; as long as more are to come, it is not over.
            self.n_rows = stop if last else max(self.n_rows, stop + 1)
            if start >= position:
                self._latest = parts, stop
                inputs, targets, weight = parts
                yield LoadedBatch(inputs, targets, weight, n), stop
            start = stop

    def targets(self) -> tuple[np.ndarray, np.ndarray]:
        """See `TrainingSource.targets`; in the order of one pass of the loader."""
        found = [block for block, _ in self.blocks(IN_ORDER, 0, 0, lambda: self.n_rows)]
        weight = [
            np.ones(block.n_rows) if block.weight is None else block.weight.cpu().numpy() for block in found
        ]
        return np.concatenate([in_rows(block.targets, block.n_rows) for block in found]), np.concatenate(
            weight
        )

    def require_finite(self, rows: Any) -> None:  # noqa: ARG002
        """See `TrainingSource.require_finite`; the error says where in the batch."""
        parts, stop = self._latest
        require_finite_batch(parts, None, f"the batch that ends with the {stop:,}th row of the epoch")

    def _warn_where_resumed(self, epoch, position):
        """Where the first epoch asked for is not the first of all, training goes on that was begun with another generator."""
        resumed = position or (epoch and not self._begun)
        self._begun = True
        if not resumed or self._loader.generator is None:
            return
        comes_of_it = (
            "the rest of the epoch may hold rows that were visited already"
            if position
            else "the orders may be other ones than training that had not stopped would have had"
        )
        warnings.warn(
            "The DataLoader has a generator of its own, which may not stand where it stood when this epoch began: "
            f"{comes_of_it}. Give none, and fallline seeds the order.",
            FalllineWarning,
            stacklevel=3,
        )

    def _looking_ahead(self, order, epoch):
        """The parts of each batch, how many rows it has, and whether it is the last.

        A loader may fill the memory of a batch again with the next: such batches are copied before that is asked for. Whether it
        does so shows when the second batch has come, so the first is copied anyway.
        """
        samplers: list[Any] = [self._loader.sampler, self._loader.batch_sampler]
        for sampler in samplers:
            if hasattr(sampler, "set_epoch"):
                sampler.set_epoch(epoch)
        # Samplers draw their order when the first batch is asked for.
        with seeded(order.seed, epoch):
            batches = iter(self._loader)
            batch = next(batches, None)
        refilled = True
        while batch is not None:
            parts = parted(batch, self._keys, "a batch of the DataLoader")
            if refilled:
                parts = mapped(torch.Tensor.clone, parts)
            after = next(batches, None)
            yield parts, _rows_of(parts), after is None
            refilled = not _places(batch).isdisjoint(_places(after))
            batch = after


def _places(batch):
    """Where in memory the tensors of a batch lie."""
    found = (tensor for _, tensor in leaves(batch, "") if isinstance(tensor, torch.Tensor))
    return {tensor.data_ptr() for tensor in found if tensor.layout is torch.strided and tensor.numel()}


def _rows_of(parts):
    """How many rows a batch has: as many as its targets; without any, as its inputs."""
    inputs, targets, _ = parts
    if targets is None and isinstance(inputs, PackedSequence):
        return int(inputs.batch_sizes[0])
    found = [*leaves(targets, "targets"), *leaves(inputs, "inputs")]
    if not found or not found[0][1].dim():
        raise InputError("A batch of the DataLoader holds no tensor of several rows. Give batches of (x, y).")
    return len(found[0][1])


def _length(loader):
    """How many batches an epoch has."""
    try:
        n = len(loader)
    except TypeError:
        raise InputError(
            f"The DataLoader's data set, a {type(loader.dataset).__name__}, has no length, so nobody knows when an epoch "
            "ends. Give it a __len__, or give tensors, files or a map-style Dataset."
        ) from None
    if n == 0:
        raise InputError(
            "The DataLoader has no batch: its data set is empty, or smaller than a batch and drop_last=True."
        )
    return n


def _expected_rows(loader, updates):
    """The rows of an epoch, as far as the loader says."""
    if loader.batch_size is None:
        return updates if loader.batch_sampler is None else max(updates, len(loader.dataset))
    if loader.drop_last:
        return updates * loader.batch_size
    return len(loader.sampler) if hasattr(loader.sampler, "__len__") else len(loader.dataset)


def _warn_unless_shuffled(loader):
    # With a sampler of batches, `sampler` is not looked at; it may have one within.
    of_batches = loader.batch_size is None and loader.batch_sampler is not None
    sampler = getattr(loader.batch_sampler, "sampler", None) if of_batches else loader.sampler
    if isinstance(sampler, SequentialSampler) and len(loader) > 1:
        warnings.warn(
            "The DataLoader does not shuffle: every epoch visits the rows in the same order, by which training is often slower "
            "and worse. Make it with shuffle=True; or give its data set itself, with a batch_size.",
            FalllineWarning,
            stacklevel=5,
        )
