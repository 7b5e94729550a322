"""The model file: one safetensors file that any later version can read, or say why not.

=====================  ===========================================================================================
what                   where
=====================  ===========================================================================================
weights                tensor "weights" (outputs, features + 1), float32; the last column holds the intercepts
the encoder's arrays   tensors "encoder.<name>"; texts as UTF-8 bytes with offsets
all else               metadata "fallline": one JSON text: loss, encoder, summary, history
format                 metadata "format": "fallline-model-1"
written by             metadata "version": the version of fallline
=====================  ===========================================================================================

Nothing in it is ever executed: safetensors holds numbers and text only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import fallline
from fallline.errors import ModelError
from fallline.files import written_whole

__all__ = ["is_model", "reading_model", "write_model"]

_FORMAT = "fallline-model-1"


def write_model(path: str | os.PathLike, tensors: Mapping[str, np.ndarray], document: Mapping[str, Any]) -> None:
    """Write arrays and a document of plain values, whole or not at all."""
    from safetensors.numpy import save

    metadata = {"format": _FORMAT, "version": fallline.__version__, "fallline": json.dumps(document)}
    content = save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, metadata)
    with written_whole(path) as file:
        file.write(content)


@contextmanager
def reading_model(path: str | os.PathLike) -> Iterator[tuple[dict[str, np.ndarray], dict[str, Any]]]:
    """Arrays and document of a model file, for as long as they are made a model of.

    Raises
    ------
    ModelError
        If the file is missing, damaged, no model, or of another format; also if what is made of it inside the `with` fails for
        what is missing in it.
    """
    try:
        yield _read(path)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            f"{str(path)!r} is not a whole model ({type(error).__name__}: {error}). It may be damaged: train again, or use a copy."
        ) from error


def is_model(path: str | os.PathLike) -> bool:
    """Whether a file looks like a model: a safetensors header that names the format."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(1 << 16)
    except OSError:
        return False
    return head[8:9] == b"{" and b'"fallline-model-' in head


def _read(path):
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(Path(path), "numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except FileNotFoundError:
        raise ModelError(f"There is no file {str(path)!r} to read a model from. Check the path.") from None
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{str(path)!r} cannot be read as a model ({error}). It may be damaged, or another kind of file."
        ) from error
    found = metadata.get("format", "")
    if found != _FORMAT:
        raise ModelError(
            f"{str(path)!r} has format {found!r}, written by fallline {metadata.get('version', '(unknown)')}, but this version reads "
            f"{_FORMAT!r}. Install that version, or train again."
        )
    return tensors, json.loads(metadata["fallline"])
