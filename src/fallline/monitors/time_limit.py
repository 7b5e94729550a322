"""A limit of wall-clock time."""

from __future__ import annotations

import time
from contextlib import contextmanager

from numba.core.event import TimingListener, install_listener

from fallline.monitors.base import Monitor
from fallline.state import Stop

__all__ = ["TimeLimit"]


class TimeLimit(Monitor):
    """Ends training so many seconds after it began, be it begun anew meanwhile; checked after every block.

    Kernels that have to be compiled, as they have once on every machine, do not count.
    """

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._began: float | None = None
        self._compiling = TimingListener()

    @contextmanager
    def watching(self, run):
        if self._began is None:
            self._began = time.monotonic()
        with install_listener("numba:compile", self._compiling):
            yield

    def after_block(self, run):
        compiling = self._compiling.duration if self._compiling.done else 0.0
        assert self._began is not None  # noqa: S101 (the run is being watched)
        if time.monotonic() - self._began - compiling >= self.seconds:
            return Stop("time_limit", f"the time limit of {self.seconds:g} s was reached")
        return None
