"""What tests of planning start from."""

from planning_helpers import make_recipe, recipe_file

__all__ = ["make_recipe", "recipe_file"]
