"""Writing a cache file: whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zlib
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from fallline.data.ahead import mapped_ahead
from fallline.data.cache import layout
from fallline.data.cache.folder import (
    explained,
    make_room,
    new_file,
    path_of,
    remove_leftovers,
    unnamed_file,
)
from fallline.data.cache.gathered import Gathered
from fallline.data.cache.reader import Cache
from fallline.data.cache.shuffle import Joined, blocks_of, buffers
from fallline.data.rows import Rows, SparseRows
from fallline.errors import InputError

__all__ = ["cache_key", "write"]


def cache_key(*parts: str) -> str:
    """The name of what these texts, and the version of the format, determine: fingerprints of sources, plan, settings."""
    texts = [f"{layout.VERSION}", *parts]
    lengths = " ".join(str(len(text)) for text in texts)
    return hashlib.sha256("\n".join([lengths, *texts]).encode()).hexdigest()[: layout.KEY_DIGITS]


def write(
    folder: Path,
    key: str,
    chunks: Iterable[Rows],
    *,
    header: Mapping[str, Any] | None = None,
    tensors: Mapping[str, np.ndarray] | None = None,
    expected_bytes: int = 0,
    shuffle: bool = True,
    temporary: bool = False,
    gathered: Gathered | None = None,
) -> Cache:
    """Write rows to the file of a key, shuffled once, and open it.

    The same rows make the same bytes, however they come in chunks. Chunks are taken, and blocks written, in the caller's
    thread; rows are shuffled on another.

    Parameters
    ----------
    folder : Path
        Made if it does not exist. Files there that have not been used for longest are removed to make room, saying so.
    key : str
        From `cache_key`.
    chunks : iterable of DenseRows or SparseRows
        float32. Rows are copied up to two buffers (32 MiB) later; until then the arrays must not change.
    header : mapping, optional
        What else to keep, as JSON can.
    tensors : mapping of str to ndarray, optional
        The fitted encoder's.
    expected_bytes : int
        About how large the file will be: asked of the disk before.
    shuffle : bool
        Otherwise rows stay in the order they came in.
    temporary : bool
        A file without a name, somewhere else, which is gone when it is closed or the process ends.
    gathered : Gathered, optional
        Where to put the rows in memory, too.

    Raises
    ------
    CacheError
        If the folder cannot be written to or the disk is full. Nothing is left behind.
    InputError
        If there are no rows.
    """
    if temporary:
        file = unnamed_file()
        try:
            _write_file(
                file, key, chunks, header or {}, tensors or {}, shuffle, Path("(temporary)"), gathered
            )
            return Cache(file, None, key)
        except BaseException:
            file.close()
            raise
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        make_room(folder, expected_bytes)
    return _write_named(folder, key, chunks, header or {}, tensors or {}, shuffle, gathered)


def _write_named(folder, key, chunks, header, tensors, shuffle, gathered):
    file, temporary = new_file(folder, key)
    path = path_of(folder, key)
    try:
        _write_file(file, key, chunks, header, tensors, shuffle, folder, gathered)
        with explained(folder):
            # Not flushed to the disk, which could take as long as all the rest: what a power failure spoils has a wrong checksum,
            # and is written anew.
            if sys.platform == "win32":  # where a file that is open cannot be renamed
                file.close()
            os.replace(temporary, path)
    except BaseException:
        file.close()
        with suppress(OSError):
            temporary.unlink()
        raise
    return Cache(FileIO(path) if file.closed else file, path, key)


def _write_file(file, key, chunks, header, tensors, shuffle, folder, gathered):
    """All sections, from first to last."""
    chunks = iter(chunks)
    first = next((chunk for chunk in chunks if chunk.n_rows), None)
    if first is None:
        raise InputError("There are no rows to train on. Check the data and the target column.")
    shape = layout.Shape(first.n_columns, first.y.shape[1], isinstance(first, SparseRows))
    with explained(folder):
        begin = _write_header(
            file, key, {"shape": shape._asdict(), "shuffled": shuffle, "header": header}, tensors
        )

    joined, take = Joined(), None if gathered is None else gathered.take

    def shuffled(item):
        number, parts = item
        return list(blocks_of(parts, number, shuffle, joined, take))

    entries = []
    stretches = enumerate(buffers(_chained(first, chunks)))
    # One buffer is shuffled while the one before is written.
    with closing(mapped_ahead(shuffled, stretches, threads=1, in_flight=2)) as ready:
        for blocks in ready:
            with explained(folder):
                entries += [_write_block(file, shape, block) for block in blocks]
    with explained(folder):
        _write_index(file, begin, entries)


def _chained(first, chunks):
    yield first
    yield from chunks


def _write_header(file, key, content, tensors):
    """Preamble and header; where the first block begins."""
    from safetensors.numpy import save

    text = json.dumps(content, sort_keys=True).encode()
    blob = save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})
    text += b" " * layout.padding(len(text), layout.ALIGNMENT)
    header = text + blob
    header += bytes(layout.padding(layout.PREAMBLE.size + len(header), layout.PAGE))
    checksum = zlib.crc32(header)
    fields = layout.MAGIC, layout.VERSION, checksum, key.encode(), len(text), len(blob)
    _write(file, _checked(layout.PREAMBLE, *fields) + header)
    return layout.PREAMBLE.size + len(header)


def _write_block(file, shape, rows):
    """One block; its size, and its entry in the index but for the offset."""
    entries = len(rows.indices) if shape.sparse else 0
    weighted = bool((rows.weight != 1).any())
    size, end, checksum = layout.size_of(shape, rows.n_rows, entries, weighted), 0, 0
    for part in layout.parts_of(shape, rows.n_rows, entries, weighted):
        values = rows.indptr[1:] if part.name == "ends" else getattr(rows, part.name)
        plain = np.ascontiguousarray(values, part.dtype).reshape(-1).view(np.uint8)
        checksum = _write(file, plain, _write(file, bytes(part.offset - end), checksum))
        end = part.offset + part.nbytes
    checksum = _write(file, bytes(size - end), checksum)
    return size, (entries, rows.n_rows, checksum, weighted, 0)


def _write_index(file, begin, entries):
    index = np.zeros(len(entries), layout.ENTRY)
    offset = begin
    for i, (size, entry) in enumerate(entries):
        index[i] = (offset, *entry)
        offset += size
    content = index.tobytes()
    content += bytes(layout.padding(len(content), layout.ALIGNMENT))
    end = offset + len(content) + layout.FOOTER.size
    rows = int(index["rows"].sum())
    fields = layout.MAGIC, offset, len(index), rows, end, zlib.crc32(content)
    _write(file, content + _checked(layout.FOOTER, *fields))


def _checked(record, *fields):
    """A record whose last field is the checksum of what comes before."""
    content = record.pack(*fields, 0)[:-4]
    return content + zlib.crc32(content).to_bytes(4, "little")


def _write(file, content, checksum=0):
    """All of it, in as many calls as it takes; the checksum that goes on from one before."""
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]
    return zlib.crc32(content, checksum)
