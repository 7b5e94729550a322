"""The encoder: columns of any type become rows of numbers.

::

    make_plan ──▶ Plan ──▶ fit ──▶ Encoder ──▶ encode
    a sample      JSON     one pass   tensors    batch by batch

=============  ==========================================================================
`planning`     what to make of each column, from a sample
`plan`         the plan itself, and the JSON that users edit
`kinds`        numbers, categories, dates, ...: a page each
`target`       classes or numbers, and which task that makes
`statistics`   what the pass finds out, batch by batch, merged in order
`fitting`      the pass
`layout`       where in a row the features of each column stand
`encoder`      from batches to rows
`batch`        which rows of a batch have a target, and where a bad one is
`arrow`        what has to be known of Arrow's arrays
`tensors`      fitted values as arrays and JSON
`units`        weights in the units of the columns
`describe`     a plan or an encoder as a table
=============  ==========================================================================
"""

from __future__ import annotations

from fallline.data.encoder.describe import Described, describe
from fallline.data.encoder.encoder import Counted, Encoder
from fallline.data.encoder.fitting import fit
from fallline.data.encoder.plan import ColumnPlan, Plan
from fallline.data.encoder.planning import aimed, make_plan
from fallline.data.encoder.units import Effect, Effects

__all__ = [
    "ColumnPlan",
    "Counted",
    "Described",
    "Effect",
    "Effects",
    "Encoder",
    "Plan",
    "aimed",
    "describe",
    "fit",
    "make_plan",
]
