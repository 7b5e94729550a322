"""What the columns of the mixed table are called: apart from what makes it, so that pipelines load only what they use."""

from __future__ import annotations

TARGET = "target"

# The mixed table, by what its columns hold; scripts that know their data name the columns by these.
NUMBERS = (
    "amount",
    "balance",
    "age",
    "income",
    "duration",
    "visits",
    "score_1",
    "score_2",
    "score_3",
    "score_4",
)
FEW = ("country", "channel", "device", "segment", "contract")
MANY = ("merchant", "customer")
DATE = "opened"
