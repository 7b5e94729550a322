"""How the weights move: optimizers, schedules and averaging, as typed values."""
