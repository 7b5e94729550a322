"""Recipes: how to train, from what was given to typed values, once it is known how many rows and classes there are.

To add a kind of model: a page with the members of `Recipe`.
"""

from fallline.training.recipes.base import Recipe
from fallline.training.recipes.choice import recipe_for

__all__ = ["Recipe", "recipe_for"]
