"""What all estimators share, whatever they train."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

from fallline.errors import InputError
from fallline.settings import number, split_seed

__all__ = ["all_or_nothing", "split_rows"]


@contextmanager
def all_or_nothing(estimator: Any) -> Iterator[None]:
    """If training fails, the estimator is as it was before."""
    before = dict(estimator.__dict__)
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise


def split_rows(
    targets: np.ndarray, weight: np.ndarray | None, share: Any, random_state: Any, *, stratified: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows to validate on, both uint64 and in order.

    Parameters
    ----------
    targets : ndarray of shape (n, ...)
    weight : ndarray of shape (n,) or None
    share : float
        `validation_fraction`.
    random_state : int, RandomState, Generator or None
    stratified : bool
        Whether each class is to have the same share of both; `targets` are then classes.

    Raises
    ------
    InputError
        If that cannot be done, or all rows held out weigh nothing.
    """
    share = number("validation_fraction", share, above=0, below=1)
    kind = StratifiedShuffleSplit if stratified else ShuffleSplit
    split = kind(1, test_size=share, random_state=split_seed(random_state))
    try:
        held_out = np.sort(next(split.split(targets, targets if stratified else None))[1]).astype(np.uint64)
    except ValueError as error:
        raise InputError(
            f"early_stopping cannot hold out validation_fraction={share:g} of the rows: {error}"
        ) from error
    if weight is not None and not weight[held_out].any():
        raise InputError(
            "All rows held out for validation weigh 0, so nothing can be judged on them. Choose another random_state or a "
            "larger validation_fraction."
        )
    return np.setdiff1d(np.arange(len(targets), dtype=np.uint64), held_out), held_out
