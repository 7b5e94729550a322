"""fallline's own commands with nothing set but the number of passes: whichever solver suits the size of the model."""

from __future__ import annotations

from pipelines import main
from pipelines.fallline_command import run

NAME = "fallline, defaults"


if __name__ == "__main__":
    main(NAME, lambda *paths: run(*paths, settings=()))
