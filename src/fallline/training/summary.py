"""What was done, as plain values: for people, programs, and the model file."""

from __future__ import annotations

import sys
from typing import Any

import fallline
from fallline.data.budget import Budget
from fallline.data.order import Order
from fallline.data.prepared import Prepared
from fallline.data.rows import TrainingSource
from fallline.data.sources.base import Source
from fallline.model import Model
from fallline.monitors.base import Run
from fallline.state import Stop

__all__ = ["judged", "summarised", "trained"]


def judged(model: Model, source: TrainingSource) -> dict[str, float]:
    """Every metric on rows that were not trained on."""
    metrics = model.metrics()
    for block, _ in source.blocks(Order(0, shuffle=False), 0, 0, lambda: 2**14):
        model.measure_block(metrics, block)
    return metrics.results()


def summarised(source: Source, prepared: Prepared, run: Run, stop: Stop, budget: Budget) -> dict[str, Any]:
    """Data, why training stopped, seconds, cache, memory and notes."""
    return {
        "fallline": fallline.__version__,
        "data": _data(source, prepared.encoder, run),
        "stop": stop._asdict(),
        "seconds": {
            "opening": 0.0,
            **prepared.seconds,
            "tuning": run.tuning_seconds,
            "training": run.state.seconds,
            "total": 0.0,
        },
        "cache": _cache(prepared),
        "memory": {"budget": budget.total, "peak": _peak_memory(), "shuffle": _shuffling(prepared, budget)},
        "notes": list(prepared.encoder.warnings),
    }


def trained(run: Run) -> dict[str, Any]:
    """What of training does not depend on the method."""
    state = run.state
    return {
        "batch_sizes": sorted({record["batch_size"] for record in state.history if "batch_size" in record}),
        "seed": run.order.seed,
        "epochs": state.epoch,
        "updates": state.updates,
        "loss_at_end": state.history[-1]["loss"] if state.history else None,
        "rows_a_second": _speed(state),
    }


def _data(source, encoder, run):
    return {
        "name": source.name,
        "target": encoder.target.name,
        "task": encoder.task,
        "why_task": encoder.target.reason,
        "rows": run.source.n_rows,
        "columns": len(source.schema.names),
        "features": encoder.n_columns,
        "sparse": encoder.sparse,
        "rows_without_target": encoder.counts.without_target,
        "rows_skipped": encoder.counts.skipped,
    }


def _speed(state):
    """Rows a second, the first epoch left out where there are more: it may have waited for kernels to be compiled."""
    epochs = [(0, 0.0)] + [
        (record["rows"], record["seconds"]) for record in state.history if "objective" in record
    ]
    first, began = epochs[1] if len(epochs) > 2 else epochs[0]
    return (state.rows - first) / max(state.seconds - began, 1e-9)


def _cache(prepared):
    cache = prepared.cache
    if cache is None:
        return {"path": None, "found": False, "bytes": 0}
    path = None if cache.path is None else str(cache.path)
    return {"path": path, "found": prepared.found, "bytes": cache.size}


def _shuffling(prepared, budget):
    if prepared.rows is not None:
        return "all rows shuffled together"
    share = min(1.0, budget.window_bytes / 2 / prepared.nbytes)
    return f"rows shuffled in windows of {share:.1%} of them (all of them with more --memory)"


def _peak_memory():
    """The most memory that the process has held, in bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
