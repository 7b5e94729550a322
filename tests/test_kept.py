"""What is kept from one pass to the next: parsed batches and encoded rows, within the budget, and never with another result."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from fallline.data.budget import MINIMUM, Budget
from fallline.data.cache import Gathered, cache_key, find, write
from fallline.data.cache.shuffle import cut
from fallline.data.encoder import fit, make_plan
from fallline.data.kept import KeptBatches
from fallline.data.prepared import Preparing, prepare
from fallline.data.rows import DenseRows, SparseRows
from fallline.data.sources import open_source
from fallline.data.sources.base import Batch, Cursor
from fallline.data.sources.joined import JoinedSource
from fallline.objective.domains import ANY_NUMBER

ROWS = 3000


def mixed(rows=ROWS):
    """Numbers and a date; text of few and of many values, some of it words; a target with classes, and missing ones of all."""
    rng = np.random.default_rng(0)

    def some(values):
        return pa.array(values, mask=rng.random(rows) < 0.05)

    return pa.table(
        {
            "x": some(rng.normal(3, 2, rows).round(3)),
            "few": some(rng.choice(["red", "green", "blue"], rows)),
            "many": some(np.char.add("m", rng.integers(0, 700, rows).astype(str))),
            "code": some(rng.integers(0, 9, rows)),
            "said": some(rng.choice(["a good one", "a bad one", "none"], rows)),
            "day": some((np.datetime64("2020-01-01") + rng.integers(0, 900, rows)).astype("datetime64[D]")),
            "sold": some(rng.choice(["yes", "no"], rows)),
        }
    )


@pytest.fixture(params=["csv", "parquet"])
def path(request, tmp_path, monkeypatch):
    """A file that is read in many batches."""
    monkeypatch.setattr("fallline.data.sources.formats.BATCH_BYTES", 2**14)
    path = tmp_path / f"mixed.{request.param}"
    if request.param == "csv":
        csv.write_csv(mixed(), path)
    else:
        parquet.write_table(mixed(), path, row_group_size=500)
    return path


def prepared(path, folder, budget):
    """The rows of a file, encoded from nothing."""
    source = open_source(path)
    plan = make_plan(source, target="sold", categorical=["code"], text=["said"])
    return prepare(source, plan, Preparing(budget, folder, True, ANY_NUMBER, "log_loss", lambda *_: None))


def same(one, other):
    """Equal to the bit, dtypes too."""
    assert type(one) is type(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


def passes(monkeypatch):
    """The number of times that a source is read, told by a list of one."""
    count = [0]
    read = JoinedSource.batches

    def counted(self, *args, **settings):
        count[0] += 1
        return read(self, *args, **settings)

    monkeypatch.setattr(JoinedSource, "batches", counted)
    return count


def test_files_that_fit_are_parsed_once_and_all_else_is_the_same(path, tmp_path, monkeypatch):
    """Read once or twice, with a cache or without: the same encoder, the same rows, the same bytes in the file."""
    count = passes(monkeypatch)
    once = prepared(path, tmp_path / "once", Budget(10**9))
    assert count == [1]
    uncached = prepared(path, None, Budget(10**9))
    monkeypatch.setattr(Budget, "spare", lambda *_: 0)
    count[0] = 0
    twice = prepared(path, tmp_path / "twice", Budget(10**9))
    assert count == [2]
    assert once.cache.path.read_bytes() == twice.cache.path.read_bytes()
    found = prepared(path, tmp_path / "once", Budget(10**9))
    assert found.found
    assert count == [2]
    for other in (twice, uncached, found):
        same(other.rows, once.rows)
        np.testing.assert_array_equal(other.block_rows, once.block_rows)


def test_rows_that_were_gathered_are_not_read_back(path, tmp_path, monkeypatch):
    """What lies in memory already is not loaded from the cache that was written."""
    monkeypatch.setattr(
        "fallline.data.cache.reader.Cache.read", lambda *_: pytest.fail("rows were read back")
    )
    assert prepared(path, tmp_path / "cache", Budget(10**9)).rows.n_rows > 0.9 * ROWS


def test_without_memory_to_spare_nothing_is_kept(path, tmp_path, monkeypatch):
    """Files are read twice then, and no rows are gathered while they are written."""
    count = passes(monkeypatch)
    monkeypatch.setattr(Budget, "spare", lambda *_: 0)
    monkeypatch.setattr(
        "fallline.data.prepared.Gathered", lambda *_: pytest.fail("there is no room for rows")
    )
    assert prepared(path, tmp_path / "cache", Budget(MINIMUM)).rows is not None
    assert count == [2]


def test_batches_and_rows_take_no_more_than_there_is_to_spare(path, tmp_path, monkeypatch):
    """What is kept of the first pass counts for what is gathered in the second; with little to spare, one or both are left."""
    batches, taken = [], []

    class Watched(KeptBatches):
        def __init__(self, *args):
            super().__init__(*args)
            batches.append(self)

    def gathered(rows, size):
        taken.append(size)
        return Gathered(rows, size)

    monkeypatch.setattr("fallline.data.prepared.KeptBatches", Watched)
    monkeypatch.setattr("fallline.data.prepared.Gathered", gathered)
    seen = set()
    for power in range(14, 24):
        monkeypatch.setattr(Budget, "spare", lambda *_, spare=2**power: spare)
        taken.clear()
        prepared(path, tmp_path / f"{power}", Budget(10**9))
        assert sum(taken) + batches[-1].nbytes <= 2**power
        seen.add((batches[-1].complete, len(taken)))
    assert {(False, 0), (True, 1)} < seen


def test_spare_memory_is_what_batches_leave():
    """With what is under way and what is kept, the budget is not exceeded, and the least budget has hardly any to spare."""
    for total in (MINIMUM, 2 * MINIMUM, 10**9, 10**11):
        budget = Budget(total)
        under_way = 4 * 2**22 * budget.in_flight(2**22) + 3 * 2**24
        assert 0 <= budget.spare(2**22) <= max(0, total - under_way)
    assert Budget(MINIMUM).spare(2**22) < MINIMUM // 10
    assert Budget(10**9).spare(2**22) > 10**8


def batch(number, done):
    """A batch of 1,000 numbers: 8,000 bytes."""
    rows = pa.record_batch({"a": np.full(1000, number), "b": np.arange(1000)})
    return Batch(rows, "file", 1, Cursor(), done)


def test_batches_are_given_back_in_order_and_forgotten():
    """The columns asked for, batch by batch; what was given is held no more."""
    kept = KeptBatches(10**6, 4)
    for number in range(4):
        kept.add(batch(number, number + 1))
    assert kept.complete
    assert kept.nbytes == 64_000
    found = [(part.rows.schema.names, part.rows.column("a")[0].as_py()) for part in kept.batches(["a"])]
    assert found == [(["a"], number) for number in range(4)]
    assert list(kept.batches(["a"])) == []


@pytest.mark.parametrize(("size", "given_up_after"), [(6, 4), (10**6, 1), (0, 4)])
def test_what_does_not_fit_is_given_up_at_once(size, given_up_after):
    """All are let go with the first batch that is too many; or before, where the first ones tell that all would not fit."""
    kept = KeptBatches(3 * 16_000, size)
    for number in range(6):
        kept.add(batch(number, number + 1))
        assert kept.nbytes <= 3 * 16_000
        assert kept.complete == (number + 1 < given_up_after)
    assert kept.nbytes == 0
    assert list(kept.batches(["a"])) == []


def dense(rows):
    """Rows that say every number."""
    numbers = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
    return DenseRows(numbers, numbers[:, :1].copy(), np.ones(rows, np.float32))


def sparse(rows):
    """Rows of 0 to 4 entries, of which the weights differ."""
    lengths = np.arange(rows) % 5
    indptr = np.append(0, lengths.cumsum())
    numbers = np.arange(indptr[-1])
    y = np.arange(rows, dtype=np.float32)[:, np.newaxis]
    return SparseRows(indptr, (numbers % 7).astype(np.int32), numbers.astype(np.float32), 7, y, 1 + y[:, 0])


@pytest.mark.parametrize("rows", [dense(5000), sparse(5000)], ids=["dense", "sparse"])
@pytest.mark.parametrize("room", [1, 0.99, 0.1])
def test_gathered_rows_are_those_of_the_file(rows, room, tmp_path, monkeypatch):
    """Gathered or read back: the same rows, and the same file; where there is too little room, none are gathered."""
    monkeypatch.setattr("fallline.data.cache.shuffle._BLOCK_BYTES", 2**10)
    monkeypatch.setattr("fallline.data.cache.shuffle.BUFFER_BYTES", 2**14)
    key = cache_key("source", "plan")
    with write(tmp_path / "usual", key, [rows]) as usual:
        size = usual.memory_of(usual.n_rows, int(usual.entries.sum()))
        gathered = Gathered(rows.n_rows, int(room * size))
        with write(tmp_path / "gathered", key, [rows], gathered=gathered) as cache:
            assert cache.path.read_bytes() == usual.path.read_bytes()
            if room < 1:
                assert gathered.rows() is None
            else:
                same(gathered.rows(), cache.read())


def test_more_rows_than_expected_are_not_gathered():
    """The number of rows is a limit, too."""
    gathered = Gathered(4000, 10**9)
    for block in cut([dense(4001)]):
        same(gathered.take(block, np.arange(block.n_rows, dtype=np.uint64)), block)
    assert gathered.rows() is None
    assert Gathered(10, 10**6).rows() is None


def test_codes_make_the_same_encoder(path):
    """A pass that hands its batches on finds what one finds that does not; text for categories and classes is coded in them."""
    source = open_source(path)
    plan = make_plan(source, target="sold", categorical=["code"], text=["said"])
    batches = []
    encoder = fit(plan, source, keep=batches.append, threads=2)
    tensors, document = fit(plan, source, threads=1).to_tensors()
    again, same_document = encoder.to_tensors()
    assert document == same_document
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, again[name])
    schema = batches[0].rows.schema
    assert all(pa.types.is_dictionary(schema.field(name).type) for name in ("few", "many", "sold"))
    assert not pa.types.is_dictionary(schema.field("said").type)
    for coded, plain in zip(batches, source.batches(encoder.reads), strict=True):
        same(
            encoder.encode(coded._replace(rows=coded.rows.select(encoder.reads))),
            encoder.encode(plain),
        )
    assert find(path.parent, "0" * 32) is None
