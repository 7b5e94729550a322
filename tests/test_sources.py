"""What every source promises, whatever it reads: one contract, run over a table of all of them."""

from __future__ import annotations

import bz2
import gc
import gzip
import json
import threading
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
from sklearn.datasets import dump_svmlight_file

from fallline.data.sources import ReadOptions, formats, open_source
from fallline.data.sources.base import Cursor
from fallline.errors import InputError

ROWS = 10_000
BATCH_BYTES = 1 << 16
"""Small batches, so that there are many of them."""


class Built(NamedTuple):
    """What to open, and what has to come out of it."""

    data: object
    expected: pa.Table


def mixed(n, seed):
    """Numbers, texts and missing values, as all formats but those of numbers alone can hold them."""
    rng = np.random.default_rng(seed)
    words = np.array(["Oslo", "Bergen, N", 'a "quoted" word', "Å", " ".join(["a long text"] * 6)])
    return pa.table(
        {
            "whole": pa.array(rng.integers(-1000, 1000, n), mask=rng.random(n) < 0.1),
            "number": rng.standard_normal(n),
            "text": pa.array(words[rng.integers(0, len(words), n)], mask=rng.random(n) < 0.05),
        }
    )


def numbers(n, seed, columns=20):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, columns)).astype(np.float32)


def named(array):
    return pa.table({f"x{j}": column for j, column in enumerate(array.T)})


def sparse(n, seed):
    return sp.random(n, 50, 0.2, "csr", dtype=np.float32, random_state=seed)


def maps(matrix, label=None):
    """The table that sparse rows, and labels, are."""
    features = pa.table({"features": pa.MapArray.from_arrays(matrix.indptr, matrix.indices, matrix.data)})
    return features if label is None else features.add_column(0, "label", pa.array(label))


def files(ending, write, make=mixed, as_table=lambda made: made):
    """A builder of a source over three files of unequal lengths, found by a pattern."""

    def build(folder, n, seed):
        made = make(n, seed)
        for part, (start, stop) in enumerate(pairwise([0, n // 2, n // 2 + 7, n])):
            write(made[start:stop], str(Path(folder, f"part-{part + 9}{ending}")))
        return Built(str(Path(folder, f"part-*{ending}")), as_table(made))

    return build


def memory(make, as_table=lambda made: made):
    """A builder of a source over data in memory."""
    return lambda folder, n, seed: Built(make(n, seed), as_table(make(n, seed)))


def write_arrow(table, path, kind=pa.ipc.new_file):
    with kind(path, table.schema) as file:
        file.write_table(table, 1_700)


def write_csv(table, path, delimiter=",", open_=open):
    with open_(path, "wb") as file:
        pa.csv.write_csv(table, file, pa.csv.WriteOptions(delimiter=delimiter))


def open_zst(path, mode):
    return pa.CompressedOutputStream(path, "zstd")


def json_lines(table):
    """An object a row; keys without a value left out of every other one."""
    rows = enumerate(table.to_pylist())
    return "".join(
        json.dumps({k: v for k, v in row.items() if v is not None or i % 2}) + "\n" for i, row in rows
    )


class Labelled:
    """Sparse rows with labels, to be sliced like a table."""

    def __init__(self, rows, labels):
        self.rows, self.labels = rows, labels

    def __getitem__(self, part):
        return Labelled(self.rows[part], self.labels[part])


def labelled(n, seed):
    return Labelled(sparse(n, seed), np.random.default_rng(seed).integers(-1, 2, n).astype(np.float64))


def write_libsvm(made, path):
    dump_svmlight_file(made.rows, made.labels, path, zero_based=True)


def chunked(n, seed):
    table = mixed(n, seed)
    return pa.concat_tables([table[: n // 3], table[n // 3 : n // 2], table[n // 2 :]])


# One line a source: how to build it, whatever has to be there to read it.
BUILDERS = {
    "parquet": files(".parquet", lambda table, path: pq.write_table(table, path, row_group_size=3_000)),
    "arrow": files(".arrow", write_arrow),
    "arrow stream": files(".arrows", lambda table, path: write_arrow(table, path, pa.ipc.new_stream)),
    "npy": files(".npy", lambda array, path: np.save(path, array), numbers, named),
    "npy by columns": files(".npy", lambda array, path: np.save(path, array.copy("F")), numbers, named),
    "csv": files(".csv", write_csv),
    "csv.gz": files(".csv.gz", partial(write_csv, open_=gzip.open)),
    "csv.bz2": files(".csv.bz2", partial(write_csv, open_=bz2.open)),
    "csv.zst": files(".csv.zst", partial(write_csv, open_=open_zst)),
    "tsv": files(".tsv", partial(write_csv, delimiter="\t")),
    "json": files(".jsonl", lambda table, path: Path(path).write_text(json_lines(table))),
    "json.gz": files(
        ".ndjson.gz", lambda table, path: Path(path).write_bytes(gzip.compress(json_lines(table).encode()))
    ),
    "libsvm": files(".svm", write_libsvm, labelled, lambda made: maps(made.rows, made.labels)),
    "table": memory(chunked),
    "pandas": memory(lambda n, seed: mixed(n, seed).to_pandas(), pa.Table.from_pandas),
    "polars": memory(lambda n, seed: pl.from_arrow(chunked(n, seed)), lambda frame: frame.to_arrow()),
    "stream": memory(lambda n, seed: Stream(chunked(n, seed)), lambda stream: stream.table),
    "dict": memory(lambda n, seed: dict(zip("abcdefgh", numbers(n, seed, 8).T, strict=True)), pa.table),
    "numpy": memory(numbers, named),
    "sparse": memory(sparse, maps),
}


class Stream:
    """Like a query: its rows are made each time they are asked for."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr(formats, "BATCH_BYTES", BATCH_BYTES)


@pytest.fixture(scope="module", params=BUILDERS)
def built(request, tmp_path_factory):
    return BUILDERS[request.param](tmp_path_factory.mktemp("data"), ROWS, 0)


@pytest.fixture(params=BUILDERS)
def builder(request, tmp_path):
    """To be called with a number of rows and a seed; each time in the same place."""
    return lambda n=ROWS, seed=0: BUILDERS[request.param](tmp_path, n, seed)


def joined(batches, schema):
    return pa.Table.from_batches([batch.rows for batch in batches], schema).combine_chunks()


def assert_equal(table, expected):
    """The same columns with the same values, up to the width of their types."""
    assert table.column_names == expected.column_names
    table = table.cast(expected.schema)
    assert [name for name in table.column_names if not table[name].equals(expected[name])] == []


def assert_same(batches, others):
    """The same rows, cut in the same way, told to be in the same places."""
    assert [batch[1:] for batch in batches] == [batch[1:] for batch in others]
    for batch, other in zip(batches, others, strict=True):
        assert batch.rows.equals(other.rows) or repr(batch.rows.to_pydict()) == repr(other.rows.to_pydict())


def test_rows_come_as_they_are_and_in_order(built):
    """Every row comes once, in order, under the schema that was known before, with its place."""
    source = open_source(built.data)
    batches = list(source.batches())
    assert len(batches) > 4
    assert_equal(joined(batches, source.schema), built.expected)
    assert source.n_rows in {None, ROWS}
    assert batches[0].first == 1
    for batch, following in pairwise(batches):
        assert following.first == (batch.first + batch.rows.num_rows if batch.file == following.file else 1)


def test_batches_are_of_one_size(built):
    """No batch is much larger than asked for, and not all are much smaller."""
    sizes = [batch.rows.nbytes for batch in open_source(built.data).batches()]
    assert max(sizes) < 3 * BATCH_BYTES
    assert max(sizes) > BATCH_BYTES / 5


def test_progress_ends_at_the_size(built):
    """What has been read only grows, and all of it is the size of the source."""
    source = open_source(built.data)
    done = [batch.done for batch in source.batches()]
    assert done == sorted(done)
    assert done[-1] == source.size


def test_columns_are_those_asked_for(built):
    """Any columns come, in the order asked for, in the batches that all columns come in."""
    source = open_source(built.data)
    whole = list(source.batches())
    names = source.schema.names
    for columns in (names[-1:], names[::-1], names[:1]):
        part = list(source.batches(columns))
        assert [batch[1:] for batch in part] == [batch[1:] for batch in whole]
        assert_equal(joined(part, None), joined(whole, source.schema).select(columns))


def test_reading_goes_on_from_any_batch(built):
    """From the cursor of any batch on, the same batches come as without stopping; from another source over the same data, too."""
    whole = list(open_source(built.data).batches())
    assert_same(list(open_source(built.data).batches(start=Cursor())), whole)
    for number in {0, 1, len(whole) // 3, len(whole) // 2, len(whole) - 2, len(whole) - 1}:
        cursor = Cursor(*map(int, whole[number].cursor))
        assert_same(list(open_source(built.data).batches(start=cursor)), whole[number + 1 :])


@pytest.mark.parametrize("in_flight", [1, 2, 9])
def test_what_is_in_flight_changes_nothing(built, in_flight):
    """Batches are the same however many may be decoded at once."""
    source = open_source(built.data)
    assert_same(list(source.batches(in_flight=in_flight)), list(source.batches()))


def test_memory_is_bounded(builder):
    """What a pass holds at any time does not grow with the data, nor when its batches are used slowly."""
    data, expected = builder(6 * ROWS)
    source = open_source(data)
    before, most = pa.total_allocated_bytes(), 0
    for number, _ in enumerate(source.batches(in_flight=2)):
        if number % 8 == 0:
            threading.Event().wait(0.002)
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < min(expected.nbytes / 2, 30 * BATCH_BYTES)


def test_the_sample_is_the_same_each_time(built):
    """A sample has the whole schema, some thousand rows at most, and does not change."""
    source = open_source(built.data)
    sample = source.sample()
    assert sample.schema.equals(source.schema)
    assert 200 < len(sample) < ROWS / 2
    assert repr(open_source(built.data).sample().to_pydict()) == repr(sample.to_pydict())


def test_the_fingerprint_follows_the_data(builder):
    """Other values and other lengths have other fingerprints; the same data have the same."""
    prints = [
        open_source(builder(n, seed).data).fingerprint for n, seed in ((ROWS, 0), (ROWS, 1), (ROWS - 1, 1))
    ]
    assert len(set(prints)) == 3
    data = builder().data
    assert open_source(data).fingerprint == open_source(data).fingerprint
    if isinstance(data, str):
        assert (
            open_source(data, options=ReadOptions(on_error="skip")).fingerprint
            != open_source(data).fingerprint
        )


def test_a_file_that_changes_while_it_is_read_is_an_error(builder):
    """Rows of two states of a file are never mixed: what was read before is not gone on with."""
    data = builder().data
    if not isinstance(data, str):
        pytest.skip("not in files")
    source = open_source(data)
    batches = source.batches()
    next(batches)
    for file in Path(data).parent.iterdir():
        with file.open("ab") as end:
            end.write(b"\n")
    with pytest.raises(InputError, match=r"part-9\..*changed while it was being read"):
        list(batches)
    with pytest.raises(InputError, match="changed while it was being read"):
        list(source.batches())


def test_giving_up_leaves_nothing_behind(built):
    """A pass that is not finished leaves no thread and no memory."""
    source = open_source(built.data)
    gc.collect()
    threads, memory_before = threading.active_count(), pa.total_allocated_bytes()
    batches = source.batches(in_flight=8)
    next(batches)
    batches.close()
    gc.collect()
    assert threading.active_count() == threads
    assert pa.total_allocated_bytes() <= memory_before
