"""Data sets that come with scikit-learn: real, small, and there without a network."""

from __future__ import annotations

from typing import Any, NamedTuple

from fallline.settings import choose

__all__ = ["DEMOS", "demo_frame"]


class _Demo(NamedTuple):
    title: str
    target: str


DEMOS = {
    "digits": _Demo("handwritten digits", "digit"),
    "breast_cancer": _Demo("breast cancer", "diagnosis"),
    "diabetes": _Demo("diabetes", "progression"),
    "wine": _Demo("wine", "cultivar"),
}


def demo_frame(name: str) -> tuple[str, Any, str]:
    """What a demonstration is called, its rows as an Arrow table, and its target."""
    import pyarrow as pa
    from sklearn import datasets

    key = choose("demo", name.strip().lower().replace(" ", "_").replace("-", "_"), DEMOS)
    bunch = getattr(datasets, f"load_{key}")()
    demo = DEMOS[key]
    names = getattr(bunch, "target_names", bunch.target)
    y = bunch.target if names.dtype.kind != "U" else names[bunch.target]
    columns = [*map(pa.array, bunch.data.T), pa.array(y)]
    return demo.title, pa.table(columns, names=[*map(str, bunch.feature_names), demo.target]), demo.target
