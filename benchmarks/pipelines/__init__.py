"""From a CSV file to a file of scored predictions: one small file a pipeline, each run as a program of its own.

    python -m pipelines.NAME TRAIN TEST PREDICTIONS FOLDER

A pipeline is a module with a `NAME` and `run(train, test, predictions, folder)`, which trains on the mixed table of `data.py`
for five passes, as a user of that library would write it, and writes a probability for each row of `test`. `folder` is for
files on the way. It gives back its `Stages`, the seconds of each; `main` prints the name and them as JSON.
"""

from __future__ import annotations

import json
import sys
import time

PASSES = 5


class Stages:
    """Seconds by stage: what passed since the stage before."""

    def __init__(self):
        self.seconds = {}
        self._since = time.perf_counter()

    def done(self, name):
        """The stage that ends here."""
        now = time.perf_counter()
        self.seconds[name] = now - self._since
        self._since = now


def main(name, run):
    """Run a pipeline on the paths of the command line."""
    print(json.dumps([name, run(*sys.argv[1:5]).seconds]))
