"""The cache: its bytes, and what happens when writing or reading goes wrong."""

from __future__ import annotations

import gc
import os
import random
import signal
import struct
import subprocess
import sys
import textwrap
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
import pytest

from fallline.data.cache import cache_key, default_folder, find, write
from fallline.data.cache.shuffle import cut
from fallline.data.rows import DenseRows, SparseRows
from fallline.errors import CacheError, FalllineWarning, InputError

KEY = cache_key("source", "plan")


class Usage(NamedTuple):
    """What `shutil.disk_usage` gives."""

    total: int
    used: int
    free: int


def dense(n=5, columns=2, targets=1, weight=1.0):
    numbers = np.arange(n * columns, dtype=np.float32).reshape(n, columns)
    y = np.arange(n * targets, dtype=np.float32).reshape(n, targets)
    return DenseRows(numbers, y, np.full(n, weight, np.float32))


def sparse(n=5, weight=1.0):
    indptr = np.append(0, np.arange(n).cumsum())
    indices = np.concatenate([np.arange(k) for k in range(n)]).astype(np.int32)
    data = np.arange(indptr[-1], dtype=np.float32)
    return SparseRows(
        indptr,
        indices,
        data,
        9,
        np.arange(n, dtype=np.float32)[:, np.newaxis],
        np.full(n, weight, np.float32),
    )


ROWS = {"dense": dense(), "weighted": dense(weight=2.5), "sparse": sparse(), "two targets": dense(7, 3, 2)}


def same(one, other):
    assert type(one) is type(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def by_number(rows):
    """Rows in the order of their first target."""
    return rows.take(np.argsort(rows.y[:, 0]))


def small_blocks(monkeypatch):
    monkeypatch.setattr("fallline.data.cache.shuffle._BLOCK_BYTES", 2**10)
    monkeypatch.setattr("fallline.data.cache.shuffle.BUFFER_BYTES", 2**14)


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("shuffle", [True, False])
def test_what_is_written_is_found_again(kind, shuffle, tmp_path):
    """Rows, header and tensors come back from the file of the key, in another order or in the same, and from no other key's."""
    tensors = {"mean": np.arange(3.0), "words": np.frombuffer(b"abc", np.uint8)}
    write(tmp_path, KEY, [ROWS[kind]], header={"a": [1, None, "é"]}, tensors=tensors, shuffle=shuffle).close()
    assert find(tmp_path, cache_key("source", "another plan")) is None
    with find(tmp_path, KEY) as cache:
        same(by_number(cache.read()) if shuffle else cache.read(), ROWS[kind])
        assert cache.header == {"a": [1, None, "é"]}
        assert (cache.n_rows, cache.n_columns, cache.n_targets) == (
            ROWS[kind].n_rows,
            ROWS[kind].n_columns,
            ROWS[kind].y.shape[1],
        )
        assert (cache.sparse, cache.shuffled) == (kind == "sparse", shuffle)
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(cache.tensors[name], tensor)


def test_the_layout_is_the_one_in_the_table(tmp_path):
    """A tiny file, put together here by hand from the table in `layout`, is byte for byte what is written."""
    rows = DenseRows(np.float32([[1, 2], [3, 4]]), np.float32([[5], [6]]), np.float32([1, 0.5]))
    write(tmp_path, KEY, [rows], header={"b": 1}, shuffle=False).close()
    text = b'{"header": {"b": 1}, "shape": {"columns": 2, "sparse": false, "targets": 1}, "shuffled": false}'
    text += b" " * (-len(text) % 64)
    tensors = struct.pack("<Q", 8) + b"{}      "
    header = (text + tensors).ljust(4096 - 64, b"\0")
    preamble = struct.pack(
        "<8sII32sIQ", b"fallline", 1, zlib.crc32(header), KEY.encode(), len(text), len(tensors)
    )
    preamble += struct.pack("<I", zlib.crc32(preamble))
    block = b"".join(
        struct.pack(f"<{len(part)}f", *part).ljust(64, b"\0") for part in [(1, 2, 3, 4), (5, 6), (1, 0.5)]
    ).ljust(4096, b"\0")
    index = struct.pack("<QQIIII", 4096, 0, 2, zlib.crc32(block), 1, 0).ljust(64, b"\0")
    footer = struct.pack("<8sQQQQI16x", b"fallline", 8192, 1, 2, 8192 + 128, zlib.crc32(index))
    footer += struct.pack("<I", zlib.crc32(footer))
    content = (tmp_path / f"{KEY}.fallcache").read_bytes()
    assert content == preamble + header + block + index + footer


def test_a_sparse_block_is_the_one_in_the_table(tmp_path):
    """Ends, indices, data and targets of a sparse block lie where the table says; weights that are all 1 are left out."""
    rows = SparseRows(
        np.array([0, 2, 2, 3]),
        np.int32([1, 4, 0]),
        np.float32([1, 2, 3]),
        5,
        np.float32([[7], [8], [9]]),
        np.ones(3, np.float32),
    )
    write(tmp_path, KEY, [rows], shuffle=False).close()
    block = (tmp_path / f"{KEY}.fallcache").read_bytes()[4096:-128]
    parts = [
        struct.pack("<3q", 2, 2, 3),
        struct.pack("<3i", 1, 4, 0),
        struct.pack("<3f", 1, 2, 3),
        struct.pack("<3f", 7, 8, 9),
    ]
    assert block == b"".join(part.ljust(64, b"\0") for part in parts).ljust(4096, b"\0")


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_the_same_rows_make_the_same_bytes(kind, tmp_path, monkeypatch):
    """However rows are divided into chunks, and however often they are written."""
    small_blocks(monkeypatch)
    rows = dense(3000, 5) if kind == "dense" else sparse(90)
    contents = set()
    for size in (rows.n_rows, 1000, 17):
        parts = [rows.take(np.arange(i, min(i + size, rows.n_rows))) for i in range(0, rows.n_rows, size)]
        with write(tmp_path, KEY, iter(parts)) as cache:
            assert cache.n_blocks > 10
            same(by_number(cache.read()), rows)
        contents.add((tmp_path / f"{KEY}.fallcache").read_bytes())
    assert len(contents) == 1


def test_a_block_holds_rows_of_all_of_the_buffer(monkeypatch):
    """Rows are shuffled while written: each block is spread over its buffer, and no block is much larger than another."""
    small_blocks(monkeypatch)
    blocks = list(cut([dense(5000, 3)]))
    a_buffer = 2**14 / 20
    for block in blocks[:16]:
        assert np.ptp(block.y) > 0.8 * a_buffer
    assert {block.n_rows for block in blocks[:15]} == {52}


def test_every_damaged_byte_is_noticed(tmp_path):
    """Whichever byte of a file is changed: the file is not found, or reading it ends in an error; and it is gone afterwards."""
    path = tmp_path / f"{KEY}.fallcache"
    write(tmp_path, KEY, [sparse(6)], tensors={"a": np.ones(2)}).close()
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        in_block = 4096 <= place < 8192
        with nullcontext() if in_block else pytest.warns(FalllineWarning, match="written anew"):
            cache = find(tmp_path, KEY)
        assert in_block == (cache is not None)
        if cache is not None:
            with cache, pytest.raises(CacheError, match="written anew"):
                cache.read()
        assert not path.exists()


def test_a_file_cut_short_is_written_anew(tmp_path):
    """At whatever length it ends."""
    path = tmp_path / f"{KEY}.fallcache"
    write(tmp_path, KEY, [dense()]).close()
    whole = path.read_bytes()
    for length in (0, 1, 63, 64, 4000, 4096, 8191, len(whole) - 64, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.warns(FalllineWarning, match="damaged or not whole"):
            assert find(tmp_path, KEY) is None
    path.write_bytes(whole + b"\0")
    with pytest.warns(FalllineWarning, match="damaged or not whole"):
        assert find(tmp_path, KEY) is None


def test_a_file_under_a_wrong_name_is_not_taken(tmp_path):
    """A file renamed to another key, or of another version, is not read as that key's."""
    other = cache_key("other")
    write(tmp_path, KEY, [dense()]).close()
    (tmp_path / f"{KEY}.fallcache").rename(tmp_path / f"{other}.fallcache")
    with pytest.warns(FalllineWarning, match="for other data"):
        assert find(tmp_path, other) is None


def test_a_file_cut_short_while_it_is_read(tmp_path):
    """A block that is no longer there when its turn comes is an error that says what to do."""
    with write(tmp_path, KEY, [dense()]) as cache:
        os.truncate(tmp_path / f"{KEY}.fallcache", 5000)
        with pytest.raises(CacheError, match=r"damaged \(block 0\).*written anew"):
            cache.read()


def test_an_error_in_the_rows_leaves_nothing(tmp_path):
    """When the rows' source fails half-way, its error comes through, and the folder is as before."""

    def failing():
        yield dense()
        raise InputError("row 9,000,000")

    with pytest.raises(InputError, match="row 9,000,000"):
        write(tmp_path, KEY, failing())
    with pytest.raises(InputError, match="no rows"):
        write(tmp_path, KEY, [dense(0)])
    assert list(tmp_path.iterdir()) == []


WRITER = """
    import sys, numpy as np
    from pathlib import Path
    from fallline.data.cache import write
    from fallline.data.rows import DenseRows
    def chunks(n):
        for i in range(n):
            X = np.full((1000, 100), i, np.float32)
            yield DenseRows(X, X[:, :1], X[:, 0])
    print("begun", flush=True)
    write(Path(sys.argv[1]), sys.argv[2], chunks(int(sys.argv[3])))
    print("done", flush=True)
"""


def writing(folder, chunks, **streams):
    """Another process that writes; it has begun."""
    command = [sys.executable, "-c", textwrap.dedent(WRITER), folder, KEY, str(chunks)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, **streams)
    process.stdout.readline()
    return process


def test_a_killed_writer_leaves_what_the_next_one_removes(tmp_path):
    """Killed at any moment, a writer leaves no file of the key, and no more than one that the next writer clears away."""
    chance = random.Random(1)
    for _ in range(4):
        with writing(tmp_path, 10**6) as process:
            time.sleep(chance.uniform(0, 0.5))
            process.send_signal(signal.SIGKILL)
        assert find(tmp_path, KEY) is None
        assert len(list(tmp_path.iterdir())) <= 1
        write(tmp_path, cache_key("next"), [dense()]).close()
        assert [path.suffix for path in tmp_path.iterdir()] == [".fallcache"]
        (tmp_path / f"{cache_key('next')}.fallcache").unlink()


@pytest.mark.skipif(sys.platform == "win32", reason="where files in use cannot be removed anyway")
def test_what_another_process_is_writing_is_left_alone(tmp_path):
    """A file under way is told from a leftover."""
    with writing(tmp_path, 10**6) as process:
        while not list(tmp_path.iterdir()):
            time.sleep(0.01)
        write(tmp_path, cache_key("next"), [dense()]).close()
        assert len(list(tmp_path.glob(".*.tmp"))) == 1
        process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_an_interrupted_writer_leaves_nothing(tmp_path):
    """Ctrl-C at any moment: the temporary file is gone when the process is."""
    chance = random.Random(2)
    for _ in range(3):
        with writing(tmp_path, 10**6, stderr=subprocess.DEVNULL) as process:
            time.sleep(chance.uniform(0, 0.5))
            process.send_signal(signal.SIGINT)
        assert list(tmp_path.iterdir()) == []


def test_two_processes_may_write_the_same_file(tmp_path):
    """Both end well, and the file is whole."""
    processes = [writing(tmp_path, 100) for _ in range(2)]
    assert [process.communicate()[0] for process in processes] == [b"done\n"] * 2
    with find(tmp_path, KEY) as cache:
        assert cache.read().n_rows == 100_000
    assert len(list(tmp_path.iterdir())) == 1


def test_threads_may_read_at_once(tmp_path, monkeypatch):
    """A cache has no place in its file that readers could disturb for each other; with and without preadv."""
    small_blocks(monkeypatch)
    rows = dense(3000)
    for without in (False, True):
        if without:
            monkeypatch.delattr("os.preadv", raising=False)
            monkeypatch.delattr("os.RWF_NOWAIT", raising=False)
        with write(tmp_path, KEY, [rows]) as cache, ThreadPoolExecutor(4) as pool:
            for result in pool.map(lambda _: cache.read(), range(8)):
                same(by_number(result), rows)


def test_a_file_that_may_not_grow(tmp_path):
    """A limit on the size of files is an error in a sentence, and leaves nothing behind."""
    code = (
        textwrap.dedent(WRITER)
        .replace("import sys", "import resource, sys", 1)
        .replace('print("begun"', 'resource.setrlimit(resource.RLIMIT_FSIZE, (2**22, 2**22)); print("begun"')
    )
    command = [sys.executable, "-c", code, tmp_path, KEY, "100"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "CacheError: The system allows no file as large (File too large)" in result.stderr
    assert "--cache DIR" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_noticed_before(tmp_path, monkeypatch):
    """The error says what is needed, what is free and what to do; other cache files stay where they could not help."""
    write(tmp_path, cache_key("old"), [dense()]).close()
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**12, 0, 5 * 10**9))
    with pytest.raises(CacheError, match=r"need about 12 GB of disk, and 5 GB are free in .*--no-cache"):
        write(tmp_path, KEY, [dense()], expected_bytes=12 * 10**9)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_least_recently_used_make_room(tmp_path, monkeypatch):
    """The folder stays within a quarter of the disk: what has not been used for longest goes, saying so."""
    for age, name in enumerate("abc"):
        write(tmp_path, cache_key(name), [dense()]).close()
        os.utime(tmp_path / f"{cache_key(name)}.fallcache", (100 - age, 100 - age))
    find(tmp_path, cache_key("c")).close()
    size = (tmp_path / f"{cache_key('a')}.fallcache").stat().st_size
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(4 * 3 * size + 8, 0, 10**12))
    with pytest.warns(FalllineWarning, match=cache_key("b")):
        write(tmp_path, KEY, [dense()], expected_bytes=size).close()
    assert {path.stem for path in tmp_path.iterdir()} == {KEY, cache_key("a"), cache_key("c")}


def test_a_folder_that_cannot_be_written_to(tmp_path):
    """A file in the folder's place, or a folder that is not writeable: what to do is said."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match=r"cannot be written \(.*--cache DIR"):
        write(tmp_path / "file", KEY, [dense()])
    if os.geteuid() != 0:
        (tmp_path / "closed").mkdir(0o500)
        with pytest.raises(CacheError, match="Permission denied"):
            write(tmp_path / "closed", KEY, [dense()])


def test_a_temporary_file_has_no_name(tmp_path):
    """It works as any other, and no folder shows it."""
    with write(tmp_path, KEY, [dense()], temporary=True) as cache:
        same(by_number(cache.read()), dense())
        assert list(tmp_path.iterdir()) == []


def test_keys_and_the_folder(monkeypatch, tmp_path):
    """Other texts, or the same cut elsewhere, are another key; the folder is where the platform or XDG_CACHE_HOME says."""
    assert (
        len(
            {
                cache_key("ab", "c"),
                cache_key("a", "bc"),
                cache_key("abc"),
                cache_key("ab\nc"),
                cache_key("ab", "c", ""),
            }
        )
        == 5
    )
    assert cache_key("a") == cache_key("a")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "fallline"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder().is_absolute()


def test_cache_errors_are_errors_of_the_world_and_of_the_project():
    """Whoever catches OSError, or FalllineError, catches them."""
    assert issubclass(CacheError, OSError)


def test_a_cache_in_a_cycle_of_garbage_is_closed(tmp_path):
    """Nobody hears of a file that was left open, whichever of the two goes first."""
    cycle: list = [write(tmp_path, KEY, [dense()])]
    cycle.append(cycle)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del cycle
        gc.collect()
    assert not told
