"""Batches for a training loop of one's own: what `DataLoader` gives, without touching rows one by one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import torch

from fallline.data.encoder import Encoder, Plan
from fallline.data.order import Order
from fallline.engines.module.blocks import LoadedBatch
from fallline.engines.module.devices import find_device
from fallline.engines.module.pieces import Gatherer, Piece, join, loaded
from fallline.engines.module.reading import gather
from fallline.errors import ParameterError, StateError
from fallline.settings import flag, seed_from
from fallline.torch.data import Data, as_source

__all__ = ["Batches", "batches"]

# A block has as many batches as come to about so many rows: few enough that their numbers stay in the processor's cache.
_BLOCK_ROWS = 2**15
# Bytes of rows that are gathered at once stay in the processor's cache until they are used.
_CHUNK_BYTES = 2**18
# Of the memory that is free on a device: what data may take that are to stay there.
_RESIDENT_SHARE = 0.5


def batches(
    data: Any,
    batch_size: float | str,
    seed: int = 0,
    *,
    target: Any = None,
    sample_weight: Any = None,
    shuffle: bool = True,
    drop_last: bool = False,
    memory: str | int | None = None,
    device: Any = None,
    workers: int = 0,
    collate: Callable[[list], Any] | None = None,
    task: str | None = None,
    plan: str | Plan | None = None,
    cache: str | os.PathLike | bool = True,
    sparse: bool = False,
) -> Batches:
    """Batches of rows, for a training loop of one's own.

    They replace a `DataLoader` over tensors, arrays, tables or files, whatever their size. Rows are gathered a batch at a time.
    Every time they are iterated over, the rows come in another order, which is a pure function of the seed and of how often that
    was before: so batches can be taken up again exactly where a loop has stopped.

    Parameters
    ----------
    data : tuple (X, y) or (X, y, weight), tensor, array, frame, sparse matrix, dict, Dataset, path or list of paths
        X and y may be tuples or dicts of tensors or arrays. See `fit`.
    batch_size : int, float or "full"
        Rows of a batch; a fraction of all; or all.
    seed : int
        Chooses the orders.
    target : str, tensor or array, optional
        The column of files and tables, or the key of dicts, that is to be predicted; or y itself, where `data` is X alone.
    sample_weight : str, tensor or array, optional
        The name of a column or key, or one number a row.
    shuffle : bool
        Whether the rows come in another order every time.
    drop_last : bool
        Whether to leave out the last batch of an epoch, if it has fewer rows than the others.
    memory : str or int, optional
        How much to use for rows of files, such as "1GB"; by default half of what is free.
    device : str or device, optional
        Where batches are wanted. Tensors that fit there as a whole are brought there once; others batch by batch, from pinned
        memory. By default they are where the data are.
    workers : int
        Processes that load the samples of a `Dataset`; 0 for none.
    collate : callable, optional
        What makes a batch of a list of samples of a `Dataset`; by default PyTorch's own.
    task : str, optional
        Of files and tables: "binary", "multiclass" or "regression"; by default what the target looks like.
    plan : str or Plan, optional
        Of files and tables: what becomes of each column, in JSON as `fallline inspect` writes it.
    cache : path or bool
        Of files: the folder where encoded rows are kept; True for the user's cache folder, False to keep none.
    sparse : bool
        Whether batches of sparse rows are sparse CSR tensors; otherwise they are dense.

    Returns
    -------
    Batches
        An iterable of (x, y), of (x, y, weight) where there are weights, or of x alone where there is no target.

    Raises
    ------
    InputError
        If the data cannot be used.
    ParameterError
        If a setting does not suit them.

    Examples
    --------
    >>> import torch
    >>> from fallline.torch import batches
    >>> X, y = torch.arange(10.0).reshape(5, 2), torch.arange(5)
    >>> parts = batches((X, y), 2)
    >>> len(parts)
    3
    >>> sorted(int(label) for x, labels in parts for label in labels)
    [0, 1, 2, 3, 4]
    """
    if isinstance(data, torch.utils.data.DataLoader):
        raise ParameterError(
            "data is a DataLoader, which has batches of its own: iterate over it, or give its data set instead."
        )
    order = Order(seed_from(seed), flag("shuffle", shuffle))
    drop_last = flag("drop_last", drop_last)
    place = None if device is None else find_device(device)
    source = as_source(
        data,
        target,
        sample_weight=sample_weight,
        batch_size=batch_size,
        memory=memory,
        workers=workers,
        collate=collate,
        task=task,
        plan=plan,
        cache=cache,
        sparse=sparse,
    )
    return Batches(source, order, drop_last=drop_last, device=place)


class Batches:
    """An iterable of batches; `batches` makes it, and says what of.

    Attributes
    ----------
    epoch : int
        How often it was iterated over: which order comes.
    batch_size, n_rows, n_columns : int
        Rows of a batch, rows in all, and numbers that a row of x holds.
    encoder : Encoder or None
        What made numbers of the columns of files and tables.
    """

    def __init__(self, source: Data, order: Order, *, drop_last: bool, device: torch.device | None):
        self._source = source if device is None else source.on(device, _RESIDENT_SHARE)
        self._order, self._drop_last = order, drop_last
        self._place = _Here() if device is None or device.type == "cpu" else _Onto(device)
        assert source.batch_size is not None  # noqa: S101 (only loaders have none)
        self.batch_size, self.n_rows, self.n_columns = source.batch_size, source.n_rows, source.n_columns
        self.encoder: Encoder | None = source.encoder
        self.epoch = 0
        # Rows given in the epoch; and whether that is still to be gone on with.
        self._position, self._resumed = 0, False

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return self.n_rows // self.batch_size if self._drop_last else -(-self.n_rows // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        """The batches of an epoch, or, after `load_state_dict`, the rest of one."""
        if self._position and not self._resumed:
            # The last epoch was broken off.
            self.epoch, self._position = self.epoch + 1, 0
        self._resumed = False
        blocks = self._source.blocks(self._order, self.epoch, self._position, self._block_rows)
        epoch = self.epoch
        with closing(_whole(blocks, self.batch_size, self._place)) as pieces:
            for piece in pieces:
                if piece.rows == self.batch_size or not self._drop_last:
                    self._position += piece.rows
                    yield _as_given(piece)
        if self.epoch == epoch:
            self.epoch, self._position = epoch + 1, 0

    def state_dict(self) -> dict[str, Any]:
        """Where the loop is: batches already given are not given again. Numbers and text only."""
        return {"epoch": self.epoch, "position": self._position, **self._identity()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was asked for: the next iteration gives what is left of that epoch.

        Raises
        ------
        StateError
            If the state is of batches of other rows, another size or order.
        """
        for name, value in self._identity().items():
            if state.get(name) != value:
                raise StateError(
                    f"The state is of batches with {name}={state.get(name)!r}, but these have {name}={value!r}. Make them of the "
                    "same data, with the same settings, memory among them."
                )
        self.epoch, self._position = int(state["epoch"]), int(state["position"])
        self._resumed = True

    def close(self) -> None:
        """End worker processes, and give back the memory of rows read ahead. Batches can still be iterated over."""
        self._source.close()

    def _identity(self):
        """What the order of the rows follows from."""
        return {
            "rows": self.n_rows,
            "batch_size": self.batch_size,
            "drop_last": self._drop_last,
            "seed": self._order.seed,
            "shuffle": self._order.shuffle,
            "window_bytes": self._source.window_bytes,
        }

    def _block_rows(self):
        return max(1, _BLOCK_ROWS // self.batch_size) * self.batch_size


def _whole(blocks, batch_size, place):
    """Batches of blocks: those that a block's end cuts in two are put together."""
    begun: list[Piece] = []
    missing = batch_size
    for block, _ in blocks:
        if isinstance(block, LoadedBatch):
            yield place.loaded(block)
            continue
        start = min(missing, len(block.rows)) if begun else 0
        if start:
            begun.append(place.taken(block, 0, start))
            missing -= start
            if missing:
                continue
            yield join(begun)
            begun, missing = [], batch_size
        for piece in place.cut(block, start, batch_size):
            if piece.rows == batch_size:
                yield piece
            else:
                begun, missing = [piece], batch_size - piece.rows
    if begun:
        yield join(begun)


class _Here:
    """Takes rows out of blocks, and leaves them where they are."""

    @staticmethod
    def loaded(batch):
        return Piece(batch.inputs, batch.targets, batch.weight, batch.n_rows)

    def taken(self, block, start, stop):
        return self._of(block, block.rows[start:stop])

    def cut(self, block, start, size):
        """Pieces of so many rows, from a place of the block on; the last may have fewer."""
        rows, together = block.rows[start:], _together(block[:3], size)
        if together == 1:
            yield from (self._of(block, chosen) for chosen in rows.split(size))
            return
        for chosen in rows.split(together * size):
            whole = self._of(block, chosen)
            parts = ([None] * together if part is None else part.split(size) for part in whole[:3])
            for inputs, targets, weight in zip(*parts, strict=False):
                yield Piece(inputs, targets, weight, len(inputs))

    @staticmethod
    def _of(block, rows):
        inputs, targets, weight = (gather(value, rows) for value in block[:3])
        return Piece(inputs, targets, weight, len(rows))


def _together(values, size):
    """How many batches are gathered at once: small ones together, for a call costs as much as they do; nested ones never."""
    if not all(value is None or isinstance(value, torch.Tensor) for value in values):
        return 1
    row = sum(value[:1].nbytes for value in values if value is not None)
    return max(1, _CHUNK_BYTES // max(1, row * size))


class _Onto:
    """Takes rows out of blocks, onto a device."""

    def __init__(self, device):
        self._device = device
        self.taken = Gatherer(device).take

    def loaded(self, batch):
        return loaded(batch, self._device)

    def cut(self, block, start, size):
        n = len(block.rows)
        return (self.taken(block, begin, min(begin + size, n)) for begin in range(start, n, size))


def _as_given(piece):
    inputs, targets, weight = piece[:3]
    if weight is not None:
        return inputs, targets, weight
    return inputs if targets is None else (inputs, targets)
