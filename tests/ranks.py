"""Processes that train together, as threads of one: the same verbs, so that what they come to is tested in milliseconds."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fallline.errors import ProcessError
from fallline.parallel.alone import Alone


class Rank(Alone):
    """One of several threads. Each verb is a meeting of all."""

    def __init__(self, rank: int, board: list, barrier: threading.Barrier):
        self.rank, self.local_rank, self.size = rank, rank, len(board)
        self.machine = range(len(board))
        self._board, self._barrier = board, barrier

    def gather(self, value):
        self._board[self.rank] = pickle.dumps(value)
        try:
            self._barrier.wait(60)
            values = [pickle.loads(theirs) for theirs in self._board]
            self._barrier.wait(60)
        except threading.BrokenBarrierError as error:
            raise ProcessError("Another has ended.") from error
        return values

    def sum(self, array):
        total = sum(self.gather(array))
        if isinstance(array, np.ndarray):
            array[...] = total
        else:
            array.copy_(total)
        return array

    def broadcast(self, value):
        return self.gather(value)[0]

    def agreed(self, value):
        return next((found for found in self.gather(value) if found is not None), None)

    def wait(self):
        self.gather(None)


def on_ranks(size: int, function: Callable[[Alone], Any]) -> list[Any]:
    """What a function gives on each of so many ranks; its error, where it raises one."""
    board: list[Any] = [None] * size
    results: list[Any] = [None] * size
    barrier = threading.Barrier(size)

    def call(rank):
        try:
            results[rank] = function(Rank(rank, board, barrier) if size > 1 else Alone())
        except Exception as error:  # noqa: BLE001 (the test looks at it)
            results[rank] = error
            time.sleep(0.3)  # those who have met already are on their way
            barrier.abort()

    threads = [threading.Thread(target=call, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
