"""Work done ahead of its use, on threads, in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["THREADS", "mapped_ahead"]

THREADS = os.cpu_count() or 1
"""How many things are done at once, unless told otherwise."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def mapped_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, in_flight: int
) -> Generator[Result, None, None]:
    """`map(function, items)`, with up to `in_flight` results under way or waiting, on so many threads.

    Results come in the order of the items, and items are taken in the caller's thread, one after the other. An error is raised
    where its result would have come. When the caller closes it, what has not begun is given up and the rest waited for.

    Close it (`contextlib.closing`) wherever it may be left unfinished, by an error of the caller's too. Otherwise it waits for
    its threads when the garbage collector comes upon it, on whatever thread that is: in one that is just starting, for ever.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="fallline")
    waiting: deque = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= max(1, in_flight):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
