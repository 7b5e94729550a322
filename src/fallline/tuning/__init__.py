"""What need not be chosen: the learning rate, the batch size, the number of passes and the strength of a penalty.

::

    engine_for ──▶ trials ──▶ batch size ──▶ rate ──▶ training, which begins anew with a tenth if it diverges
    (rate, size,   short runs  cost and       the best,  from the state as it was, over all the rows
     updates)      from the    noise of       scaled to
                   same state  gradients      the run

Solvers have no rate; of them, alpha alone is looked for. Everything here asks an engine its verbs and nothing else. What is found
depends on the rows, the seed and the settings, never on a clock: the same seed gives the same bits.
"""

from __future__ import annotations

from fallline.tuning.alpha import Penalised, choose_alpha
from fallline.tuning.batch import choose_batch_size
from fallline.tuning.methods import Method, descending, plain, rated, solve, solving
from fallline.tuning.passes import passes_for
from fallline.tuning.rate import probe_rate
from fallline.tuning.solving import SolverFor
from fallline.tuning.training import ALPHA, BATCH_SIZE, LEARNING_RATE, train_tuned
from fallline.tuning.trials import EngineFor, Found

__all__ = [
    "ALPHA",
    "BATCH_SIZE",
    "LEARNING_RATE",
    "EngineFor",
    "Found",
    "Method",
    "Penalised",
    "SolverFor",
    "choose_alpha",
    "choose_batch_size",
    "descending",
    "passes_for",
    "plain",
    "probe_rate",
    "rated",
    "solve",
    "solving",
    "train_tuned",
]
