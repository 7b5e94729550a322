"""Ctrl-C that ends training, not the program."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager

from fallline.monitors.base import Monitor
from fallline.state import Stop

__all__ = ["Interrupt"]


class Interrupt(Monitor):
    """Ends the run cleanly at the first Ctrl-C; a second one interrupts at once, as usual.

    Signals reach the main thread only: in other threads nothing changes.
    """

    _asked = False

    @contextmanager
    def watching(self, run):
        self._asked = False
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        usual = signal.getsignal(signal.SIGINT)
        # A program that ignores or handles Ctrl-C in its own way goes on doing so.
        if usual is not signal.default_int_handler:
            yield
            return

        def ask(number, frame):
            self._asked = True
            signal.signal(signal.SIGINT, usual)

        signal.signal(signal.SIGINT, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, usual)

    def after_block(self, run):
        return Stop("interrupted", "it was interrupted (Ctrl-C)") if self._asked else None
