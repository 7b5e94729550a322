"""What kinds and kernels need to know of Arrow arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_

from fallline.kernels.encode import NUMBER_TYPES

__all__ = [
    "NumberColumns",
    "as_strings",
    "bytes_of",
    "is_number",
    "is_plain_text",
    "is_text",
    "missing",
    "positions_in",
]

_address = ctypes.pythonapi.PyCapsule_GetPointer
_address.restype, _address.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)

# By the number that Arrow gives a type, for there may be thousands of columns.
_NUMBER_PLACES = {pa.type_for_alias(name).id: place for place, name in enumerate(NUMBER_TYPES)}


class NumberColumns:
    """Columns of numbers where kernels find them: an address, and the type of each.

    Parameters
    ----------
    columns : RecordBatch
        Of types for which `is_number` holds. It stays in memory as long as this object.
    """

    def __init__(self, columns: pa.RecordBatch):
        # The capsule owns the struct at the address, and the struct owns the columns.
        self._capsule = columns.__arrow_c_array__()[1]
        self.address = _address(self._capsule, b"arrow_array")
        self.kinds = np.array([_NUMBER_PLACES[type_.id] for type_ in columns.schema.types], np.uint8)
        self.n_rows = columns.num_rows

    @classmethod
    def of(cls, arrays: Sequence[pa.Array]) -> NumberColumns:
        """Columns that are not in a batch yet, one at least."""
        return cls(pa.RecordBatch.from_arrays(list(arrays), [str(i) for i in range(len(arrays))]))


def is_number(type_: pa.DataType) -> bool:
    """Whether kernels can read numbers of this type."""
    return type_.id in _NUMBER_PLACES


def is_text(type_: pa.DataType) -> bool:
    """Whether values of this type are text, behind a dictionary or not."""
    if is_.is_dictionary(type_):
        type_ = type_.value_type
    return is_.is_string(type_) or is_.is_large_string(type_) or is_.is_string_view(type_)


def is_plain_text(type_: pa.DataType) -> bool:
    """Whether values of this type are text that can be put behind a dictionary."""
    return is_.is_string(type_) or is_.is_large_string(type_)


def missing(array: pa.Array) -> np.ndarray:
    """Which values are missing (bool): nulls, and NaN among floating numbers."""
    if is_.is_floating(array.type):
        return _as_bools(pc.is_null(array, nan_is_null=True))
    if is_.is_dictionary(array.type) and array.dictionary.null_count:
        return _as_bools(array.dictionary_decode().is_null())
    return _as_bools(array.is_null())


def _as_bools(array):
    return array.to_numpy(zero_copy_only=False)


def as_strings(array: pa.Array) -> pa.LargeStringArray:
    """Values of any type as text: 3 and 3.0 as "3", True as "true"; NaN as missing."""
    if is_.is_dictionary(array.type):
        return as_strings(array.dictionary_decode())
    if is_.is_floating(array.type):
        # Adding 0 makes 0 of -0.
        array = pc.if_else(pc.is_nan(array), None, pc.add(array.cast(pa.float64()), 0.0))
    return array.cast(pa.large_string())


def bytes_of(array: pa.LargeStringArray) -> tuple[np.ndarray, np.ndarray]:
    """Where each string begins and the last one ends (int64), and the bytes of all (uint8); missing ones are empty."""
    offsets = np.frombuffer(array.buffers()[1], np.int64) if len(array) else np.zeros(1, np.int64)
    data = array.buffers()[2] if len(array) else None
    own = offsets[array.offset : array.offset + len(array) + 1]
    return own, np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)


def positions_in(array: pa.Array, vocabulary: pa.LargeStringArray) -> np.ndarray:
    """Where in the vocabulary each value stands (int32), -1 for missing and unknown ones."""
    if is_.is_dictionary(array.type):
        places = np.append(positions_in(array.dictionary, vocabulary), np.int32(-1))
        # Missing ones take the last place.
        return places[pc.fill_null(array.indices.cast(pa.int64()), -1).to_numpy()]
    found = pc.index_in(as_strings(array), value_set=vocabulary, skip_nulls=True)
    return pc.fill_null(found, -1).to_numpy()
