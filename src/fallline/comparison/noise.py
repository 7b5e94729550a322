r"""How noisy the gradient of a mini-batch is.

At fixed weights let g be the gradient over all n rows and :math:`g_B` that of B rows drawn without replacement. Then

.. math:: \frac{E\|g_B - g\|^2}{\|g\|^2} = \frac{\sigma^2}{\|g\|^2} \cdot \frac1B \cdot \frac{n - B}{n - 1}

with :math:`\sigma^2` the variance of the gradient of one row: proportional to 1/B until B comes near n.
"""

from __future__ import annotations

import numpy as np

from fallline.comparison.objective import Objective
from fallline.comparison.results import Noise

__all__ = ["measure_noise"]

_MOST_DRAWS, _FEWEST_DRAWS = 400, 30
_ROWS_TO_DRAW = 300_000


def measure_noise(objective: Objective, weights: np.ndarray, seed: int) -> Noise:
    """Measure it at batch sizes 1, 4, 16, ... and compute what the formula says."""
    n = len(objective.X)
    everything = np.arange(n)
    gradient = objective.batch_gradient(weights, everything)
    size = np.square(gradient).sum()
    one_row = _variance_of_one_row(objective, weights, everything, gradient) / size
    generator = np.random.default_rng(seed)
    batch_sizes = [4**i for i in range(20) if 4**i <= n // 2]
    draws = [int(np.clip(_ROWS_TO_DRAW // b, _FEWEST_DRAWS, _MOST_DRAWS)) for b in batch_sizes]
    measured = [
        float(
            np.mean(
                [
                    _distance(
                        objective, weights, gradient, generator.choice(n, b, replace=False, shuffle=False)
                    )
                    for _ in range(d)
                ]
            )
            / size
        )
        for b, d in zip(batch_sizes, draws, strict=True)
    ]
    theory = [float(one_row / b * (n - b) / (n - 1)) for b in batch_sizes]
    return Noise(batch_sizes, measured, theory, draws, float(one_row))


def _distance(objective, weights, gradient, rows):
    return np.square(objective.batch_gradient(weights, rows) - gradient).sum()


def _variance_of_one_row(objective, weights, rows, gradient):
    """A row's own gradient is the outer product of its slopes and (x, 1); the penalty's is the same for all."""
    slopes = objective.slopes(weights, rows)
    squares = np.square(slopes).sum(axis=1) * (np.einsum("ij,ij->i", objective.X, objective.X) + 1.0)
    mean = gradient.copy()
    mean[:, :-1] -= objective.alpha * weights[:, :-1]
    return squares.mean() - np.square(mean).sum()
