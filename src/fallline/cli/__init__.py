"""The command line: thin over the public functions, a page a command.

Exit codes: 0 when done; 1 when the world failed (a full disk, ...); 2 when what was asked for or given cannot be used;
130 after Ctrl-C and 143 after SIGTERM.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import shlex
import signal
import sys
import threading
import warnings
from collections.abc import Sequence

import fallline
from fallline.errors import (
    DivergenceError,
    FalllineError,
    FalllineWarning,
    InputError,
    MissingDependencyError,
    ModelError,
    ParameterError,
)
from fallline.parallel.agreeing import said_elsewhere

__all__ = ["COMMANDS", "main"]

COMMANDS = ("train", "predict", "evaluate", "inspect", "compare")
"""Each has a page of its name here, loaded when a command is run: before, Ctrl-C could not be answered in a sentence."""

_USERS_MISTAKES = (InputError, ParameterError, MissingDependencyError, ModelError, DivergenceError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _termination_heard(), warnings.catch_warnings():
            warnings.showwarning = _warn
            warnings.simplefilter("always", FalllineWarning)
            options = _parser(given).parse_args(given)
            if arguments is None:
                _without_pandas()
            options.command_line = shlex.join(["fallline", *given])
            return options.run(options) or 0
    except KeyboardInterrupt as interruption:
        code = 143 if isinstance(interruption, _Terminated) else 130
        return _complain("Interrupted; no output was written.", code)
    except BrokenPipeError:
        return 1
    except Exception as error:
        if "--debug" in given:
            raise
        message, code = _explained(error)
        # Of many processes, the one that met it says it.
        return code if said_elsewhere(error) else _complain(message, code)


class _Terminated(KeyboardInterrupt):
    """An end that is asked for by SIGTERM. A type of its own: Python remembers the other one, and ends as if by Ctrl-C."""


@contextlib.contextmanager
def _termination_heard():
    """SIGTERM ends a command as Ctrl-C does: cleaning up behind it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, usual)


def _terminate(number, frame):  # noqa: ARG001 (what Python calls it with)
    # Once is enough: a second time would interrupt the cleaning up.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Terminated


def _warn(message, category, filename, lineno, file=None, line=None):  # noqa: ARG001 (what Python calls it with)
    """A warning as a sentence."""
    print(f"Warning: {message}", file=sys.stderr)  # noqa: T201 (what a command line is for)


def _explained(error):
    if isinstance(error, FalllineError):
        return f"fallline: {error}", 2 if isinstance(error, _USERS_MISTAKES) else 1
    if isinstance(error, OSError):
        return f"fallline: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", 1
    if isinstance(error, MemoryError):
        return "fallline: There is not enough memory. Give less with --memory.", 1
    return f"fallline: unexpected {type(error).__name__}: {error}. Run again with --debug to see where.", 1


def _complain(message, code):
    print(message, file=sys.stderr)  # noqa: T201 (what a command line is for)
    return code


def _without_pandas():
    """Arrow imports pandas as soon as it sees a list, to ask whether that is a series. Nothing is one in a command of its own."""
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    class NoPandas:
        @staticmethod
        def find_spec(name, path=None, target=None):  # noqa: ARG004 (what Python calls it with)
            if name == "pandas":
                raise ImportError(name)

    sys.meta_path.insert(0, NoPandas)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(NoPandas)


def _parser(given):
    """A parser of the command that is asked for; of all, where help is."""
    parser = argparse.ArgumentParser(
        prog="fallline", description="Train models by mini-batch gradient descent.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"fallline {fallline.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in given[:1] if given and given[0] in COMMANDS else COMMANDS:
        page = importlib.import_module(f"fallline.cli.{name}")
        summary, _, rest = (page.__doc__ or "").partition("\n\n")
        command = commands.add_parser(
            name,
            help=summary.rstrip("."),
            description=summary,
            epilog=rest,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        page.add_arguments(command)
        command.add_argument("--debug", action="store_true", help="on an error, show the traceback")
        command.set_defaults(run=page.run)
    return parser
