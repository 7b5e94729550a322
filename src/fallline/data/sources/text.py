"""From a text file to chunks of whole records, whatever it is compressed with and encoded in."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pyarrow as pa

from fallline.data.sources.files import File
from fallline.errors import InputError

__all__ = ["LONGEST_RECORD", "Chunk", "Cutter", "Text", "chunks", "find_encoding", "open_text"]

LONGEST_RECORD = 64 << 20
"""Bytes that one record may have. One longer than that is taken for a mistake, most often a quote that never closes."""

Cutter = Callable[[memoryview], tuple[int, int]]
"""From data that begin with a record to where the last complete one ends (0: nowhere) and a quote is open (-1: nowhere)."""

# In place of an encoding: the bytes are read as they are, which is right for UTF-8.
_UTF8 = {"utf-8", "ascii"}
# How much of a compressed or encoded file is unpacked at a time: what is lost before the place where it is damaged.
_STEP = 1 << 18


class Chunk(NamedTuple):
    """Some whole records, or a stretch that has none.

    Parameters
    ----------
    data : memoryview
        UTF-8, if the file keeps what it promises.
    offset : int
        Where it begins, in bytes of UTF-8.
    after : int
        Where the next one begins.
    done : int
        Bytes of the file read so far, as it lies there.
    problem : str
        Why it cannot be read; empty if it can.
    fatal : bool
        Whether nothing after it can be read either.
    """

    data: memoryview
    offset: int
    after: int
    done: int
    problem: str = ""
    fatal: bool = False


class Text:
    """The text of a file in UTF-8: windows on it that only move forward.

    Parameters
    ----------
    stream : NativeFile
        The file as it lies there.
    compression : str or None
    encoding : str or None
        None for UTF-8.
    begin : int
        Where the text begins, after a byte order mark.
    size : int
        Bytes of the file as it lies there.
    """

    def __init__(self, stream, compression, encoding, begin, size):
        self._file = stream
        self._bytes = stream if compression is None else pa.CompressedInputStream(stream, compression)
        self._decoder: Any = None if encoding is None else codecs.getincrementaldecoder(encoding)()
        self._rest = b""
        self._rest_at = 0
        self._ended = False
        self.begin = begin
        self.size = size if compression is None and encoding is None else None
        self.failure = ""

    def done(self, offset: int) -> int:
        """Bytes of the file that had to be read for the text up to `offset`, or somewhat more."""
        return self._file.tell() if self.size is None else offset

    def window(self, start: int, size: int) -> memoryview:
        """The bytes from `start` on: `size` of them, or fewer where the text ends, or `failure` says why it cannot go on."""
        if self.size is not None:
            self._file.seek(start)
            return memoryview(self._file.read_buffer(size))
        self._forget(start)
        parts, length = [self._rest], len(self._rest)
        while not self._ended and length < start - self._rest_at + size:
            parts.append(self._unpack())
            length += len(parts[-1])
            if self._rest_at + length <= start:
                self._rest_at += length
                parts, length = [b""], 0
        self._rest = b"".join(parts)
        self._forget(start)
        return memoryview(self._rest)[:size]

    def _forget(self, start):
        """Give up what comes before `start`."""
        gone = min(start - self._rest_at, len(self._rest))
        if gone > 0:
            self._rest = self._rest[gone:]
            self._rest_at += gone

    def _unpack(self):
        """The next bytes, decompressed and in UTF-8."""
        try:
            data = self._bytes.read(_STEP)
        except (OSError, pa.ArrowInvalid) as error:
            if getattr(error, "errno", None):
                raise
            self._fail(f"the compressed data are damaged or cut off near here ({str(error).rstrip('. ')})")
            return b""
        self._ended = not data
        return data if self._decoder is None else self._decoded(data)

    def _decoded(self, data):
        try:
            return self._decoder.decode(data, final=not data).encode()
        except UnicodeDecodeError as error:
            self._fail(f"the text here is not {error.encoding} ({error.reason})")
            good = error.start - (len(error.object) - len(data))
        try:
            return self._decoder.decode(data[: max(good, 0)]).encode()
        except UnicodeError:
            return b""

    def _fail(self, failure):
        self._ended = True
        self.failure = failure


@contextmanager
def open_text(file: File, encoding: str | None) -> Iterator[Text]:
    """The text of a file.

    Parameters
    ----------
    file : File
    encoding : str or None
        As `find_encoding` says it.

    Raises
    ------
    InputError
        If the file is not the one that was found.
    """
    with file.open() as stream:
        begin = len(codecs.BOM_UTF8) if encoding == "utf-8-sig" else 0
        yield Text(stream, file.compression, None if begin else encoding, begin, file.size)


def find_encoding(file: File, encoding: str | None) -> str | None:
    """The encoding of a file, from its byte order mark or as the user gave it; None for plain UTF-8.

    Raises
    ------
    InputError
        If the file is binary, or text of two bytes a character without a mark that says which.
    """
    with open_text(file, None) as text:
        head = bytes(text.window(0, 4096))
        if text.failure:
            raise InputError(
                f"{file.name!r}: {text.failure}. Check that the file is complete, and what its ending says."
            )
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if encoding is not None:
        name = codecs.lookup(encoding).name
        return None if name in _UTF8 else name
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in head:
        guess = "utf-16-le" if head[1:2] == b"\0" else "utf-16-be" if head[:1] == b"\0" else None
        hint = (
            f"If it is text, give its encoding, perhaps {guess!r}"
            if guess
            else "Check that it is a text file"
        )
        raise InputError(f"{file.name!r} holds zero bytes, which no text in UTF-8 has. {hint}.")
    return None


def chunks(text: Text, cutter: Cutter, start: int, size: int) -> Iterator[Chunk]:
    """Whole records from `start` on, as many at a time as `size` bytes hold, or one that is larger.

    Where chunks end depends on where they begin and on the text only, so each of them can be come back to. A record that
    does not end within `LONGEST_RECORD` bytes makes a chunk of its first line alone, with a problem.
    """
    while True:
        data, after, opened, complete = _records(text, cutter, start, size)
        if not after and opened >= 0:
            line = _first_line(data)
            yield Chunk(
                line, start, start + len(line), text.done(start + len(line)), _never_closes(opened, complete)
            )
            start += len(line)
            continue
        if not after and not complete:
            yield Chunk(
                data,
                start,
                start,
                text.done(start),
                f"a line of more than {LONGEST_RECORD >> 20} MiB begins here",
                True,
            )
            return
        if after:
            yield Chunk(data[:after], start, start + after, text.done(start + after))
            start += after
        elif text.failure:
            yield Chunk(data, start, start, text.done(start), text.failure, True)
            return
        else:
            return


def _records(text, cutter, start, size):
    """A window that holds whole records, if one can; where they end, where a quote is open, and whether the text ends with it."""
    while True:
        data = text.window(start, size)
        complete = len(data) < size
        after, opened = cutter(data)
        if complete and opened < 0 and not text.failure:
            after = len(data)
        if after or complete or size >= LONGEST_RECORD:
            return data, after, opened, complete
        size = min(4 * size, LONGEST_RECORD)


def _first_line(data):
    line = bytes(data[:_STEP]).partition(b"\n")[0]
    return data[: len(line) + 1]


def _never_closes(opened, complete):
    end = "the end of the file" if complete else f"{LONGEST_RECORD >> 20} MiB"
    return f"a quote opens at character {opened + 1:,} that does not close before {end}"
