"""Fitted values as arrays and JSON, and back: what caches and model files keep.

A fitted value is a frozen dataclass. Arrays and lists of text become tensors: text as its bytes in UTF-8, and the offset at
which each one begins. Everything else is JSON, where Python writes numbers with as many digits as they need.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from fallline.errors import StateError

__all__ = ["pack", "unpack"]

_BYTES, _OFFSETS = ".bytes", ".offsets"


def pack(prefix: str, value: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The tensors of a dataclass, their names beginning with `prefix`, and the rest of it."""
    tensors: dict[str, np.ndarray] = {}
    rest: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        content, name = getattr(value, field.name), f"{prefix}.{field.name}"
        if isinstance(content, np.ndarray):
            tensors[name] = content
        elif field.type == "list[str]":
            tensors[name + _BYTES], tensors[name + _OFFSETS] = _text_as_bytes(content)
        else:
            rest[field.name] = content
    return tensors, rest


def unpack(kind: Any, prefix: str, tensors: Mapping[str, np.ndarray], rest: Mapping[str, Any]) -> Any:
    """The dataclass of this kind that `pack` took apart.

    Raises
    ------
    StateError
        If something is missing.
    """
    values = dict(rest)
    try:
        for field in dataclasses.fields(kind):
            name = f"{prefix}.{field.name}"
            if field.type == "np.ndarray":
                values[field.name] = tensors[name]
            elif field.type == "list[str]":
                values[field.name] = _bytes_as_text(tensors[name + _BYTES], tensors[name + _OFFSETS])
        return kind(**values)
    except (KeyError, TypeError, UnicodeDecodeError) as error:
        raise StateError(
            f"The encoder cannot be read: {prefix} is not as expected ({error}). It was written by another version of fallline, "
            "or is damaged."
        ) from error


def _text_as_bytes(texts):
    encoded = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), offsets


def _bytes_as_text(data, offsets):
    content = np.asarray(data, np.uint8).tobytes()
    return [content[start:stop].decode() for start, stop in pairwise(offsets)]
