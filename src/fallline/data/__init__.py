"""The data's way to the engine: where rows come from, in which order, and in which blocks."""
