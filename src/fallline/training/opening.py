"""What is opened and looked at before the long work: the source, the plan, the folder of the cache."""

from __future__ import annotations

import numbers
import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fallline.data.arrays import as_array
from fallline.data.cache import default_folder
from fallline.data.encoder import Plan, aimed, make_plan
from fallline.data.further import known_columns, text_columns
from fallline.data.sources import open_source
from fallline.data.sources.base import Source
from fallline.data.sources.options import ReadOptions
from fallline.errors import CacheError, FalllineWarning, ParameterError
from fallline.names import listed
from fallline.training.losses import task_for

__all__ = ["cache_folder", "opened"]


def opened(
    data: Any,
    target: Any,
    plan: str | Plan | None,
    asked: Mapping[str, Any],
    loss: Any,
    options: ReadOptions,
) -> tuple[Source, Plan, ReadOptions]:
    """The source; its plan, given or from a look at the data; and how further files are read.

    Parameters
    ----------
    data, target, plan, loss, options
        See `fallline.train`.
    asked : mapping
        What was given as "weight", "offset", "ignore", "categorical", "text" and "task".
    """
    if plan is not None and not isinstance(plan, Plan):
        plan = Plan.from_json(plan)
    if plan is None:
        options = options.as_text([*asked["categorical"], *asked["text"]])
    else:
        options = options.as_text(text_columns(plan)).with_known(known_columns(plan))
    source, target = _source(data, target, options)
    return source, _planned(source, plan, target, asked, loss), options


def cache_folder(cache: str | os.PathLike | bool) -> Path | None:
    """Where encoded rows are kept; None for nowhere."""
    if cache is False:
        return None
    folder = default_folder() if cache is True else Path(cache)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        found = f"Encoded rows cannot be kept in the folder {str(folder)!r} ({error.strerror})."
        if cache is not True:
            raise CacheError(f"{found} Choose another one, or do without with --no-cache.") from error
        warnings.warn(
            f"{found} They are not kept; choose another folder with --cache DIR.",
            FalllineWarning,
            stacklevel=5,
        )
        return None
    return folder


def _source(data, target, options):
    """The source, and the name of the target in it; columns of a frame that have numbers for names are called by these."""
    if isinstance(target, numbers.Integral):
        target = str(target)
    if target is None or isinstance(target, str):
        source = open_source(data, options=options)
        return source, target or source.target
    source = open_source(data, target_values=as_array(target, "target"), options=options)
    return source, source.schema.names[-1]


def _planned(source, plan, target, asked, loss):
    """The plan that was given; or one from a look at the data."""
    if plan is None:
        if target is None:
            names = listed(source.schema.names)
            raise ParameterError(f"Which column is to be predicted? Give a target, one of: {names}.")
        return make_plan(source, target=target, **{**asked, "task": task_for(asked["task"], loss)})
    given = [name for name, value in asked.items() if value not in (None, (), [])]
    if given:
        raise ParameterError(
            f"{given[0]}= and plan= both say what becomes of columns. Change it in the plan."
        )
    if plan.target is None and target is not None:
        return aimed(plan, source, target, task_for(None, loss))
    if target not in (None, plan.target):
        raise ParameterError(
            f"target={target!r} is not the plan's ({plan.target!r}). Leave it out, or change the plan."
        )
    return plan
