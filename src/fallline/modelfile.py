"""The model file: one safetensors file that any later version can read, or say why not.

=====================  ===========================================================================================
what                   where
=====================  ===========================================================================================
weights                tensor "weights" (outputs, features + 1), float32; the last column holds the intercepts; or of a
                       network, tensors "network.<name>", its parameters and buffers
the encoder's arrays   tensors "encoder.<name>"; texts as UTF-8 bytes with offsets
all else               metadata "fallline": eight hexadecimal digits, a space, and one JSON text
- the digits           CRC-32 of the JSON text and of every tensor's name, type, shape and bytes
- in the JSON          "format": "fallline-model-1", or "-2" of a network; "version": that of fallline; loss, encoder,
                       summary, history; network: what it is made from again ("mlp"), or who made it
an encoder alone       the same without weights; "format": "fallline-encoder-1"; "version" and encoder
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
from fallline.files import checksum_of, require_writable, written_whole

__all__ = ["encoder_tensors", "is_model", "reading_encoder", "reading_model", "write_encoder", "write_model"]

# Of linear models, and of networks, which versions before them cannot read.
_LINEAR, _NETWORK = "fallline-model-1", "fallline-model-2"
_ENCODER = "fallline-encoder-1"
_PREFIX = "encoder."


def write_model(
    path: str | os.PathLike, tensors: Mapping[str, np.ndarray], document: Mapping[str, Any]
) -> None:
    """Write arrays and a document of plain values, whole or not at all."""
    _write(path, _NETWORK if "network" in document else _LINEAR, tensors, document)


def write_encoder(
    path: str | os.PathLike, tensors: Mapping[str, np.ndarray], document: Mapping[str, Any]
) -> None:
    """Write what `Encoder.to_tensors` gives, whole or not at all."""
    _write(
        path, _ENCODER, {_PREFIX + name: tensor for name, tensor in tensors.items()}, {"encoder": document}
    )


def encoder_tensors(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those of the encoder, by the names that it knows them by."""
    return {
        name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items() if name.startswith(_PREFIX)
    }


def _write(path, format_, tensors, document):
    from safetensors.numpy import save

    path = require_writable(path, "path")
    tensors = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    text = json.dumps({"format": format_, "version": fallline.__version__, **document})
    content = save(tensors, {"fallline": f"{checksum_of(text, tensors)} {text}"})
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
    with _explaining(path):
        tensors, document = _read(path)
        if document["format"] == _ENCODER:
            raise ModelError(
                f"{str(path)!r} holds an encoder alone, no model. Read it by fallline.torch.load_encoder, or give a file that "
                "`fallline train` wrote."
            )
        yield tensors, document


@contextmanager
def reading_encoder(path: str | os.PathLike) -> Iterator[tuple[dict[str, np.ndarray], dict[str, Any]]]:
    """Arrays and document of an encoder's file, or of the encoder in a model file; as `Encoder.from_tensors` takes them.

    Raises
    ------
    ModelError
        See `reading_model`.
    """
    with _explaining(path):
        tensors, document = _read(path)
        yield encoder_tensors(tensors), document["encoder"]


@contextmanager
def _explaining(path):
    """Of what is not as expected in a file, say that the file is damaged."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        if isinstance(error, ModelError):
            raise
        raise _damaged(path, f"{type(error).__name__}: {error}") from error


def is_model(path: str | os.PathLike) -> bool:
    """Whether a file looks like a model: a safetensors header that names the format."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(1 << 16)
    except OSError:
        return False
    return head[8:9] == b"{" and b"fallline-model-" in head


def _read(path):
    tensors, metadata = _contents(path)
    if "fallline" not in metadata:
        raise ModelError(
            f"{str(path)!r} is a safetensors file, but not one of fallline's. Give one that `fallline train` wrote."
        )
    checksum, _, text = metadata["fallline"].partition(" ")
    document = json.loads(text)
    found, version = document["format"], document["version"]
    if found not in {_LINEAR, _NETWORK, _ENCODER}:
        raise ModelError(
            f"{str(path)!r} has format {found!r}, written by fallline {version}, but this version reads {_LINEAR!r}, "
            f"{_NETWORK!r} and {_ENCODER!r}. Install that version, or train again."
        )
    if checksum != checksum_of(text, tensors):
        raise _damaged(path, "its checksum does not match")
    return tensors, document


def _contents(path):
    """Tensors and metadata of a safetensors file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(Path(path), "numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            return tensors, file.metadata() or {}
    except FileNotFoundError:
        raise ModelError(f"There is no file {str(path)!r} to read a model from. Check the path.") from None
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{str(path)!r} cannot be read as a model ({error}). It may be damaged, or another kind of file."
        ) from error


def _damaged(path, reason):
    return ModelError(
        f"{str(path)!r} is not whole ({reason}). It may be damaged: use a copy, or train again."
    )
