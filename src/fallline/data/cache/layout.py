"""The format of a cache file, all of it.

A cache file holds encoded rows, row after row, in blocks, and what encoded them. Numbers are little-endian. The gaps that
alignment leaves are filled with zeros, and every byte counts in some checksum (CRC-32, as `zlib.crc32` computes it).

======== ==================== ==============================================================================
section  begins at            holds
======== ==================== ==============================================================================
preamble 0                    `PREAMBLE`: magic, version, key, and the sizes and checksum of the header
header   64                   JSON: columns, targets, whether rows are sparse, whether shuffled, and what the
                              writer was given; then a safetensors file: the fitted encoder's tensors
blocks   a multiple of 4096   each begins and ends at a multiple of 4096; its parts, each at a multiple of 64:
 dense                        X (rows, columns) float32
 sparse                       ends (rows,) int64, where each row's entries end, counted from the block's
                              first; indices (entries,) int32; data (entries,) float32
 both                         y (rows, targets) float32; weight (rows,) float32, if some weight is not 1
index    after the blocks     `ENTRY` for each block: where it is, how many rows and entries, checksum
footer   64 before the end    `FOOTER`: where the index is, how many blocks and rows, the file's size
======== ==================== ==============================================================================
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

import numpy as np

__all__ = [
    "ALIGNMENT",
    "ENTRY",
    "FOOTER",
    "KEY_DIGITS",
    "MAGIC",
    "PAGE",
    "PREAMBLE",
    "VERSION",
    "Part",
    "Shape",
    "padding",
    "parts_of",
    "size_of",
]

MAGIC = b"fallline"
# One more whenever a byte of what is written changes: layout, size of blocks, or the order that rows are shuffled to.
VERSION = 1
KEY_DIGITS = 32

# What direct reads and vector loads ask for.
PAGE = 4096
ALIGNMENT = 64

# magic, version, checksum of the header up to the first block, key, bytes of JSON, bytes of tensors; then the checksum of these.
PREAMBLE = struct.Struct(f"<8sII{KEY_DIGITS}sIQI")

# offset, entries (not zero, sparse only), rows, checksum up to the next block, 1 if it has weights, 0.
ENTRY = np.dtype(
    [
        ("offset", "<u8"),
        ("entries", "<u8"),
        ("rows", "<u4"),
        ("checksum", "<u4"),
        ("weighted", "<u4"),
        ("unused", "<u4"),
    ]
)

# magic, offset of the index, blocks, rows, bytes of the file, checksum of the index up to the footer; then the checksum of these.
FOOTER = struct.Struct("<8sQQQQI16xI")


class Shape(NamedTuple):
    """What all rows of a file have in common."""

    columns: int
    targets: int
    sparse: bool


class Part(NamedTuple):
    """An array of a block.

    Parameters
    ----------
    name : str
    dtype : str
    shape : tuple of int
    offset : int
        Bytes from the beginning of the block.
    nbytes : int
        Without what is added for alignment.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


@lru_cache(256)  # dense blocks are all alike
def parts_of(shape: Shape, rows: int, entries: int, weighted: bool) -> tuple[Part, ...]:
    """The arrays of a block of so many rows and entries, in their order."""
    arrays: list[tuple[str, str, tuple[int, ...]]]
    if shape.sparse:
        arrays = [("ends", "<i8", (rows,)), ("indices", "<i4", (entries,)), ("data", "<f4", (entries,))]
    else:
        arrays = [("X", "<f4", (rows, shape.columns))]
    arrays.append(("y", "<f4", (rows, shape.targets)))
    if weighted:
        arrays.append(("weight", "<f4", (rows,)))
    parts, offset = [], 0
    for name, dtype, dimensions in arrays:
        nbytes = int(dtype[-1])
        for length in dimensions:
            nbytes *= length
        parts.append(Part(name, dtype, dimensions, offset, nbytes))
        offset += nbytes + padding(nbytes, ALIGNMENT)
    return tuple(parts)


def size_of(shape: Shape, rows: int, entries: int, weighted: bool) -> int:
    """Bytes of a block, up to where the next begins."""
    *_, last = parts_of(shape, rows, entries, weighted)
    end = last.offset + last.nbytes
    return end + padding(end, PAGE)


def padding(size: int, multiple: int) -> int:
    """Bytes from `size` to the next multiple."""
    return -size % multiple
