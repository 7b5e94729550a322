"""fallline's own commands: mini-batch descent for five passes, at the rate that it finds."""

from __future__ import annotations

import os
import subprocess
import sys

from columns import TARGET
from pipelines import PASSES, Stages, main

NAME = "fallline"

_SETTINGS = ("--optimizer", "adam", "--batch-size", "4096")


def run(train, test, predictions, folder, settings=_SETTINGS):
    """Train and predict, each in a process of its own, with nothing cached from before."""
    stages = Stages()
    _fallline(
        "train", train, "--target", TARGET, "-o", f"{folder}/model.fall", "--epochs", PASSES, "--cache", folder, *settings
    )  # fmt: skip
    stages.done("train")
    _fallline("predict", f"{folder}/model.fall", test, "-o", predictions)
    stages.done("predict")
    return stages


def _fallline(*arguments):
    # Python may keep what it compiled, as it does of a package that is installed, and as it did of the rivals.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "fallline", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=sys.stderr, env=environment)


if __name__ == "__main__":
    main(NAME, run)
