"""Programs run and watched from outside, files read plainly, and tables in Markdown."""

from __future__ import annotations

import json
import mmap
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

_PIECE = 4 * 2**20


class Finished(NamedTuple):
    """What a program took, and what it printed.

    Parameters
    ----------
    seconds : float
        From its start to its end, imports included.
    processor : float
        Seconds of processors, those of programs that it ran included: they depend less on what else the machine does.
    peak : int
        The most memory that was resident at a time, in bytes.
    output : str
        Its standard output.
    """

    seconds: float
    processor: float
    peak: int
    output: str


def run(command, folder=None):
    """Run a program to its end; what it says on standard error is shown only when it fails."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        began, used = time.perf_counter(), _processor_seconds()
        child = subprocess.Popen([str(part) for part in command], stdout=output, stderr=errors, cwd=folder)
        peak = 0
        while child.poll() is None:
            peak = max(peak, _resident(child.pid))
            time.sleep(0.02)
        took = time.perf_counter() - began
        output.seek(0)
        errors.seek(0)
        if child.returncode:
            raise subprocess.CalledProcessError(child.returncode, command, stderr=errors.read()[-3000:])
        return Finished(took, _processor_seconds() - used, peak, output.read())


def _processor_seconds():
    """What programs that have ended have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _resident(process):
    # Linux keeps the highest mark itself, so that looking now and then misses little. What wait4 tells is no use here: it
    # begins with the size of the parent.
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return int(found[1]) * 1024 if found else 0


def fallline_train(data, target, folder, *settings):
    """Run `fallline train`; what it took, and its summary."""
    summary = Path(folder) / "summary.json"
    finished = run([sys.executable, "-m", "fallline", "train", data, "--target", target, "-o", Path(folder) / "model.fall",
                    "--json", summary, *settings])  # fmt: skip
    return finished, json.loads(summary.read_text())


def forget(path):
    """Have the system keep nothing of a file in memory, so that it is next read from the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def reading_seconds(path, direct=False):
    """Seconds of reading a file in order, piece by piece into the same memory, with nothing done to it."""
    piece = mmap.mmap(-1, _PIECE)
    descriptor = os.open(path, os.O_RDONLY | (os.O_DIRECT if direct else 0))
    try:
        began = time.perf_counter()
        while os.readv(descriptor, [piece]) == _PIECE:
            pass
        return time.perf_counter() - began
    finally:
        os.close(descriptor)


def table(header, rows):
    """Print a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    print("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines), flush=True)
