"""A suite: recipes that belong together, from a file that names them, a grid, or several files."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_rm.errors import ConfigError, W2SError, join_problems, nearest
from w2s_rm.experiment.grid import grid_recipes, is_grid
from w2s_rm.experiment.marked_yaml import MarkedYaml, load_marked
from w2s_rm.experiment.recipe import Recipe, is_run_name, load_recipe

_WITH = "with"
_KEYS = ("name", "recipes", _WITH)


@dataclass(frozen=True)
class Suite:
    """Recipes that belong together; a file that holds one recipe is a suite of it alone.

    Args:
        name (`str`): Folder of the joint report below `runs/`.
        recipes (`tuple[Recipe, ...]`): In the order of the report.
    """

    name: str
    recipes: tuple[Recipe, ...]

    @property
    def joint(self) -> bool:
        """Whether there is a report over all recipes, besides those of each."""
        return [self.name] != [recipe.name for recipe in self.recipes]


def load_suite(path: Path, overrides: Sequence[str] = ()) -> Suite:
    """Read and check a recipe, a grid, or a file that names recipes.

    Args:
        path (`Path`): YAML. A suite has `name` and `recipes`, a list of paths from the suite's own folder, and perhaps
            `with`, values that replace those of each recipe by keys that may have dots; the recipes are then others,
            named `<suite>_<recipe>`. A grid has `models` instead of `weak` and `strong`.
        overrides (`Sequence[str]`): `key=value` pairs; those of a suite replace values in each of its recipes.

    Raises:
        ConfigError: All mistakes in all files.
    """
    # Without overrides: what kind of file it is does not depend on them.
    marked_suite = load_marked(path, [])
    data = marked_suite.data
    if is_grid(data):
        marked = load_marked(path, list(overrides))
        return Suite(str(marked.data.get("name")), grid_recipes(marked))
    if "recipes" not in data:
        recipe = load_recipe(path, overrides)
        return Suite(recipe.name, (recipe,))
    problems = [f"{key}: unknown key; {nearest(str(key), _KEYS)}" for key in data if key not in _KEYS]
    if not is_run_name(data.get("name")):
        problems.append(f"name: {data.get('name')!r} cannot name a run; use letters, digits and _")
    # One name for all of them would be one run.
    renaming = [text for text in overrides if text.startswith("name=")]
    problems += [f"command line: {text}: each recipe of a suite keeps its own name" for text in renaming]
    replacing = _replacing(marked_suite)
    if replacing is None:
        problems.append(f"{_WITH}: {data[_WITH]!r} holds no keys and values (or a name, which each recipe has)")
    others = [text for text in overrides if text not in renaming]
    recipes, wrong = _load_all(path, data["recipes"], others, replacing)
    if replacing is not None and replacing.data:
        recipes = [_renamed(recipe, f"{data.get('name')}_{recipe.name}") for recipe in recipes]
    names = Counter([str(data.get("name")), *(recipe.name for recipe in recipes)])
    problems += [f"recipes: {name!r} names two runs" for name, count in names.items() if count > 1]
    if problems or wrong:
        raise ConfigError(join_problems(f"{path}: a suite that cannot be run:", [*problems, *wrong], most=50))
    return Suite(str(data["name"]), tuple(recipes))


def load_suites(paths: Sequence[Path], overrides: Sequence[str] = ()) -> list[Suite]:
    """Read and check several files, each a recipe, a grid or a suite.

    Args:
        paths (`Sequence[Path]`): The files.
        overrides (`Sequence[str]`): `key=value` pairs that replace values in all of them.

    Raises:
        ConfigError: All mistakes in all files, or two runs of one name.
    """
    if len(paths) == 1:
        return [load_suite(paths[0], overrides)]
    suites, problems = [], []
    for path in paths:
        try:
            suites.append(load_suite(path, overrides))
        except W2SError as error:
            problems.append(str(error).replace("\n", "\n  "))
    names = Counter(name for suite in suites for name in {suite.name, *(recipe.name for recipe in suite.recipes)})
    problems += [f"{name!r} names two runs" for name, count in names.items() if count > 1]
    if problems:
        raise ConfigError(join_problems("these recipes cannot be run together:", problems, most=50))
    return suites


def _renamed(recipe: Recipe, name: str) -> Recipe:
    return dataclasses.replace(recipe, name=name, content={**recipe.content, "name": name})


def _replacing(suite: MarkedYaml) -> MarkedYaml | None:
    """What stands in a suite below `with`, empty without; `None` where that is no mapping, or would rename recipes."""
    given = suite.data.get(_WITH, {})
    if not isinstance(given, dict) or "name" in given:
        return None
    lines = {path[1:]: line for path, line in suite.lines.items() if path[:1] == (_WITH,) and len(path) > 1}
    return MarkedYaml(suite.source, given, lines)


def _load_all(
    path: Path, listed: Any, overrides: Sequence[str], replacing: MarkedYaml | None
) -> tuple[list[Recipe], list[str]]:
    if not isinstance(listed, list) or not listed or not all(isinstance(entry, str) for entry in listed):
        return [], [f"recipes: {listed!r} is no list of recipe files"]
    recipes, problems = [], []
    for entry in listed:
        recipe_path = path.parent / entry
        try:
            if not recipe_path.is_file():
                raise ConfigError(f"{recipe_path}: no such recipe")
            recipes.append(load_recipe(recipe_path, overrides, replacing))
        except W2SError as error:
            problems.append(str(error).replace("\n", "\n  "))
    return recipes, problems
