"""History within long epochs."""

from __future__ import annotations

from fallline.monitors.base import Monitor

__all__ = ["LongEpochs"]


class LongEpochs(Monitor):
    """Adds a record to the history whenever another `rows` rows have been visited within an epoch."""

    def __init__(self, rows: int = 2**20):
        self.rows = rows

    def after_block(self, run):
        state = run.state
        note = state.note("long_epochs", rows=0)
        # Not just before the epoch's own record.
        if state.rows - note["rows"] >= self.rows and state.position + self.rows // 2 < run.source.n_rows:
            note["rows"] = state.rows
            state.history.append(state.record(state.loss_sum / state.position))

    def after_epoch(self, run):
        run.state.note("long_epochs", rows=0)["rows"] = run.state.rows
