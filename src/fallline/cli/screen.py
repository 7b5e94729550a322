"""What appears on the terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["console", "progress_shown", "say"]


@contextlib.contextmanager
def progress_shown(lines: bool = False) -> Iterator[Callable[[float, str], None] | None]:
    """A line a stage where asked for, a bar on a terminal, otherwise nothing."""
    if lines:
        yield _tell
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=1.0)
            yield lambda done, what: bar.update(task, completed=done, description=what)
    else:
        yield None


def _tell(done, what):
    # In one piece with its end, which `print` writes by itself: a signal in between would end the command in mid-line.
    sys.stderr.write(f"{done:4.0%}  {what}\n")


def console() -> Any:
    """Standard output: as wide as the terminal, or 100 columns in a file."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 100)


def say(screen: Any, text: str) -> None:
    """A paragraph as it is, without markup or colours, not broken by force."""
    screen.print(text, markup=False, highlight=False, soft_wrap=True)
