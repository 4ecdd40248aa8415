"""The miniature world: thirteen drawn tasks that mirror ODinW-13, and the data the nano models learn from.

Its numbers are its own; they say nothing about the real datasets.
"""

from odinw_bench.mini.export import contact_sheet, write_suite
from odinw_bench.mini.recipes import Recipe, RecipeClass, load_recipe, task_names
from odinw_bench.mini.suite import render_split

__all__ = ["Recipe", "RecipeClass", "contact_sheet", "load_recipe", "render_split", "task_names", "write_suite"]
