"""What made numbers of columns: kept in a file, and known of the modules that were trained on them."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from fallline.data.encoder import Encoder
from fallline.errors import ParameterError
from fallline.modelfile import reading_encoder, write_encoder

__all__ = ["encoder_of", "load_encoder", "require_encoder", "save_encoder", "trained_on"]

_encoders: WeakKeyDictionary[Any, Encoder] = WeakKeyDictionary()


def trained_on(module: Any, encoder: Encoder | None) -> None:
    """Note what made the numbers that a module was trained on; None where they were numbers before."""
    with suppress(TypeError):  # a module that has no hash cannot be known again
        if encoder is None:
            _encoders.pop(module, None)
        else:
            _encoders[module] = encoder


def encoder_of(module: Any) -> Encoder | None:
    """What this process has noted of a module; of its copies, nothing."""
    with suppress(TypeError):
        return _encoders.get(module)
    return None


def require_encoder(encoder: Any) -> Encoder:
    """The encoder; raise `ParameterError` for what is none."""
    if isinstance(encoder, Encoder):
        return encoder
    raise ParameterError(
        f"encoder is a {type(encoder).__name__}. Give the encoder of what fit returned, history.encoder."
    )


def save_encoder(encoder: Encoder, path: str | os.PathLike) -> None:
    """Write what made numbers of columns to one safetensors file, whole or not at all: what goes with the weights of a module.

    Parameters
    ----------
    encoder : Encoder
        Of what `fit` returned: `history.encoder`.
    path : path

    Raises
    ------
    ParameterError
        If it is no encoder, or no file can be written there.
    """
    write_encoder(path, *require_encoder(encoder).to_tensors())


def load_encoder(path: str | os.PathLike) -> Encoder:
    """Read an encoder that `save_encoder` wrote, or that of a model file. Nothing in the file is executed.

    Parameters
    ----------
    path : path

    Returns
    -------
    Encoder
        For `predict` and for further calls of `fit`.

    Raises
    ------
    ModelError
        If the file is missing, damaged, no such file, or of a format that this version does not read.
    """
    with reading_encoder(path) as (tensors, document):
        return Encoder.from_tensors(tensors, document)
