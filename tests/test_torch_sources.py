"""What modules are trained on: one contract, run over a table of all kinds of data; then what is particular to some."""

from __future__ import annotations

import random
import threading
import time
import tracemalloc
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

torch = pytest.importorskip("torch")
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset  # noqa: E402

from fallline.data.budget import Budget  # noqa: E402
from fallline.data.order import Order  # noqa: E402
from fallline.engines.module.reading import gather  # noqa: E402
from fallline.errors import (  # noqa: E402
    FalllineWarning,
    InputError,
    NonFiniteError,
    NotNumbersError,
    ParameterError,
    StateError,
)
from fallline.torch.data import as_source  # noqa: E402

ROWS = 300
BATCH = 32


class Built(NamedTuple):
    """What is trained on, with its settings; and a function from the inputs of a batch to the numbers of its rows."""

    data: object
    settings: dict
    numbers: Callable = lambda inputs: inputs.reshape(len(inputs), -1)[:, 0]


class Samples(Dataset):
    """Samples that know their numbers."""

    def __init__(self, n=ROWS, make=lambda i: (np.full((2, 3), i, np.float32), i)):
        self.n, self.make = n, make

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return self.make(i)


class ManySamples(Samples):
    """The same, many at once; one at a time they are not to be had."""

    def __getitem__(self, i):
        raise AssertionError

    def __getitems__(self, numbers):
        return [self.make(i) for i in numbers]


def as_dict(i):
    return {"image": np.full((2, 3), i), "weight": 1.0 + i, "label": i}


def numbers(n=ROWS):
    return torch.arange(n)


def images(n=ROWS):
    """Each full of its number."""
    return numbers(n).float()[:, None, None, None].expand(n, 3, 4, 4).contiguous()


def sparse(n=ROWS):
    """Rows whose first column is their number, and some others."""
    rest = sp.random(n, 20, 0.2, "csr", dtype=np.float32, random_state=0)
    return sp.csr_array(sp.hstack([sp.csr_array(np.arange(n, dtype=np.float32)[:, None]), rest], "csr"))


def mapped(folder):
    np.save(folder / "X.npy", images().numpy())
    return np.load(folder / "X.npy", mmap_mode="r")


def frame(n=ROWS, columns=3):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"number": np.arange(n, dtype=np.float32)}
        | {f"x{j}": rng.standard_normal(n).astype(np.float32) for j in range(columns)}
        | {"y": np.arange(n, dtype=np.float64)}
    )


def table(make, n=ROWS, **settings):
    """A builder of a table, whose first column is standardised."""

    def build(folder):
        def undone(inputs):
            values = np.arange(n)
            return inputs[:, 0] * values.std() + values.mean()

        return Built(make(folder), {"target": "y", "task": "regression", "cache": folder} | settings, undone)

    return build


def file(ending, write, **size):
    def make(folder):
        write(frame(**size), folder / f"rows{ending}")
        return str(folder / f"rows{ending}")

    return make


def words(folder):
    """Texts of unequal lengths: words one after the other, and where each text begins."""
    return Built(
        DataLoader(
            Samples(make=lambda i: ([i] * (1 + i % 5), i)), BATCH, shuffle=True, collate_fn=run_together
        ),
        {},
        lambda inputs: inputs[0][inputs[1]],
    )


def run_together(samples):
    starts = np.cumsum([0] + [len(text) for text, _ in samples[:-1]])
    texts = [word for text, _ in samples for word in text]
    return (torch.tensor(texts), torch.from_numpy(starts)), torch.tensor([label for _, label in samples])


WINDOWED = {"n": 20_000, "columns": 100}

# One line a kind.
KINDS = {
    "tensors": lambda folder: Built((images(), numbers()), {}),
    "tensors apart": lambda folder: Built(images(), {"target": numbers()}),
    "arrays": lambda folder: Built((images().double().numpy(), numbers().numpy()), {}),
    "a mapped file": lambda folder: Built((mapped(folder), numbers().numpy()), {}),
    "a list": lambda folder: Built((images().tolist(), numbers().tolist()), {}),
    "a tuple of inputs": lambda folder: Built(((images(), images()), numbers()), {}, lambda x: x[1][:, 0, 0, 0]),
    "a dict of inputs": lambda folder: Built(
        ({"a": images(), "b": (numbers(),)}, numbers()), {}, lambda x: x["b"][0]
    ),
    "a dict with its target": lambda folder: Built(
        {"a": images(), "label": numbers()}, {"target": "label"}, lambda x: x["a"][:, 0, 0, 0]
    ),
    "frames": lambda folder: Built((frame()[["number", "x0"]], frame()["y"]), {}),
    "polars": lambda folder: Built((pl.from_pandas(frame()[["number"]]), pl.from_pandas(frame())["y"]), {}),
    "sparse": lambda folder: Built((sparse(), numbers()), {}),
    "sparse, kept so": lambda folder: Built((sparse(), numbers()), {"sparse": True}, lambda x: x.to_dense()[:, 0]),
    "sparse tensor": lambda folder: Built((images().flatten(1).to_sparse(), numbers()), {}),
    "TensorDataset": lambda folder: Built(TensorDataset(images(), numbers()), {}),
    "Subset of tensors": lambda folder: Built(Subset(TensorDataset(images(), numbers()), range(0, ROWS, 2)), {}),
    "Subset of a Subset of tensors": lambda folder: Built(
        Subset(Subset(TensorDataset(images(), numbers()), range(0, ROWS, 2)), range(-100, 20)), {}
    ),
    "Dataset": lambda folder: Built(Samples(), {}),
    "Dataset by many": lambda folder: Built(ManySamples(), {}),
    "Dataset, two workers": lambda folder: Built(ManySamples(), {"workers": 2}),
    "Dataset of dicts": lambda folder: Built(
        Samples(make=as_dict),
        {"target": "label", "sample_weight": "weight"},
        lambda x: x["image"][:, 0, 0],
    ),
    "Subset": lambda folder: Built(Subset(Samples(), range(50, 250)), {}),
    "list of samples": lambda folder: Built([(torch.full((2,), i), i) for i in range(ROWS)], {}),
    "DataLoader": lambda folder: Built(DataLoader(Samples(), BATCH, shuffle=True), {}),
    "DataLoader, two workers": lambda folder: Built(
        DataLoader(TensorDataset(images(), numbers()), BATCH, shuffle=True, num_workers=2), {}
    ),
    "DataLoader of sampled batches": lambda folder: Built(
        DataLoader(Samples(), batch_sampler=Uneven()), {}
    ),
    "DataLoader of texts": words,
    "frame with its target": table(lambda folder: frame(), cache=False),
    "Parquet": table(file(".parquet", lambda rows, path: rows.to_parquet(path))),
    "CSV": table(file(".csv", lambda rows, path: rows.to_csv(path, index=False))),
    "Parquet in windows": table(file(".parquet", lambda rows, path: rows.to_parquet(path), **WINDOWED), n=WINDOWED["n"]),
}  # fmt: skip


class Uneven:
    """Batches of 10 and 20 rows in turns."""

    def __len__(self):
        return ROWS // 15

    def __iter__(self):
        order = torch.randperm(ROWS).tolist()
        for start in range(0, ROWS, 30):
            yield order[start : start + 10]
            yield order[start + 10 : start + 30]


@pytest.fixture(params=KINDS, scope="module")
def built(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        if "windows" in request.param:
            few_windows(patch)
        yield KINDS[request.param](tmp_path_factory.mktemp("data"))


def few_windows(patch):
    """So little memory that rows are read window by window: some three blocks of the cache a window."""
    patch.setattr(Budget, "holds", lambda budget, size: False)
    patch.setattr(Budget, "window_bytes", 4 * 2**20)


def opened(built):
    size = {} if isinstance(built.data, DataLoader) else {"batch_size": BATCH}
    return as_source(built.data, **size, **built.settings)


def visited(source, built, order, epoch=0, position=0, size=lambda: 3 * BATCH):
    """The numbers of the rows in the order in which they come, inputs and targets alike; and where batches end."""
    found, stops = [], []
    for block, stop in source.blocks(order, epoch, position, size):
        chosen = [
            part if block.rows is None else gather(part, block.rows) for part in (block.inputs, block.targets)
        ]
        targets = chosen[1].reshape(-1)
        torch.testing.assert_close(
            built.numbers(chosen[0]).float(), targets.float(), rtol=1e-5, atol=1e-5 * ROWS
        )
        found += targets.tolist()
        stops.append(stop)
        assert stop == position + len(found)
    assert stop == source.n_rows
    return np.array(found), stops


def test_every_row_once_an_epoch_in_an_order_of_the_seed(built):
    """Every epoch has every row once, inputs beside their targets, in another order than the last; the same for the same seed."""
    source = opened(built)
    first, _ = visited(source, built, Order(5))
    again, _ = visited(opened(built), built, Order(5))
    second, _ = visited(source, built, Order(5), 1)
    other, _ = visited(source, built, Order(6))
    assert len(np.unique(first)) == len(first) == source.n_rows
    np.testing.assert_array_equal(first, again)
    for another in (second, other):
        assert (another != first).any()
        np.testing.assert_array_equal(np.sort(another), np.sort(first))
    source.close()


def test_resumed_at_any_batch_the_rest_is_the_same(built):
    """An epoch entered where any block ended goes on as it would have."""
    source = opened(built)
    whole, stops = visited(source, built, Order(9), 2)
    for position in stops[:-1][:: max(1, len(stops) // 4)]:
        rest, _ = visited(source, built, Order(9), 2, position)
        np.testing.assert_array_equal(rest, whole[position:])
    source.close()


def test_targets_are_those_of_all_rows(built):
    """All targets and weights can be had at once, one row a row."""
    source = opened(built)
    targets, weight = source.targets()
    found, _ = visited(source, built, Order(0))
    np.testing.assert_array_equal(np.sort(targets[:, 0]), np.sort(found))
    assert weight.shape == (source.n_rows,)
    source.close()


def test_a_fraction_can_be_held_out(built):
    """Rows held out and rows to train on are all rows, and none is both; of a loader, nothing can be held out."""
    source = opened(built)
    if isinstance(built.data, DataLoader):
        with pytest.raises(ParameterError, match="nothing can be held out"):
            source.split(0.25, 0)
        return
    rest, held = source.split(0.25, 3)
    parts = [visited(part, built, Order(0))[0] for part in (rest, held)]
    assert len(parts[1]) == pytest.approx(0.25 * source.n_rows, abs=25)
    np.testing.assert_array_equal(
        np.sort(np.concatenate(parts)), np.sort(visited(source, built, Order(0))[0])
    )
    rest.close()


def test_rows_of_files_take_no_more_memory_than_windows(tmp_path, monkeypatch):
    """Of files that memory does not hold, two windows are in memory, whatever the size of the blocks."""
    few_windows(monkeypatch)
    found = KINDS["Parquet in windows"](tmp_path)
    source = opened(found)
    assert source.window_bytes == 4 * 2**20
    visited(source, found, Order(0))  # what is compiled and imported on the way is there
    source.close()
    tracemalloc.start()
    for block, _ in source.blocks(Order(0), 1, 0, lambda: source.n_rows):
        gather(block.inputs, block.rows[:BATCH])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    whole = source.n_rows * source.n_columns * 4
    assert 2**21 < peak < 4 * 2**20 + 2**20 < whole


def test_blocks_of_tensors_are_the_tensors_themselves():
    """Nothing is copied: a block points to what was given, be it read-only, and says which rows."""
    X, y = images(), numbers()
    array = X.numpy()
    array.flags.writeable = False
    for data in ((X, y), (array, y.numpy()), TensorDataset(X, y)):
        block, _ = next(as_source(data).blocks(Order(0), 0, 0, lambda: 10))
        assert block.inputs.data_ptr() == X.data_ptr()
        assert block.targets.data_ptr() == y.data_ptr()
        assert block.rows.tolist() == Order(0).rows(ROWS, 0, 0, 10).tolist()


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_what_a_dataset_draws_at_random_depends_on_the_batch_alone(workers):
    """Augmented samples are the same with any number of workers and when resumed; the program's generators are untouched."""

    def augmented(i):
        return torch.rand(1) + random.random() + np.random.rand(), i  # noqa: NPY002

    def drawn(position, workers=workers):
        source = as_source(Samples(make=augmented), batch_size=BATCH, workers=workers)
        found = [block.inputs[:, 0] for block, _ in source.blocks(Order(1), 3, position, lambda: BATCH)]
        source.close()
        return torch.cat(found)

    before = torch.get_rng_state(), random.getstate()
    whole = drawn(0)
    assert len(whole.unique()) > 0.9 * ROWS
    assert torch.equal(drawn(5 * BATCH), whole[5 * BATCH :])
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    assert torch.equal(drawn(0, workers=0), whole)


def test_workers_end_when_an_epoch_is_broken_off():
    """Left in the middle of an epoch, no process and no thread stays."""
    before = threading.active_count()
    source = as_source(Samples(), batch_size=BATCH, workers=2)
    blocks = source.blocks(Order(0), 0, 0, lambda: BATCH)
    next(blocks)
    assert children()
    blocks.close()
    assert not children()
    # The threads that fed their queues end by themselves.
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def children():
    return torch.multiprocessing.active_children()


def test_classes_of_files_are_numbered(tmp_path):
    """Texts to predict become int64 from 0, as PyTorch's losses want them, in the order of the encoder's classes."""
    for classes in (["b", "a"], ["c", "a", "b"]):
        rows = frame().assign(y=[classes[i % len(classes)] for i in range(ROWS)])
        source = as_source(rows, "y", batch_size=BATCH, cache=False)
        block, _ = next(source.blocks(Order(0, shuffle=False), 0, 0, lambda: ROWS))
        targets = gather(block.targets, block.rows)
        assert source.encoder.classes == sorted(classes)
        assert targets.dtype is torch.int64
        assert targets.shape == (ROWS,)
        number = gather(block.inputs, block.rows)[:, 0] * np.arange(ROWS).std() + np.arange(ROWS).mean()
        expected = [classes[round(float(i)) % len(classes)] for i in number]
        assert [source.encoder.classes[k] for k in targets] == expected


def test_further_rows_of_a_table_are_encoded_as_those_trained_on():
    """Rows to validate on have the columns, the scales and the numbers of classes of the rows trained on."""
    rows = pd.DataFrame(
        {"number": np.arange(300.0), "city": ["Oslo", "Bergen", "Rome"] * 100, "y": ["a", "b", "c"] * 100}
    )
    source = as_source(rows, "y", cache=False)
    further = as_source(rows[rows["y"] != "a"], "y", encoder=source.encoder)
    assert (further.n_rows, further.n_columns) == (200, source.n_columns)
    found, all_rows = ({}, {})
    for part, into in ((further, found), (source, all_rows)):
        for block, _ in part.blocks(Order(0), 0, 0, lambda: 300):
            x, y = (gather(values, block.rows) for values in (block.inputs, block.targets))
            into |= {tuple(row): int(label) for row, label in zip(x.tolist(), y, strict=True)}
    assert set(found.values()) == {1, 2}
    assert found.items() <= all_rows.items()
    with pytest.raises(InputError, match="no column 'city'"):
        as_source(rows.drop(columns="city"), "y", encoder=source.encoder)


def test_weights_come_beside_their_rows(tmp_path):
    """Given as numbers, as a column, as a key, or as the third part of samples, each row has its own."""
    weight = 1.0 + numbers().float()
    for data, settings in (
        ((images(), numbers(), weight), {}),
        ((images(), numbers()), {"sample_weight": weight.numpy()}),
        ({"x": images(), "y": numbers(), "w": weight}, {"target": "y", "sample_weight": "w"}),
        (Samples(), {"sample_weight": weight}),
        (Samples(make=lambda i: (torch.zeros(2), i, 1.0 + i)), {}),
        (Samples(make=as_dict), {"target": "label", "sample_weight": "weight"}),
        (
            frame().assign(w=weight.numpy()),
            {"target": "y", "sample_weight": "w", "task": "regression", "cache": False},
        ),
    ):
        source = as_source(data, batch_size=BATCH, **settings)
        for block, _ in source.blocks(Order(2), 0, 0, lambda: 50):
            targets, weights = (
                part if block.rows is None else gather(part, block.rows)
                for part in (block.targets, block.weight)
            )
            assert torch.equal(weights.double(), 1.0 + targets.reshape(-1).double())


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [
        ("float64", "float32"),
        ("float16", "float32"),
        ("uint8", "uint8"),
        ("int32", "int32"),
        ("uint16", "int64"),
    ],
)
def test_types_of_arrays_are_those_modules_take(dtype, wanted):
    """Floating point numbers become float32; images in bytes stay bytes; classes become int64. Tensors stay as they are."""
    X, y = np.ones((5, 2), dtype), np.arange(5, dtype=np.int16)
    block, _ = next(as_source((X, y)).blocks(Order(0), 0, 0, lambda: 5))
    assert str(block.inputs.dtype) == f"torch.{wanted}"
    assert block.targets.dtype is torch.int64
    tensor = torch.ones(5, 2, dtype=torch.float64)
    block, _ = next(as_source((tensor, torch.arange(5, dtype=torch.int32))).blocks(Order(0), 0, 0, lambda: 5))
    assert (block.inputs.dtype, block.targets.dtype) == (torch.float64, torch.int32)
    double = as_source((np.ones((5, 2)), y), dtype=torch.float64)
    assert next(double.blocks(Order(0), 0, 0, lambda: 5))[0].inputs.dtype is torch.float64


def test_batch_sizes_are_rows_fractions_or_all():
    """A number of rows, a fraction of them, or "full"; by default 128; a loader has its own."""
    data = images(), numbers()
    assert as_source(data).batch_size == 128
    assert as_source(data, batch_size=0.1).batch_size == 30
    assert as_source(data, batch_size="full").batch_size == ROWS
    assert as_source(data, batch_size=70).updates == 5
    loader = as_source(DataLoader(Samples(), 70, shuffle=True, drop_last=True))
    assert (loader.batch_size, loader.updates, loader.n_rows) == (70, 4, 280)


class Endless(IterableDataset):
    """Samples that nobody has counted."""

    def __iter__(self):
        yield torch.zeros(2), 0


NAN = torch.full((ROWS, 2), 1.0).index_put((torch.tensor(7), torch.tensor(1)), torch.tensor(float("nan")))
ALL = {"batch_size": BATCH}


@pytest.mark.parametrize(
    ("data", "settings", "error", "words"),
    [
        ((images(), numbers()[:-1]), {}, InputError, "X has 300 rows, but y has 299"),
        (({"a": images(), "b": images()[1:]}, numbers()), {}, InputError, r"X\['a'\] has 300 .* X\['b'\] has 299"),
        ((images(), numbers(), torch.ones(5)), {}, InputError, "sample_weight has 5"),
        ((images(), numbers(), -torch.ones(ROWS)), {}, InputError, "sample_weight is -1 in row 0"),
        ((images(), numbers(), images()), {}, InputError, "sample_weight has shape"),
        ((images()[:0], numbers()[:0]), {}, InputError, "X has 0 rows"),
        ((images(),) * 4, {}, InputError, r"tuple of 4 parts.*\(\(X1, X2\), y\)"),
        ((images(), np.array(["a", "b"] * 150)), {}, NotNumbersError, "y holds Python objects or text.*numpy.unique"),
        ((np.array([[None]] * 3), numbers(3)), {}, NotNumbersError, "X holds Python objects"),
        (([torch.ones(2)] * 3, numbers(3)), {}, InputError, "list of tensors"),
        ((torch.tensor(1.0), numbers(3)), {}, InputError, "single number"),
        ((images(), numbers().to("meta")), {}, InputError, "X is on cpu, but y on meta"),
        ({"a": images(), "label": numbers()}, {"target": "lable"}, ParameterError, "Did you mean 'label'"),
        (frame(), {"target": "yy", "cache": False}, ParameterError, "Did you mean 'y'"),
        ("nowhere.parquet", {"target": "y"}, InputError, "nowhere.parquet"),
        (frame(), {"target": "y", "sample_weight": np.ones(ROWS)}, ParameterError, "name of a column"),
        ((images(), numbers()), {"target": None, "sample_weight": "w"}, ParameterError, "data have none"),
        (images(), {"target": "y"}, ParameterError, "names a column, but data have none"),
        (Endless(), {}, InputError, "Endless, an iterable"),
        ((i for i in range(3)), {}, InputError, "generator, an iterable"),
        (DataLoader(Endless()), {}, InputError, "Endless, has no length"),
        (DataLoader(Samples(5), 10, drop_last=True, shuffle=True), {}, InputError, "no batch"),
        (DataLoader(Samples()), ALL, ParameterError, "batches of a DataLoader are those that it makes"),
        (Samples(0), {}, InputError, "no sample"),
        (Samples(make=as_dict), {"target": "lable"}, ParameterError, "Did you mean 'label'"),
        (Samples(make=lambda i: (i, "text")), {}, InputError, "targets.* of a sample is a str"),
        (Samples(make=lambda i: (i, i, i, i)), {}, InputError, "4 parts"),
        (Samples(), {"target": "y"}, ParameterError, "names a key, but a sample is a tuple"),
        (Samples(), {"sample_weight": [1.0, 2.0]}, InputError, "300 samples, but sample_weight 2"),
        (Samples(), {"target": numbers()}, ParameterError, "name of a column or key"),
        ((images(), numbers()), {"workers": 2}, ParameterError, "workers=2 is for a Dataset"),
        ((images(), numbers()), {"memory": "1GB"}, ParameterError, "memory='1GB' is for files"),
        (None, {}, InputError, "data is None"),
        (Samples(make=lambda i: (object(), i)), {}, InputError, "cannot be put together.*collate="),
        (Samples(make=lambda i: (torch.zeros(2), i, i)), {}, InputError, "third part of a sample is int64.*weights"),
        (TensorDataset(images(), images(), numbers()), {}, InputError, "third part of TensorDataset is int64"),
        (Subset(TensorDataset(images(), numbers()), []), {}, InputError, "Subset has no row"),
        (Subset(TensorDataset(images(), numbers()), [3, 300]), {}, InputError, "asks for row 300"),
        ((images(), None), {"batch_size": 0}, ParameterError, "batch_size=0"),
    ],
)  # fmt: skip
def test_bad_input(data, settings, error, words):
    """What cannot be trained on is an error that says what was found and what to do."""
    with pytest.raises(error, match=words):
        as_source(data, **settings)


def test_a_number_that_is_not_finite_is_found():
    """NaN in inputs or targets is named with its row, in memory and in a dataset; in a loader with its place in the batch."""
    for data in ((NAN, numbers()), (NAN.numpy(), numbers()), ((numbers(), NAN), numbers())):
        source = as_source(data)
        with pytest.raises(NonFiniteError, match="holds NaN in row 7, number 1"):
            [source.require_finite(block.rows) for block, _ in source.blocks(Order(0), 0, 0, lambda: 100)]
    source = as_source(Samples(make=lambda i: (NAN[i], i)), batch_size=BATCH)
    with pytest.raises(NonFiniteError, match="inputs holds NaN in row 7, number 1"):
        [source.require_finite(block.rows) for block, _ in source.blocks(Order(0), 0, 0, lambda: 100)]
    with pytest.warns(FalllineWarning, match="does not shuffle"):
        source = as_source(DataLoader(TensorDataset(NAN, numbers()), BATCH))
    with pytest.raises(NonFiniteError, match="row 7 of the batch that ends with the 32th"):
        [source.require_finite(block.rows) for block, _ in source.blocks(Order(0), 0, 0, lambda: 100)]


def test_a_loader_that_does_not_shuffle_is_warned_of():
    """Once, and only if rows are wanted in another order every epoch."""
    loader = DataLoader(Samples(), BATCH)
    with pytest.warns(FalllineWarning, match="does not shuffle"):
        as_source(loader)
    as_source(loader, shuffle=False)


@pytest.mark.parametrize(
    ("epoch", "position", "words"), [(0, BATCH, "visited already"), (1, 0, "the orders may be other ones")]
)
def test_a_loader_with_a_generator_of_its_own_cannot_be_resumed_exactly(epoch, position, words):
    """It stands where it stands, which is said once; of epochs that follow each other, there is nothing to say."""
    loader = DataLoader(Samples(), BATCH, shuffle=True, generator=torch.Generator())
    source = as_source(loader)
    with pytest.warns(FalllineWarning, match=f"generator of its own.*{words}"):
        list(source.blocks(Order(0), epoch, position, lambda: BATCH))
    list(source.blocks(Order(0), epoch + 1, 0, lambda: BATCH))


class Refilled(IterableDataset):
    """Batches that are all in the same memory."""

    def __len__(self):
        return 5

    def __iter__(self):
        x, y = torch.empty(4, 1), torch.empty(4, dtype=torch.int64)
        for start in range(0, 20, 4):
            yield x.copy_(torch.arange(start, start + 4.0)[:, None]), y.copy_(torch.arange(start, start + 4))


def test_a_loader_that_fills_the_same_memory_again():
    """A batch is what it was when it came, though the loader is asked for the next one before."""
    source = as_source(DataLoader(Refilled(), batch_size=None))
    found = [block.inputs.flatten().tolist() for block, _ in source.blocks(Order(7), 0, 0, lambda: 4)]
    assert found == [[*range(start, start + 4)] for start in range(0, 20, 4)]


def test_samples_of_unequal_shapes_are_an_error():
    """Wherever they meet, in a worker too: an error that says what to do."""
    for workers in (0, 1):
        source = as_source(
            Samples(make=lambda i: (torch.zeros(1 + i % 2), i)), batch_size=BATCH, workers=workers
        )
        with pytest.raises(InputError, match=r"cannot be put together.*collate="):
            list(source.blocks(Order(0), 0, 0, lambda: BATCH))


def test_an_epoch_is_not_resumed_between_batches():
    """Where no batch of this size ends, there is nothing to go on from in a dataset."""
    source = as_source(Samples(), batch_size=BATCH)
    with pytest.raises(StateError, match="where no batch of 32 ends"):
        next(source.blocks(Order(0), 0, BATCH + 1, lambda: BATCH))
