"""Which format files are of: by their ending, or by how they begin."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from fallline.data.sources.arrow_ipc import Arrow
from fallline.data.sources.csv import Delimited
from fallline.data.sources.files import COMPRESSIONS, File
from fallline.data.sources.formats import FileFormat
from fallline.data.sources.json_lines import JSONLines
from fallline.data.sources.libsvm import LibSVM
from fallline.data.sources.npy import Npy
from fallline.data.sources.options import ReadOptions
from fallline.data.sources.parquet import Parquet
from fallline.errors import InputError, ParameterError

__all__ = ["FORMATS", "one_format"]

FORMATS: tuple[FileFormat, ...] = (Parquet(), Arrow(), Npy(), JSONLines(), LibSVM(), Delimited())
"""All there are, in the order in which they are asked whether a file is theirs that does not say so by its name."""

# These endings say that it is text, and not of which format.
VAGUE = {"", ".txt", ".data", ".dat", ".train", ".test"}

HEAD = 64 << 10
MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
UNREADABLE = {
    ".xz": "xz",
    ".zip": "zip",
    ".7z": "7z",
    ".tar": "tar",
    ".tgz": "tar",
    ".xlsx": "Excel",
    ".xls": "Excel",
}


def one_format(files: Sequence[File], options: ReadOptions) -> tuple[list[File], FileFormat]:
    """The format that all files are of; and the files, with what their first bytes say about compression.

    Raises
    ------
    InputError
        If one is empty or of no known format, or if they are of several.
    """
    known = [_known(file, options) for file in files]
    first, file_format = known[0]
    for file, other in known:
        if other.name != file_format.name:
            raise InputError(
                f"There are files of several formats: {first.name!r} is {file_format.name}, {file.name!r} is {other.name}. "
                f"Give those of one, by a pattern such as '*{first.ending or '.csv'}'."
            )
    return [file for file, _ in known], file_format


def _known(file, options):
    """A file with its compression, and its format."""
    if file.size == 0:
        raise InputError(
            f"{file.name!r} is empty: it has 0 bytes. Check how it was written, or leave it out."
        )
    file_format = _by_name(options.format) if options.format else _by_ending(file)
    if file_format is None:
        file, head = _head(file)
        file_format = next((each for each in FORMATS if each.recognises(head)), None)
    if file_format is None or _is_archive(file):
        raise InputError(_unknown(file))
    if file.compression and not file_format.compressible:
        raise InputError(
            f"{file.name!r} is a {file_format.name} file that was compressed as a whole, so it cannot be read in parts. "
            f"Decompress it; {file_format.name} files are compressed inside, if at all."
        )
    return file, file_format


def _by_name(name):
    for file_format in FORMATS:
        if file_format.name == name:
            return file_format
    raise ParameterError(
        f"format is {name!r}, but it takes one of {', '.join(repr(each.name) for each in FORMATS)}."
    )


def _by_ending(file):
    ending = file.ending
    if ending in VAGUE:
        return None
    return next((each for each in FORMATS if ending in each.endings), None)


def _head(file):
    """The first bytes, decompressed, and the file with its compression."""
    with file.open() as stream:
        raw = stream.read(HEAD)
        compression = file.compression or next(
            (MAGIC[magic] for magic in MAGIC if raw.startswith(magic)), None
        )
        if compression is None:
            return file, raw
        stream.seek(0)
        try:
            with pa.CompressedInputStream(stream, compression) as text:
                return file._replace(compression=compression), text.read(HEAD)
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{file.name!r} cannot be decompressed ({error}): it is damaged, or no {compression} file. Copy it again."
            ) from error


def _is_archive(file):
    return file.ending in UNREADABLE


def _unknown(file):
    if _is_archive(file):
        return f"{file.name!r} is a file of the {UNREADABLE[file.ending]} kind, which cannot be read. Unpack or convert it first."
    endings = ", ".join(ending for each in FORMATS for ending in each.endings if ending not in VAGUE)
    return (
        f"{file.name!r} is of no format that is known by its ending or its first bytes. Known are {endings}; text also with "
        f"{', '.join(COMPRESSIONS)} after it. If it is one of them, say so by format='...' (--format)."
    )
