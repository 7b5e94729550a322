"""Generators of random numbers that others draw from, seeded for as long as they do."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["seeded"]


@contextmanager
def seeded(*numbers: int) -> Iterator[None]:
    """Within it, the generators of PyTorch (CPU), NumPy and Python begin where these numbers say; after it they are as before."""
    text = " ".join(map(str, numbers))
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
    generator = torch.default_generator
    before = generator.get_state(), np.random.get_state(), random.getstate()  # noqa: NPY002 (what others draw from)
    try:
        generator.manual_seed(seed % 2**63)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        random.seed(seed)
        yield
    finally:
        generator.set_state(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        random.setstate(before[2])
