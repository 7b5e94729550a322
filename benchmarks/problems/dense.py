"""Generated dense data: normal columns of a given covariance, and targets drawn from a linear model of them."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from problems.problem import Problem, split


class Recipe(NamedTuple):
    """How data are generated.

    Parameters
    ----------
    loss : str
        The loss that the targets are drawn for.
    rows, columns, seed : int
    condition : float
        Of the columns' covariance: its eigenvalues run from 1 down to 1 / condition, in random directions.
    strength : float
        Standard deviation of the true scores.
    noise : float
        Standard deviation of what is added to targets that are numbers.
    outputs : int
        Classes, for "multinomial".
    flipped : float
        Share of labels turned to the other one.
    everywhere : bool
        The signal is as strong in all directions of the covariance; otherwise only where columns vary much.
    heavy : bool
        Columns with heavy tails.
    offset : float
        Added to all columns.
    decades : float
        Columns have scales from 10 ** -decades to 10 ** decades.
    """

    loss: str
    rows: int
    columns: int
    seed: int
    condition: float = 1.0
    strength: float = 1.0
    noise: float = 1.0
    outputs: int = 1
    flipped: float = 0.0
    everywhere: bool = True
    heavy: bool = False
    offset: float = 0.0
    decades: float = 0.0


def generate(recipe):
    """X and y."""
    generator = np.random.default_rng(recipe.seed)
    white = generator.standard_normal((recipe.rows, recipe.columns))
    if recipe.heavy:
        white = np.sign(white) * np.exp(1.5 * np.abs(white)) / 5
    X = white
    if recipe.condition > 1:
        directions, _ = np.linalg.qr(generator.standard_normal((recipe.columns, recipe.columns)))
        X = white @ (np.geomspace(1, recipe.condition**-0.5, recipe.columns)[:, None] * directions.T)
    truth = generator.standard_normal((recipe.columns, recipe.outputs))
    scores = (white if recipe.everywhere else X) @ truth
    scores *= recipe.strength / scores.std()
    scales = 10 ** generator.uniform(-recipe.decades, recipe.decades, recipe.columns)
    return X * scales + recipe.offset, draw(recipe, scores, generator)


def draw(recipe, scores, generator):
    """Targets of these scores (rows, outputs)."""
    if recipe.loss == "multinomial":
        return np.argmax(scores + generator.gumbel(size=scores.shape), axis=1).astype(float)
    scores = scores[:, 0]
    if recipe.loss == "poisson":
        return generator.poisson(np.exp(np.clip(0.7 * scores + 1, -20, 8))).astype(float)
    if recipe.loss in ("log_loss", "hinge"):
        y = generator.random(len(scores)) < 1 / (1 + np.exp(-scores))
        return (y ^ (generator.random(len(scores)) < recipe.flipped)).astype(float)
    y = scores + recipe.noise * generator.standard_normal(len(scores))
    if recipe.loss == "huber":
        astray = generator.random(len(scores)) < 0.1
        y[astray] += 50 * generator.standard_normal(astray.sum())
    return y


def problem(alpha, recipe, epsilon=1.0):
    """The problem of a recipe."""
    parts = split(*generate(recipe))
    return Problem(*parts, recipe.loss, alpha, outputs=recipe.outputs, epsilon=epsilon)


_RECIPES = {
    "lin_k0": (1e-10, Recipe("squared_error", 50_000, 100, seed=0)),
    "lin_k2": (1e-10, Recipe("squared_error", 50_000, 100, seed=2, condition=1e2)),
    "lin_k4": (1e-10, Recipe("squared_error", 50_000, 100, seed=4, condition=1e4)),
    "lin_k6": (1e-10, Recipe("squared_error", 50_000, 100, seed=6, condition=1e6)),
    "log_k0": (1e-9, Recipe("log_loss", 50_000, 50, seed=10, strength=2)),
    "log_k2": (1e-9, Recipe("log_loss", 50_000, 50, seed=12, condition=1e2, strength=2)),
    "log_k4": (1e-9, Recipe("log_loss", 50_000, 50, seed=14, condition=1e4, strength=2)),
    "log_k6": (1e-9, Recipe("log_loss", 50_000, 50, seed=16, condition=1e6, strength=2)),
    "log_k4_iso": (1e-6, Recipe("log_loss", 50_000, 100, seed=3, condition=1e4, strength=3, everywhere=False)),
    "log_200k": (1e-8, Recipe("log_loss", 200_000, 100, seed=5, condition=1e3, strength=2, flipped=0.05)),
    "lin_scale": (0.0, Recipe("squared_error", 40_000, 60, seed=60, decades=3)),
    "log_scale": (1e-10, Recipe("log_loss", 40_000, 60, seed=7, condition=10, decades=3)),
    "log_offset": (1e-8, Recipe("log_loss", 30_000, 20, seed=8, condition=10, offset=100)),
    "lin_heavy": (1e-8, Recipe("squared_error", 40_000, 50, seed=9, condition=1e2, heavy=True)),
    "log_heavy": (1e-8, Recipe("log_loss", 40_000, 50, seed=11, condition=1e2, strength=2, heavy=True)),
    "log_noise": (1e-6, Recipe("log_loss", 40_000, 40, seed=13, condition=1e2, strength=3, flipped=0.3)),
    "log_sep": (1e-6, Recipe("log_loss", 20_000, 30, seed=15, condition=1e2, strength=60)),
    "soft_k2": (1e-7, Recipe("multinomial", 40_000, 40, seed=17, condition=1e2, strength=2, outputs=10)),
    "soft_k4": (1e-7, Recipe("multinomial", 40_000, 40, seed=18, condition=1e4, strength=4, outputs=5)),
    "poi_k2": (1e-8, Recipe("poisson", 40_000, 30, seed=19, condition=1e2)),
    "poi_heavy": (1e-6, Recipe("poisson", 40_000, 30, seed=20, condition=1e3, heavy=True)),
    "hub_k2": (1e-8, Recipe("huber", 40_000, 50, seed=21, condition=1e2), 1.345),
    "hub_k4": (1e-8, Recipe("huber", 40_000, 50, seed=22, condition=1e4, noise=0.1), 0.2),
    "hin_k1": (1e-4, Recipe("hinge", 20_000, 30, seed=23, condition=10, strength=4)),
    "hin_k3": (1e-5, Recipe("hinge", 20_000, 50, seed=24, condition=1e3, strength=8)),
    "log_d500": (1e-4, Recipe("log_loss", 12_000, 500, seed=25, condition=1e2, strength=2)),
    "lin_d1000": (1e-4, Recipe("squared_error", 10_000, 1000, seed=26, condition=1e3)),
}  # fmt: skip

PROBLEMS = {name: partial(problem, *recipe) for name, recipe in _RECIPES.items()}
