"""How files are to be read, where they do not say it themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from fallline.errors import ParameterError

__all__ = ["MISSING", "Known", "ReadOptions"]

MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "Null", "null", "None", "none", "<NA>", "(null)",
           "#DIV/0!", "#VALUE!")  # fmt: skip
"""Texts that mean a missing value, unless told otherwise."""


class Known(NamedTuple):
    """A column whose type is known from other files, and not to be guessed again.

    Parameters
    ----------
    name : str
    type : str
        As Arrow writes it, such as "double" or "timestamp[s]".
    notation : str
        How dates and times are written, such as "%d/%m/%Y", unless as in ISO 8601; or numbers, such as "$", unless in digits.
    """

    name: str
    type: str
    notation: str = ""


class ReadOptions(NamedTuple):
    """Settings of reading; None means: find out from the file.

    All of them are part of a source's fingerprint.

    Parameters
    ----------
    on_error : {"stop", "skip"}
        What to do about a row that cannot be read: raise InputError, or leave it out and report it in `Batch.skipped`.
    format : str, optional
        The name of a format, such as "csv", whatever the file is called.
    encoding : str, optional
        Of text files, a name that Python knows, such as "latin-1".
    delimiter : str, optional
        Between the columns of a text file: one character.
    header : bool, optional
        Whether the first line of a text file names its columns.
    missing : tuple of str
        Texts that mean a missing value; in text files only.
    quotes : bool
        Whether a value that begins with a quote ends with the next one, whatever is between them; in tables only. Without, a
        quote is a character like any other.
    text_columns : tuple of str
        Columns of tables to read as text, whatever they look like: codes with leading zeros, say.
    verbatim : tuple of str
        Columns of delimited text to leave as they are written, unless something else is known of them.
    keys : tuple of str
        Keys in the names of folders that are columns also where these lie above the path that is given.
    known : tuple of Known
        Columns of text formats whose types are given.
    decimal : str, optional
        The decimal point of tables that do not tell: "," or ".".
    """

    on_error: str = "stop"
    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header: bool | None = None
    missing: tuple[str, ...] = MISSING
    quotes: bool = True
    text_columns: tuple[str, ...] = ()
    verbatim: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    known: tuple[Known, ...] = ()
    decimal: str | None = None

    def as_text(self, columns: Iterable[str]) -> ReadOptions:
        """The same options, with these columns read as text, too."""
        return self._replace(text_columns=(*self.text_columns, *columns))

    def with_known(self, columns: Iterable[Known]) -> ReadOptions:
        """The same options, with the types of these columns given."""
        return self._replace(known=(*self.known, *columns))

    def checked(self) -> ReadOptions:
        """The same options, if they can be followed.

        Raises
        ------
        ParameterError
            If one of them has no meaning.
        """
        if self.on_error not in {"stop", "skip"}:
            raise ParameterError(f"on_error is {self.on_error!r}, but it takes 'stop' or 'skip'.")
        if self.delimiter is not None and len(self.delimiter.encode()) != 1:
            raise ParameterError(
                f"delimiter is {self.delimiter!r}, but one character of ASCII is wanted, such as ',' or '\\t'."
            )
        if self.encoding is not None:
            _require_known_encoding(self.encoding)
        return self


def _require_known_encoding(encoding):
    try:
        "".encode(encoding)
    except LookupError:
        raise ParameterError(
            f"encoding is {encoding!r}, which Python does not know. Give one such as 'utf-8', 'latin-1' or 'utf-16'."
        ) from None
