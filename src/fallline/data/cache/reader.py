"""Reading a cache file, every byte of it checked before its first use."""

from __future__ import annotations

import json
import os
import threading
import warnings
import weakref
import zlib
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, Self

import numpy as np

from fallline.data.cache import layout
from fallline.data.cache.folder import path_of
from fallline.data.cache.gathered import arrays_in, memory_for
from fallline.data.rows import DenseRows, Rows, SparseRows
from fallline.errors import CacheError, DamagedCacheError, FalllineWarning

__all__ = ["Cache", "find"]

# Blocks that the system is asked to fetch from the disk while others are read: reads in random order then run at the
# disk's own rate. It is asked only when a block was not in memory: to ask for one that is takes a fifth of its reading.
_ASKED_AHEAD = 8


def find(folder: Path, key: str) -> Cache | None:
    """The file of a key, if it is there and whole. One that is not is removed with a warning, to be written anew."""
    path = path_of(folder, key)
    try:
        cache = Cache(FileIO(path), path, key)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = str(error) if isinstance(error, CacheError) else f"cannot be read ({error.strerror})"
        warnings.warn(
            f"The cache file {str(path)!r} {reason}. It is written anew.", FalllineWarning, stacklevel=2
        )
        with suppress(OSError):
            path.unlink()
        return None
    with suppress(OSError):
        os.utime(path)  # the time of its last use, by which old ones are removed
    return cache


class Cache:
    """An open cache file.

    Parameters
    ----------
    file : FileIO
        Closed with the cache.
    path : Path or None
        None for a file without a name.
    key : str
        What it should hold.

    Attributes
    ----------
    size : int
        Bytes.
    n_rows, n_columns, n_targets, n_blocks : int
    sparse : bool
    shuffled : bool
        Whether rows were shuffled while written.
    rows, entries : ndarray of shape (n_blocks,), int64
        Rows of each block, and entries that are not zero; 0 where rows are dense.
    header : dict
    tensors : dict of ndarray
        What the writer was given to keep.
    fingerprint : str
        Of the encoded rows that the file holds.

    Raises
    ------
    CacheError
        If anything but the blocks is damaged: the end of a sentence that says how.
    """

    def __init__(self, file: FileIO, path: Path | None, key: str):
        self._file = file
        self.path = path
        self.key = key
        self._lock = threading.Lock()
        # Sooner than the file's own end, which complains, also where both are in a cycle of garbage.
        weakref.finalize(self, file.close)
        try:
            self._read_ends(key)
        except BaseException:
            file.close()
            raise

    def _read_ends(self, key):
        self.size = size = self._file.seek(0, os.SEEK_END)
        head = self._checked(layout.PREAMBLE, 0)
        foot = self._checked(layout.FOOTER, size - layout.FOOTER.size)
        if head is None or foot is None or foot[4] != size:
            raise CacheError("is damaged or not whole")
        _, version, header_checksum, its_key, json_bytes, tensor_bytes = head
        _, self._end, self.n_blocks, self.n_rows, _, index_checksum = foot
        if version != layout.VERSION or its_key != key.encode():
            raise CacheError(f"is of another version ({version}) or for other data ({its_key.decode()})")
        content = self._at(self._end, size - layout.FOOTER.size - self._end)
        _require_checksum(content, index_checksum)
        self._read_index(np.frombuffer(content, layout.ENTRY, self.n_blocks))
        header = self._at(layout.PREAMBLE.size, self._offsets[0] - layout.PREAMBLE.size)
        _require_checksum(header, header_checksum)
        self._read_header(header[:json_bytes], header[json_bytes : json_bytes + tensor_bytes])
        self.fingerprint = f"{self.n_rows} {index_checksum:08x}"

    def _checked(self, record, offset):
        """The fields of a record, if it is whole."""
        content = self._at(offset, record.size)
        if len(content) < record.size:
            return None
        *fields, checksum = record.unpack(content)
        return fields if fields[0] == layout.MAGIC and checksum == zlib.crc32(content[:-4]) else None

    def _at(self, offset, size):
        content = bytearray(max(size, 0))
        return content if offset >= 0 and self._fill([content], offset) == size else b""

    def _read_index(self, index):
        self._offsets = [*index["offset"].tolist(), self._end]
        self.rows = index["rows"].astype(np.int64)
        self.entries = index["entries"].astype(np.int64)
        self._checksums = index["checksum"].tolist()
        self._weighted = index["weighted"].astype(bool).tolist()
        self._verified = bytearray(self.n_blocks)

    def _read_header(self, text, tensors):
        from safetensors.numpy import load

        content = json.loads(text)
        self.shape = layout.Shape(**content["shape"])
        self.n_columns, self.n_targets, self.sparse = self.shape
        self.shuffled: bool = content["shuffled"]
        self.header: dict[str, Any] = content["header"]
        self.tensors: dict[str, np.ndarray] = load(bytes(tensors))

    def memory_of(self, rows: Any, entries: Any) -> Any:
        """Bytes of memory that so many rows and entries take when read; numbers or arrays of them."""
        return memory_for(self.shape, rows, entries)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that all rows take."""
        return int(self.memory_of(self.rows, self.entries).sum())

    def read(self, blocks: np.ndarray | None = None, memory: np.ndarray | None = None) -> Rows:
        """The rows of these blocks, by default of all, one block after the other.

        A block's checksum is verified when it is first read.

        Parameters
        ----------
        blocks : ndarray of int, optional
        memory : ndarray of uint8, optional
            Where to put them, `memory_of` bytes at least; the rows returned lie there.

        Raises
        ------
        CacheError
            If a block is damaged; `DamagedCacheError` if the file has a name: it is removed, to be written anew.
        """
        blocks = np.arange(self.n_blocks) if blocks is None else blocks
        n, entries = int(self.rows[blocks].sum()), int(self.entries[blocks].sum())
        if memory is None:
            memory = np.empty(self.memory_of(n, entries), np.uint8)
        arrays = arrays_in(memory, self.shape, n, entries)
        row = entry = asked = 0
        for i, block in enumerate(map(int, blocks)):
            stop, last = row + int(self.rows[block]), entry + int(self.entries[block])
            buffers = self._buffers(block, arrays, slice(row, stop), slice(entry, last))
            found = self._filled_at_once(block, buffers)
            if not found:
                self._ask(blocks[max(asked, i + 1) : i + 1 + _ASKED_AHEAD])
                asked = i + 1 + _ASKED_AHEAD
                found = self._fill(buffers, self._offsets[block]) == self._size(block)
            if not (found and self._is_whole(block, buffers)):
                raise self._damage(block)
            if not self._weighted[block]:
                arrays["weight"][row:stop] = 1
            if self.sparse:
                arrays["ends"][row:stop] += entry
            row, entry = stop, last
        if self.sparse:
            indptr = arrays.pop("indptr")
            return SparseRows(
                indptr, arrays["indices"], arrays["data"], self.n_columns, arrays["y"], arrays["weight"]
            )
        return DenseRows(arrays["X"], arrays["y"], arrays["weight"])

    def _buffers(self, block, arrays, rows, entries):
        """The places in the arrays, and between them, that a block is read to."""
        parts = layout.parts_of(
            self.shape, rows.stop - rows.start, entries.stop - entries.start, self._weighted[block]
        )
        buffers, end = [], 0
        for part in parts:
            if part.offset > end:
                buffers.append(bytearray(part.offset - end))
            of_entries = part.name in {"indices", "data"}
            buffers.append(arrays[part.name][entries if of_entries else rows])
            end = part.offset + part.nbytes
        if self._size(block) > end:
            buffers.append(bytearray(self._size(block) - end))
        return buffers

    def _size(self, block):
        """Bytes that a block takes in the file."""
        return self._offsets[block + 1] - self._offsets[block]

    def _filled_at_once(self, block, buffers):
        """Read a block if the system holds it in memory; whether it did."""
        if not hasattr(os, "RWF_NOWAIT"):
            return False
        try:
            count = os.preadv(self._file.fileno(), buffers, self._offsets[block], os.RWF_NOWAIT)
        except OSError:
            return False  # it is not in memory; or this file system does not tell
        return count == self._size(block)

    def _is_whole(self, block, buffers):
        """Whether a block has its checksum, which need not be computed at every reading."""
        if not self._verified[block]:
            checksum = 0
            for buffer in buffers:
                checksum = zlib.crc32(buffer, checksum)
            self._verified[block] = checksum == self._checksums[block]
        return self._verified[block]

    def _fill(self, buffers, offset):
        """Read into buffers, one after the other; how many bytes there were."""
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), buffers, offset)
        with self._lock:
            self._file.seek(offset)
            return sum(self._file.readinto(buffer) for buffer in buffers)

    def _ask(self, blocks):
        """Have the system fetch blocks from the disk, without waiting for them."""
        if hasattr(os, "posix_fadvise"):
            for block in map(int, blocks):
                where = self._offsets[block], self._size(block)
                os.posix_fadvise(self._file.fileno(), *where, os.POSIX_FADV_WILLNEED)

    def _damage(self, block):
        if self.path is None:
            return CacheError(
                f"Block {block} of the temporary file of encoded rows is damaged: the disk does not give back what was written. "
                "Try another one with --cache DIR."
            )
        # Unless another process has written it anew in the meantime.
        with suppress(OSError):
            if os.path.samestat(self.path.stat(), os.fstat(self._file.fileno())):
                self.path.unlink()
        return DamagedCacheError(
            f"The cache file {str(self.path)!r} is damaged (block {block}). It has been removed, to be written anew."
        )

    def close(self) -> None:
        """Close the file; a temporary one is gone then."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _require_checksum(content, checksum):
    if zlib.crc32(content) != checksum:
        raise CacheError("is damaged: a checksum does not match")
