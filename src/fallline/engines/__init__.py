"""Engines: what turns blocks into updates. Each has the same verbs: `start`, `sweep`, `measure`, `predict`."""
