"""Threads, of which the number changes no bit.

Pieces of work are done each by itself and on any thread, and come back in order; matrix products run on one thread.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from itertools import chain
from typing import TypeVar

from threadpoolctl import ThreadpoolController

__all__ = ["each", "on_threads", "single_threaded"]

# Items, and numbers in all of them, that threads are worth their while for: with fewer they wait for each other (measured).
_STRETCH, _NUMBERS = 3, 2**19

_asked: ContextVar[int | None] = ContextVar("threads", default=None)

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(function: Callable[[Item], Result], items: list[Item], numbers: int) -> Iterable[Result]:
    """`map(function, items)`, on as many threads as `on_threads` says, or as there are cores to use.

    Each thread takes a stretch of the items: to hand them out one by one takes longer than some are worth. Where there are few
    `numbers` in all items together, one thread takes them all.
    """
    if numbers < _NUMBERS or len(items) < 2 * _STRETCH:
        return map(function, items)
    threads = _asked.get() or _threads()
    used = min(threads, len(items) // _STRETCH)
    if used < 2:
        return map(function, items)
    size = -(-len(items) // used)
    own, *others = (items[first : first + size] for first in range(0, len(items), size))
    taken = [_pool(threads - 1).submit(_all, function, stretch) for stretch in others]
    # To wait for another thread takes a while: this one has work of its own to do meanwhile.
    try:
        done = _all(function, own)
    except BaseException:
        wait(taken)  # they may write to what belongs to the caller
        raise
    return chain(done, _results(taken))


def _results(taken):
    """What other threads found, in order; if one of them failed, once all have ended."""
    try:
        for stretch in taken:
            yield from stretch.result()
    finally:
        wait(taken)


def _all(function, items):
    return [function(item) for item in items]


@contextmanager
def on_threads(number: int | None) -> Iterator[None]:
    """While this is entered, `each` takes so many threads; None leaves it to the cores that there are."""
    token = _asked.set(number)
    try:
        yield
    finally:
        _asked.reset(token)


@contextmanager
def single_threaded() -> Iterator[None]:
    """While this is entered, a matrix product runs on one thread: its sums have one order on every machine."""
    # As threadpoolctl's own `limit` does, which takes longer than small products.
    before = [(library, library.num_threads) for library in _libraries()]
    several = [(library, threads) for library, threads in before if threads != 1]
    try:
        for library, _ in several:
            library.set_num_threads(1)
        yield
    finally:
        for library, threads in several:
            library.set_num_threads(threads)


def _threads():
    """Cores that this process may use, or fewer where OMP_NUM_THREADS says so."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(asked)) if asked.isdecimal() and int(asked) else cores


@cache
def _pool(threads):
    return ThreadPoolExecutor(threads, thread_name_prefix="summing")


@cache
def _libraries():
    # SciPy has one of its own, which is known once it is loaded.
    importlib.import_module("scipy.linalg.lapack")
    return ThreadpoolController().select(user_api="blas").lib_controllers
