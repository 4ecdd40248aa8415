"""The miniature world: thirteen drawn tasks that mirror ODinW-13, and the data the nano models learn from.

Its numbers are its own; they say nothing about the real datasets.
"""

from odinw_bench.miniature.recipes import Recipe, RecipeClass, load_recipe, task_names
from odinw_bench.miniature.suite import contact_sheet, render_split, write_suite

__all__ = ["Recipe", "RecipeClass", "contact_sheet", "load_recipe", "render_split", "task_names", "write_suite"]
