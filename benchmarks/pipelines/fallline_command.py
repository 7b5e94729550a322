"""fallline's own commands."""

from __future__ import annotations

import subprocess
import sys

from data import TARGET
from pipelines import PASSES, Stages, main

NAME = "fallline"


def run(train, test, predictions, folder):
    """Train and predict, each in a process of its own, with nothing cached from before."""
    stages = Stages()
    command = [sys.executable, "-m", "fallline"]
    subprocess.run(
        [*command, "train", train, "--target", TARGET, "-o", f"{folder}/model.fall", "--epochs", str(PASSES), "--cache", folder],
        check=True,
        stdout=sys.stderr,
    )  # fmt: skip
    stages.done("train")
    subprocess.run(
        [*command, "predict", f"{folder}/model.fall", test, "-o", predictions],
        check=True,
        stdout=sys.stderr,
    )
    stages.done("predict")
    return stages


if __name__ == "__main__":
    main(NAME, run)
