"""Peak memory beyond the data: each contender in a fresh process of its own.

`python -m fallline.comparison.memory FOLDER` is that process. It loads the rows, warms up, and notes by how much the peak
of its resident memory rises while the contender trains.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from os import cpu_count
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from fallline.comparison.contenders import Contender, line_up
from fallline.comparison.experiment import warm_up
from fallline.comparison.problem import Problem

__all__ = ["measure_memory"]

_SECONDS_TO_TRAIN = 3.0
_SECONDS_TO_WAIT = 120.0


def measure_memory(contenders: Sequence[Contender], problem: Problem) -> list[int | None]:
    """Bytes, one number a contender; None where this system does not tell."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "X.npy"), problem.X)
        np.save(Path(folder, "y.npy"), problem.y)
        batch_sizes = [c.batch_size for c in contenders if c.family == "fallline"]
        about = {
            "task": problem.task,
            "outputs": problem.outputs,
            "alpha": problem.alpha,
            "batch_sizes": batch_sizes,
        }
        Path(folder, "about.json").write_text(json.dumps(about), encoding="utf-8")
        with ThreadPoolExecutor(min(4, cpu_count() or 1)) as pool:
            return list(pool.map(lambda contender: _ask(folder, contender.key), contenders))


def _ask(folder, key):
    command = [sys.executable, "-m", "fallline.comparison.memory", folder, key]
    with suppress(subprocess.SubprocessError, OSError, ValueError):
        found = subprocess.run(command, capture_output=True, timeout=_SECONDS_TO_WAIT, check=True)  # noqa: S603 (our own)
        return json.loads(found.stdout)
    return None


def _measure(folder: Path, key: str) -> int | None:
    problem, contender = _load(folder, key)
    warm_up(contender, problem)
    before = _peak(reset=True)
    with threadpool_limits(1):
        for snapshot in contender.trace(problem, 1e-4, 0, 2, 20):
            if snapshot.seconds > _SECONDS_TO_TRAIN:
                break
    after = _peak(reset=False)
    return None if before is None or after is None else max(after - before, 0)


def _load(folder, key):
    about = json.loads(Path(folder, "about.json").read_text(encoding="utf-8"))
    X, y = np.load(Path(folder, "X.npy")), np.load(Path(folder, "y.npy"))
    contenders, _ = line_up(len(X), about["batch_sizes"])
    problem = Problem(X, y, about["task"], about["outputs"], about["alpha"])
    return problem, next(contender for contender in contenders if contender.key == key)


def _peak(reset):
    """The highest resident memory so far, in bytes; with `reset`, from now on."""
    # Where Linux tells, it is this process's own, and what loading took can be forgotten; what `getrusage` gives
    # there begins at the size of the process that started this one.
    status = Path("/proc/self/status")
    if status.exists():
        if reset:
            with suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        [line] = [
            line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:")
        ]
        return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measure(Path(sys.argv[1]), sys.argv[2])))
