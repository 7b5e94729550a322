"""From what users pass as data to a source: which of the pages in `sources` it is for.

::

    as_source(data)
      ├── tensors, arrays, sparse matrices, TensorDataset ── memory.py ──▶ rows gathered where they lie
      ├── a Dataset ── dataset.py ──▶ samples by their numbers, put together batch by batch
      ├── a DataLoader ── loader.py ──▶ its batches as they are
      └── files, and tables with a target of theirs ── tables.py ──▶ encoded, cached, read in windows
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import Subset, TensorDataset

from fallline.data.encoder import Encoder, Plan
from fallline.data.order import Order
from fallline.engines.module.tensors import TensorSource
from fallline.errors import InputError, ParameterError
from fallline.names import which_one
from fallline.settings import integer, rows_per_batch
from fallline.torch.encoders import require_encoder
from fallline.torch.sources.dataset import DatasetSource
from fallline.torch.sources.kinds import kind_of, require_suits
from fallline.torch.sources.loader import LoaderSource
from fallline.torch.sources.memory import as_tensors, checked_weight, tensor_source
from fallline.torch.sources.samples import Keys, require_weights
from fallline.torch.sources.tables import Reading, TableSource

__all__ = ["USUAL_BATCH", "Data", "as_source"]

USUAL_BATCH = 128
"""Rows that an update sees, where nothing else is said."""


class Data:
    """Rows to train a module on, and how they come in batches: see `TrainingSource`.

    Attributes
    ----------
    batch_size : int or None
        Rows that an update sees; None where a loader decides, batch by batch.
    updates : int
        Updates an epoch.
    encoder : Encoder or None
        What made numbers of the columns of files and tables.
    """

    n_rows: int
    n_columns: int
    n_targets: int
    numbers_a_row: float
    dtype: np.dtype

    def __init__(self, source: Any, batch_size: int | None):
        self._source = source
        self.batch_size = batch_size
        self.encoder: Encoder | None = getattr(source, "encoder", None)

    def __getattr__(self, name: str) -> Any:
        """What the source says of itself; it may change when a loader comes to its end."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._source, name)

    @property
    def updates(self) -> int:
        """Updates an epoch."""
        if isinstance(self._source, LoaderSource):
            return self._source.updates
        return -(-self._source.n_rows // self.batch_size)

    def blocks(
        self, order: Order, epoch: int, position: int, size: Callable[[], int]
    ) -> Iterator[tuple[Any, int]]:
        """See `TrainingSource.blocks`: a `TensorBlock`, or a `LoadedBatch` of a `Dataset` or `DataLoader`."""
        return self._source.blocks(order, epoch, position, size)

    def targets(self) -> tuple[np.ndarray, np.ndarray]:
        """See `TrainingSource.targets`."""
        return self._source.targets()

    def require_finite(self, rows: Any) -> None:
        """See `TrainingSource.require_finite`."""
        self._source.require_finite(rows)

    def split(self, fraction: float, seed: int) -> tuple[Data, Data]:
        """Rows to train on, and rows held out: a fraction of all, in (0, 1).

        Raises
        ------
        ParameterError
            For a `DataLoader`; and if one of the two would have no row.
        """
        if isinstance(self._source, LoaderSource):
            raise ParameterError(
                f"validation={fraction:g}: nothing can be held out of what a DataLoader loads. Give validation data of its own, "
                "or the data set itself and a batch_size."
            )
        rest, held = self._source.split(fraction, seed)
        if not (rest.n_rows and held.n_rows):
            raise ParameterError(
                f"validation={fraction:g} of {self.n_rows:,} rows leaves none to train or to measure on. Choose another."
            )
        return Data(rest, self.batch_size), Data(held, self.batch_size)

    def on(self, device: torch.device, share: float = 0.5) -> Data:
        """The same with all tensors on a device, if they take no more than a share of its free memory; otherwise as they are."""
        if not isinstance(self._source, (TensorSource, TableSource)):
            return self
        return Data(self._source.on(device, share), self.batch_size)

    @property
    def window_bytes(self) -> int:
        """Bytes of memory for windows of rows, each of which is shuffled as a whole; 0 where all rows are in memory."""
        return self._source.window_bytes if isinstance(self._source, TableSource) else 0

    @property
    def divisible(self) -> bool:
        """Whether rows can be taken one by one, not only in batches as they were made."""
        return isinstance(self._source, (TensorSource, TableSource))

    def close(self) -> None:
        """End worker processes and give back memory, where there are such."""
        if isinstance(self._source, (DatasetSource, TableSource)):
            self._source.close()


def as_source(
    data: Any,
    target: Any = None,
    *,
    sample_weight: Any = None,
    batch_size: float | str | None = None,
    memory: str | int | None = None,
    workers: int = 0,
    collate: Callable[[list], Any] | None = None,
    task: str | None = None,
    plan: str | Plan | None = None,
    cache: str | os.PathLike | bool = True,
    dtype: torch.dtype = torch.float32,
    sparse: bool = False,
    shuffle: bool = True,
    tell: Callable[[float, str], None] | None = None,
    encoder: Encoder | None = None,
) -> Data:
    """What a module can be trained on.

    Parameters
    ----------
    data : tuple (X, y) or (X, y, weight), tensor, array, frame, sparse matrix, dict, Dataset, DataLoader, path or list of paths
        X and y may be tuples or dicts of tensors or arrays. Samples of a `Dataset`, and batches of a `DataLoader`, are (x, y) or
        (x, y, weight) too, or dicts.
    target : str, tensor or array, optional
        The column of files and tables, or the key of dicts, that is to be predicted; or y itself, where `data` is X alone.
        Columns of files, and of tables with a named target, are encoded as `fallline.train` does; arrays are taken as they are.
    sample_weight : str, tensor or array, optional
        How much each row counts: the name of a column or key, or one number a row.
    batch_size : int, float or "full", optional
        Rows that an update sees, a fraction of all, or all; by default 128. A `DataLoader` has its own.
    memory : str or int, optional
        How much to use for rows of files, such as "1GB"; by default half of what is free.
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
    dtype : torch.dtype
        What arrays of floating point numbers become, and those in samples of a `Dataset`; tensors stay as they are.
    sparse : bool
        Whether batches of sparse rows are sparse CSR tensors; otherwise they are dense.
    shuffle : bool
        Whether rows are to be visited in another order in every epoch: of a `DataLoader` that does not, there is a warning.
    tell : callable, optional
        Of files and tables: told the share of the preparation that is done, and what is being done.
    encoder : Encoder, optional
        Of further files and tables, to validate on or to go on with: what made numbers of the columns of those trained on.

    Raises
    ------
    InputError
        If the data cannot be trained on.
    ParameterError
        If a setting does not suit them.
    """
    asked = USUAL_BATCH if batch_size is None else batch_size
    kind = kind_of(data, target)
    if encoder is not None:
        require_encoder(encoder)
        if kind != "table":
            raise ParameterError(
                f"encoder= is for files, or a table with a named target, but data is a {type(data).__name__}. Leave it out."
            )
    require_suits(kind, memory=memory, workers=workers or None, collate=collate, task=task, plan=plan)
    if kind == "DataLoader":
        return _of_loader(data, target, sample_weight, batch_size, shuffle)
    if kind == "Dataset":
        return _of_dataset(data, target, sample_weight, asked, workers, collate, dtype)
    if kind == "table":
        if dtype != torch.float32:
            raise ParameterError(
                f"Rows of files and tables are float32, but the module computes in {dtype}. Use module.float(); for speed, "
                "precision='bf16'."
            )
        if encoder is not None and plan is not None:
            raise ParameterError("plan= and encoder= both say what becomes of columns. Give one of them.")
        how = Reading(_name(sample_weight, "sample_weight"), task, plan, memory, cache, encoder=encoder)
        how = how if tell is None else how._replace(tell=tell)
        source: Any = TableSource.of(data, _name(target, "target"), how, sparse=sparse)
    else:
        source = _of_memory(data, target, sample_weight, dtype, sparse)
    return Data(source, rows_per_batch(asked, source.n_rows))


def _of_loader(loader, target, sample_weight, batch_size, shuffle):
    if batch_size is not None:
        raise ParameterError(
            f"batch_size={batch_size!r}, but the batches of a DataLoader are those that it makes. Leave it out, or give the "
            "loader's data set instead."
        )
    keys = Keys(
        _name(target, "target", of="DataLoader"), _name(sample_weight, "sample_weight", of="DataLoader")
    )
    source = LoaderSource(loader, keys=keys, shuffled=shuffle)
    return Data(source, source.batch_size)


def _of_dataset(dataset, target, sample_weight, batch_size, workers, collate, dtype):
    n = len(dataset)
    if n == 0:
        raise InputError("The Dataset has no sample, so there is nothing to train on. Check how it was made.")
    keys, weight = Keys(_name(target, "target", of="Dataset")), None
    if isinstance(sample_weight, str):
        keys = keys._replace(weight=sample_weight)
    elif sample_weight is not None:
        weight = checked_weight(as_tensors(sample_weight, "sample_weight", dtype))
        if len(weight) != n:
            raise InputError(
                f"The Dataset has {n:,} samples, but sample_weight {len(weight):,}. Give one number a sample."
            )
    size = rows_per_batch(batch_size, n)
    workers = integer("workers", workers, at_least=0)
    source = DatasetSource(
        dataset, size, collate=collate, workers=workers, keys=keys, weight=weight, dtype=dtype
    )
    return Data(source, size)


def _of_memory(data, target, sample_weight, dtype, sparse):
    subset = None
    while isinstance(data, Subset):
        numbers = np.asarray(data.indices, np.int64)
        data, subset = data.dataset, numbers if subset is None else numbers[subset]
    if isinstance(data, TensorDataset):
        data = require_weights(data.tensors, "TensorDataset") if len(data.tensors) > 1 else data.tensors[0]
    if isinstance(data, tuple) and target is None:
        data, target, sample_weight = _parted(data, sample_weight)
    if isinstance(data, Mapping):
        data, target, sample_weight = _by_key(data, target, sample_weight)
    target, sample_weight = (
        _values(value, name) for value, name in ((target, "target"), (sample_weight, "sample_weight"))
    )
    return tensor_source(data, target, sample_weight, dtype, sparse, subset)


def _parted(data, sample_weight):
    """Inputs, targets and weights of a tuple."""
    if len(data) == 3 and sample_weight is None:
        return data
    if len(data) == 2:
        return *data, sample_weight
    given = " and sample_weight" if sample_weight is not None else ""
    raise InputError(
        f"data is a tuple of {len(data)} parts{given}, but (X, y) or (X, y, sample_weight) is wanted. If a sample has several "
        "inputs, give ((X1, X2), y)."
    )


def _by_key(data, target, sample_weight):
    """Inputs, targets and weights of a dict."""
    inputs = dict(data)
    found = (
        _taken(inputs, key, name) if isinstance(key, str) else key
        for key, name in ((target, "target"), (sample_weight, "sample_weight"))
    )
    return inputs, *found


def _taken(inputs, key, name):
    if key not in inputs:
        raise ParameterError(
            f"{name}={key!r} is not among the keys of data.{which_one(key, map(str, inputs))}"
        )
    return inputs.pop(key)


def _values(value, name):
    """One value a row, not the name of a column."""
    if isinstance(value, str):
        raise ParameterError(
            f"{name}={value!r} names a column, but data have none. Give the values themselves."
        )
    return value


def _name(value, name, of="file or table"):
    """The name of a column or key, not values."""
    if value is not None and not isinstance(value, str):
        raise ParameterError(
            f"{name} is a {type(value).__name__}, but of a {of}, the name of a column or key is wanted. Make it one of them."
        )
    return value
