"""A limit of wall-clock time."""

from __future__ import annotations

import time
from contextlib import contextmanager

from fallline.monitors.base import Monitor
from fallline.state import Stop

__all__ = ["TimeLimit"]


class TimeLimit(Monitor):
    """Ends the run after so many seconds from its start; checked after every block."""

    def __init__(self, seconds: float):
        self.seconds = seconds

    @contextmanager
    def watching(self, run):
        self._deadline = time.monotonic() + self.seconds
        yield

    def after_block(self, run):
        if time.monotonic() >= self._deadline:
            return Stop("time_limit", f"the time limit of {self.seconds:g} s was reached")
        return None
