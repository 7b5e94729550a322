"""What each of several processes does under torchrun; what came of it goes into a file a rank."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import fallline
from fallline.errors import FalllineError
from fallline.monitors.checkpoint import Checkpoint
from fallline.parallel import find

FIXED = {"solver": "descent", "optimizer": "adam", "learning_rate": 0.02, "batch_size": 32, "epochs": 3}

# Not Adam, which makes steps as long as any of what is but rounding in the intercept's first gradient.
FULL = {
    "solver": "descent",
    "optimizer": "momentum",
    "learning_rate": 0.1,
    "batch_size": "full",
    "epochs": 20,
}


def scenarios(folder: Path) -> dict:
    """Settings by name; the same on one process and on many."""
    numbers, text = str(folder / "numbers.parquet"), str(folder / "text.csv")
    return {
        "each update": {"data": numbers, "target": "y", "weight": "w", "sync_every": 1, **FIXED},
        "each update, sparse": {"data": text, "target": "label", "sync_every": 1, "text": ["words"], **FIXED},
        "each update, windows": {
            "data": numbers,
            "target": "y",
            "sync_every": 1,
            "memory": 128_000_000,
            **FIXED,
        },
        "all rows": {"data": numbers, "target": "y", "sync_every": 1, **FULL},
        "usual, few updates": {"data": numbers, "target": "y", "validation": 0.1, **FIXED},
        "averaged": {
            "data": numbers,
            "target": "y",
            "validation": 0.1,
            "cache": False,
            "sync_every": 4,
            **FIXED,
        },
        "averaged, sparse": {"data": text, "target": "label", "text": ["words"], "sync_every": 5, **FIXED},
        "few rows": {
            "data": str(folder / "few.parquet"),
            "target": "y",
            **FIXED,
            "batch_size": 1,
            "sync_every": 2,
        },
        "all found": {"data": numbers, "target": "y", "epochs": 40},
    }


def make(folder: Path) -> None:
    """The files of the scenarios, of awkward numbers of rows."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.standard_normal((1009, 4)).astype("f4"), columns=list("abcd"))
    frame["y"] = frame.to_numpy() @ [1.0, -2.0, 0.5, 0.0] + 0.1 * generator.standard_normal(1009) + 3
    frame["w"] = generator.uniform(0.5, 2.0, 1009)
    frame.to_parquet(folder / "numbers.parquet")
    frame[:2].drop(columns="w").to_parquet(folder / "few.parquet")
    words = np.array([f"word{i}" for i in range(300)])
    rows = [" ".join(generator.choice(words, 6)) for _ in range(307)]
    label = ["yes" if "1" in row.split()[0] else "no" for row in rows]
    pd.DataFrame({"words": rows, "label": label}).to_csv(folder / "text.csv", index=False)


def model_of(settings: dict):
    """What training with these settings comes to: weights, history without seconds, and what was measured."""
    model = fallline.train(**settings)
    history = [{k: v for k, v in record.items() if k != "seconds"} for record in model.history]
    return model.scorer.weights, history, model.summary


def module_of(data, **settings):
    """What `fallline.torch.fit` makes of a small network: its weights, and the history without seconds."""
    import torch

    import fallline.torch

    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    history = fallline.torch.fit(module, data, loss="mse", **{"epochs": 3, "batch_size": 40} | settings)
    weights = torch.cat([parameter.detach().reshape(-1) for parameter in module.parameters()]).numpy()
    return weights, [{k: v for k, v in record.items() if k != "seconds"} for record in history], {}


def modules_of(folder: Path) -> dict:
    """Networks on tensors of awkward sizes and on files; and a network of the command line."""
    import torch

    generator = torch.Generator().manual_seed(0)
    X = torch.randn(211, 4, generator=generator)
    y, weight = X[:, :1] * X[:, 1:2], torch.rand(211, generator=generator)
    found = {f"module, {n} rows": module_of((X[:n], y[:n], weight[:n])) for n in (1, 2, 65, 211)}
    found["module, micro-batches"] = module_of((X, y), micro_batch=7, patience=2, validation=0.2, epochs=4)
    found["module, all found"] = module_of((X, y), learning_rate="auto", scheduler="cosine")
    numbers = pd.read_parquet(folder / "numbers.parquet").drop(columns="w")
    numbers.to_parquet(folder / "module.parquet")
    found["module, file"] = module_of(str(folder / "module.parquet"), target="y")
    mlp = {"model": "mlp", "hidden": (8,), "epochs": 2, "validation": 0.1}
    model = fallline.train(str(folder / "numbers.parquet"), "y", weight="w", **mlp)
    weights = torch.cat([parameter.detach().reshape(-1) for parameter in model.scorer.module.parameters()])
    found["mlp"] = weights.numpy(), [], {"validation": model.summary["validation"]}
    return found


def run_all(folder: Path) -> dict:
    """What comes of all scenarios, and of those twice that are to be the same to the bit."""
    found = {name: model_of(settings) for name, settings in scenarios(folder).items()}
    found |= modules_of(folder)
    found["again"] = model_of(scenarios(folder)["averaged"])
    rank = find().rank
    frame = pd.read_parquet(folder / "numbers.parquet").drop(columns="w")
    found["in memory"] = model_of({"data": frame, "target": "y", **FIXED})
    found["errors"] = [
        error_of(lambda: fallline.train(frame[rank:], "y", **FIXED)),
        error_of(
            lambda: fallline.train(str(folder / f"{'few' if rank else 'numbers'}.parquet"), "y", **FIXED)
        ),
        error_of(lambda: fallline.train(frame, "nope")),
        error_of(lambda: fallline.train(frame.assign(y=np.nan), "y")),
        error_of(lambda: fallline.train(frame, "y", **{**FIXED, "optimizer": "sgd", "learning_rate": 1e6})),
        error_of(lambda: fallline.train(frame, "y", **FIXED, validation=str(folder / f"{rank}.parquet"))),
        error_of(lambda: module_of((np.ones((9 + rank, 4), "f4"), np.ones((9 + rank, 1), "f4")))),
        error_of(lambda: module_of((np.ones((9, 4), "f4"), np.ones(9, "f4")))),
        error_of(lambda: module_of((np.ones((9, 4), "f4"), np.ones((9, 1), "f4")), micro_batch=2 + rank)),
    ]
    return found


def error_of(function):
    """The error that a function raises, in words."""
    try:
        function()
    except FalllineError as error:
        return f"{type(error).__name__}: {error}"
    return None


def killed_once(folder: Path):
    """Training in which rank 1 is killed at its third checkpoint, the first time."""
    usual, write = Checkpoint.__init__, Checkpoint._write
    written = []

    def write_and_die(self, run, stop=None):
        write(self, run, stop)
        written.append(run.state.rows)
        if len(written) == 3 and run.processes.rank == 1 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            os.kill(os.getpid(), signal.SIGKILL)

    Checkpoint.__init__ = lambda self, *rest: usual(self, *rest, seconds=0)
    Checkpoint._write = write_and_die
    found = model_of({**_longer(folder), "checkpoint": folder / "state"})
    return *found, os.environ["TORCHELASTIC_RESTART_COUNT"], written


def never_killed(folder: Path):
    """The same training without a checkpoint."""
    return model_of(_longer(folder))


def _longer(folder):
    return {**scenarios(folder)["averaged"], "epochs": 5}


def wait_for_others(folder: Path):
    """Rank 1 dies without a word, while rank 0 waits for it."""
    processes = find()
    processes.wait()
    if processes.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return error_of(processes.wait)


if __name__ == "__main__":
    import pickle

    what, where = sys.argv[1], Path(sys.argv[2])
    result = {"all": run_all, "killed": killed_once, "whole": never_killed, "waiting": wait_for_others}[what](
        where
    )
    with (where / f"{what}.{find().rank}").open("wb") as file:
        pickle.dump(result, file)
