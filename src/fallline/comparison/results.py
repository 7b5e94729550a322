"""All the numbers of a comparison, as they stand in the JSON file (docs/compare.md explains each)."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, field
from typing import Any

from fallline.comparison.outputs import write_whole

__all__ = ["Comparison", "Curves", "Encoding", "Facts", "Noise", "Result", "Settings", "Throughput", "Trial"]

FORMAT = "fallline-comparison-1"


@dataclass
class Encoding:
    """What the encoder made of a column; `missing` is the share of rows without a value, None where nobody looked."""

    column: str
    type: str
    kind: str
    becomes: str
    features: int
    missing: float | None


@dataclass
class Facts:
    """The data, as compared on.

    `rows` are those of the comparison, `rows_found` all that have a target; `columns` those that there are features of; the
    first so many `features` are `standardised`.
    """

    name: str
    target: str
    task: str
    why_task: str
    rows: int
    rows_found: int
    rows_without_target: int
    rows_skipped: int
    columns: list[str]
    features: list[str]
    standardised: int
    encoding: list[Encoding]
    classes: list[str]
    train_rows: int
    test_rows: int
    notes: list[str]


@dataclass
class Settings:
    """What was asked for."""

    epochs: int
    seeds: list[int]
    alpha: float
    test_fraction: float
    split_seed: int
    batch_sizes: list[int]
    rates: list[float]
    search_rows: int
    search_visits: int
    time_limit: float


@dataclass
class Trial:
    """One rate tried: the objective that it came to, on the rows of the search; None where it diverged."""

    rate: float
    objective: float | None


@dataclass
class Curves:
    """Runs of one contender, looked at after the same updates. The last two have one list a seed."""

    updates: list[int] = field(default_factory=list)
    epochs: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    seconds: list[list[float]] = field(default_factory=list)
    gap: list[list[float]] = field(default_factory=list)


@dataclass
class Result:
    """One contender; `beats_constant` where each of its runs predicts the test rows clearly better than a constant does."""

    key: str
    label: str
    family: str
    batch_size: int | None
    rate: float | None
    trials: list[Trial]
    curves: Curves
    test_score: list[float]
    beats_constant: bool
    reached: dict[str, dict[str, float | None]] = field(default_factory=dict)
    memory_bytes: int | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def rows_per_second(self) -> float | None:
        """Over the whole of the median run; None where that was cut short within its first epoch: a cold update is no speed."""
        if self.curves.epochs[-1] < 1:
            return None
        return (
            self.curves.rows[-1]
            / sorted(run[-1] for run in self.curves.seconds)[len(self.curves.seconds) // 2]
        )


@dataclass
class Throughput:
    """Rows a second of fallline, by batch size."""

    batch_sizes: list[int]
    rows_per_second: list[float]


@dataclass
class Noise:
    """The variance of the mini-batch gradient over its mean squared, measured and by theory, by batch size."""

    batch_sizes: list[int]
    measured: list[float]
    theory: list[float]
    draws: list[int]
    one_row: float


@dataclass
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    data : Facts
        The data, the task, and the split.
    settings : Settings
        Epochs, seeds, rates tried, and so on.
    machine : dict
        Processor, system, and versions.
    made : str
        When, in ISO 8601.
    command : str
        What to run to get this again.
    start, optimum : float
        The objective at zero weights, and its exact minimum on the training rows.
    optimum_gradient_norm : float
        How exact.
    optimum_test_score : float
        The test score at the optimum: accuracy, or R squared.
    constant_test_score : float
        The same of predicting always the mean, or the most frequent class, of the training rows.
    contenders : list of Result
        Curves, rates, scores, memory: one entry a contender.
    absent : list of str
        Who was left out, and why.
    throughput : Throughput
    noise : Noise
    winners : dict
        For each axis ("epochs", "updates", "rows", "seconds") the fallline variant that was first, and where.
    verdict : list of str
        In plain words, most important first.
    """

    data: Facts
    settings: Settings
    machine: dict[str, str]
    made: str
    command: str
    start: float
    optimum: float
    optimum_gradient_norm: float
    optimum_test_score: float
    constant_test_score: float
    contenders: list[Result]
    absent: list[str]
    throughput: Throughput
    noise: Noise
    winners: dict[str, dict[str, Any]] = field(default_factory=dict)
    verdict: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """Every number, as JSON; what is not a finite number becomes null."""
        return json.dumps(_plain({"format": FORMAT, **asdict(self)}), indent=1, allow_nan=False)

    def to_html(self) -> str:
        """The page: complete in itself, with no need of a network."""
        from fallline.comparison.page import render

        return render(self)

    def save(self, path: str | os.PathLike[str], json_path: str | os.PathLike[str] | None = None) -> None:
        """Write the page, and the numbers beside it (the same name, ending in .json), each whole or not at all.

        Raises
        ------
        ParameterError
            If the names or the folder cannot be used.
        OSError
            If writing fails, a full disk for one.
        """
        from fallline.comparison.outputs import Outputs

        outputs = Outputs.checked(path, json_path)
        write_whole(outputs.page, self.to_html())
        write_whole(outputs.numbers, self.to_json())


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
