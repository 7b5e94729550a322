"""A progress bar."""

from __future__ import annotations

import sys
from contextlib import contextmanager

from fallline.monitors.base import Monitor

__all__ = ["Progress"]


class Progress(Monitor):
    """Shows epoch, rows per second and loss on standard error; the last line says why and when training ended.

    Parameters
    ----------
    show : bool, optional
        By default only on a terminal.
    """

    def __init__(self, show: bool | None = None):
        self.show = sys.stderr.isatty() if show is None else show

    @contextmanager
    def watching(self, run):
        if not self.show:
            yield
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.fields[speed]}"),
            TextColumn("loss {task.fields[loss]}"),
            TimeElapsedColumn(),
        )
        self._console = Console(stderr=True)
        with Progress(*columns, console=self._console, transient=True, refresh_per_second=8) as bar:
            self._bar = bar
            self._task = bar.add_task("", total=run.epochs * run.source.n_rows, epoch="1", speed="", loss="")
            yield

    def after_block(self, run):
        if self.show:
            state = run.state
            self._tell(
                run, state.epoch * run.source.n_rows + state.position, state.loss_sum / max(state.position, 1)
            )

    def after_epoch(self, run):
        if self.show:
            self._tell(run, run.state.epoch * run.source.n_rows, run.record["loss"])

    def finish(self, run, stop):
        if self.show:
            state = run.state
            loss = f", loss {state.history[-1]['loss']:.6g}" if state.history else ""
            self._console.print(
                f"{state.epoch} epochs, {state.updates:,} updates in {state.seconds:.2f} s "
                f"({_speed(state)}){loss}. Training stopped because {stop.message}.",
                highlight=False,
            )

    def _tell(self, run, completed, loss):
        epoch = f"{min(run.state.epoch + 1, run.epochs)}/{run.epochs}"
        self._bar.update(
            self._task, completed=completed, epoch=epoch, speed=_speed(run.state), loss=f"{loss:.5g}"
        )


def _speed(state):
    return f"{state.rows / state.seconds:,.0f} rows/s" if state.seconds > 0 else ""
