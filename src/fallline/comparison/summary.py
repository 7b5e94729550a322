"""The short table at the end of `fallline compare`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.comparison import words
from fallline.comparison.results import Comparison
from fallline.comparison.verdict import score_words

__all__ = ["summary_table"]


def summary_table(comparison: Comparison) -> Any:
    """A rich table: one row a contender."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    name, write = score_words(comparison)
    table = Table(box=SIMPLE_HEAD)
    table.add_column("contender", no_wrap=True)
    for heading in ("rate", "to 10%", "to 1%", "to 0.1%", "gap left", "rows/s", f"test {name}"):
        table.add_column(heading, justify="right")
    for result in comparison.contenders:
        arrivals = [result.reached[gap]["seconds"] for gap in ("10%", "1%", "0.1%")]
        table.add_row(
            result.label,
            "-" if result.rate is None else f"{result.rate:g}",
            *("-" if seconds is None else words.time(seconds) for seconds in arrivals),
            words.share(float(np.median([run[-1] for run in result.curves.gap]))),
            "-" if result.rows_per_second is None else words.short(result.rows_per_second),
            write(float(np.median(result.test_score))),
        )
    return table
