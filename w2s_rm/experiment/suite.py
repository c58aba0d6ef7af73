"""A suite: recipes that belong together, from a file that names them, a grid, or several files; and what it asks."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_rm.errors import ConfigError, W2SError, join_problems, nearest
from w2s_rm.experiment.grid import FINDINGS, grid_recipes, is_grid
from w2s_rm.experiment.marked_yaml import KeyPath, MarkedYaml, load_marked
from w2s_rm.experiment.recipe import Recipe, is_run_name, load_recipe
from w2s_rm.experiment.suite_findings import read_findings
from w2s_rm.report.findings import Asked

_WITH = "with"
_KEYS = ("name", "recipes", _WITH, FINDINGS)
_ENTRY = ("recipe", "name", _WITH)


@dataclass(frozen=True)
class Suite:
    """Recipes that belong together; a file that holds one recipe is a suite of it alone.

    Args:
        name (`str`): Folder of the joint report below `runs/`.
        recipes (`tuple[Recipe, ...]`): In the order of the report.
        asked ([`~w2s_rm.report.findings.Asked`], *optional*): What is asked of their runs.
    """

    name: str
    recipes: tuple[Recipe, ...]
    asked: Asked | None = None

    @property
    def joint(self) -> bool:
        """Whether there is a report over all recipes, besides those of each."""
        return [self.name] != [recipe.name for recipe in self.recipes]


def load_suite(path: Path, overrides: Sequence[str] = ()) -> Suite:
    """Read and check a recipe, a grid, or a file that names recipes.

    Args:
        path (`Path`): YAML. A suite has `name` and `recipes`, a list of paths from the suite's own folder, and perhaps
            `with`, values that replace those of each recipe by keys that may have dots; the recipes are then others,
            named `<suite>_<recipe>`. In place of a path may stand `recipe`, the path, with a `name` and a `with` of its
            own, and `findings` may state what the runs are to show. A grid has `models` instead of `weak` and `strong`,
            and may have `findings`, in which its runs are named `<weak>_<strong>`.
        overrides (`Sequence[str]`): `key=value` pairs; those of a suite replace values in each of its recipes.

    Raises:
        ConfigError: All mistakes in all files.
    """
    # Without overrides: what kind of file it is does not depend on them.
    marked_suite = load_marked(path, [])
    data = marked_suite.data
    # In a grid overrides replace keys of its own, in a suite those of its recipes.
    if is_grid(data):
        return _grid(path, load_marked(path, list(overrides)))
    if "recipes" not in data:
        recipe = load_recipe(path, overrides)
        return Suite(recipe.name, (recipe,))
    problems = [
        _said(marked_suite, str(key), f"unknown key; {nearest(str(key), _KEYS)}") for key in data if key not in _KEYS
    ]
    if not is_run_name(data.get("name")):
        text = f"{data.get('name')!r} cannot name a run; use letters, digits and _"
        problems.append(_said(marked_suite, "name", text))
    # One name for all of them would be one run.
    renaming = [text for text in overrides if text.startswith("name=")]
    problems += [f"command line: {text}: each recipe of a suite keeps its own name" for text in renaming]
    replacing = _replacing(marked_suite)
    if replacing is None:
        text = f"{data[_WITH]!r} holds no keys and values (or a name, which each recipe has)"
        problems.append(_said(marked_suite, _WITH, text))
    others = [text for text in overrides if text not in renaming]
    loaded, wrong = _load_all(marked_suite, path, others, replacing)
    # With nothing replaced it is the recipe itself: it keeps its name, and a run of it alone is the same run.
    same = replacing is not None and not replacing.data
    recipes = [
        recipe if same and own is None else _renamed(recipe, data.get("name"), own or recipe.name)
        for own, recipe in loaded
    ]
    # The suite's own, too: the joint report has a folder beside those of the runs.
    names = Counter([str(data.get("name")), *(recipe.name for recipe in recipes)])
    twice = [f"{name!r} names two runs; give one of them another name" for name, count in names.items() if count > 1]
    problems += [_said(marked_suite, "recipes", text) for text in twice]
    by_name = {own or loaded_as.name: recipe for (own, loaded_as), recipe in zip(loaded, recipes, strict=True)}
    # A recipe that is wrong is missing here, and what is said about it would be wrong too.
    asked, unfit = (None, []) if wrong else read_findings(marked_suite, data.get(FINDINGS), by_name)
    if problems or wrong or unfit:
        raise ConfigError(join_problems(f"{path}: a suite that cannot be run:", [*problems, *wrong, *unfit], most=50))
    return Suite(str(data["name"]), tuple(recipes), asked)


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
    suites: list[tuple[Path, Suite]] = []
    problems = []
    for path in paths:
        try:
            suites.append((path, load_suite(path, overrides)))
        except W2SError as error:
            # A message of several lines stays one item of the list.
            problems.append(str(error).replace("\n", "\n  "))
    named_in: dict[str, list[str]] = {}
    for path, suite in suites:
        # A set, for a file that holds one recipe is a suite of the same name.
        for name in {suite.name, *(recipe.name for recipe in suite.recipes)}:
            named_in.setdefault(name, []).append(str(path))
    problems += [
        f"{' and '.join(files)}: {name!r} names two runs; give one of them another name"
        for name, files in named_in.items()
        if len(files) > 1
    ]
    if problems:
        raise ConfigError(join_problems("these recipes cannot be run together:", problems, most=50))
    return [suite for _, suite in suites]


def _said(suite: MarkedYaml, key: str, text: str) -> str:
    """A mistake with its place in the suite."""
    return f"{suite.place((key,))}: {key}: {text}"


def _grid(path: Path, marked: MarkedYaml) -> Suite:
    name, recipes = str(marked.data.get("name")), grid_recipes(marked)
    by_pair = {recipe.name.removeprefix(f"{name}_"): recipe for recipe in recipes}
    asked, unfit = read_findings(marked, marked.data.get(FINDINGS), by_pair)
    if unfit:
        raise ConfigError(join_problems(f"{path}: a grid that cannot be run:", unfit, most=50))
    return Suite(name, recipes, asked)


def _renamed(recipe: Recipe, suite: object, own: str) -> Recipe:
    name = f"{suite}_{own}"
    # In the content as well, which is kept in the run's folder as a recipe that runs alone.
    return dataclasses.replace(recipe, name=name, content={**recipe.content, "name": name})


def _replacing(suite: MarkedYaml, at: KeyPath = (_WITH,)) -> MarkedYaml | None:
    """What stands below a `with` of a suite, empty without; `None` if that is no mapping, or would rename recipes."""
    values: Any = suite.data
    for key in at:
        values = values[int(key)] if isinstance(values, list) else values.get(key, {})
    if not isinstance(values, dict) or "name" in values:
        return None
    below = len(at)
    lines = {path[below:]: line for path, line in suite.lines.items() if path[:below] == at and len(path) > below}
    return MarkedYaml(suite.source, values, lines)


def _load_all(
    suite: MarkedYaml, path: Path, overrides: Sequence[str], replacing: MarkedYaml | None
) -> tuple[list[tuple[str | None, Recipe]], list[str]]:
    """The recipes, each with the name that the suite gives it, and what is wrong."""
    listed = suite.data["recipes"]
    if not isinstance(listed, list) or not listed or not all(isinstance(entry, str | dict) for entry in listed):
        return [], [
            _said(suite, "recipes", f"{listed!r} is no list of recipe files; give paths from the suite's folder")
        ]
    recipes: list[tuple[str | None, Recipe]] = []
    problems = []
    for number, written in enumerate(listed):
        entry = written if isinstance(written, dict) else {"recipe": written}
        try:
            own = _entry_values(suite, number, entry)
            recipe_path = path.parent / entry["recipe"]
            if not recipe_path.is_file():
                place = suite.place(("recipes", str(number)))
                raise ConfigError(
                    f"{place}: recipes.{number}: {recipe_path}: no such recipe; give its path from the suite's folder"
                )
            recipe = load_recipe(recipe_path, overrides, _both(replacing, own))
            recipes.append((entry.get("name"), recipe))
        except W2SError as error:
            problems.append(str(error).replace("\n", "\n  "))
    return recipes, problems


def _entry_values(suite: MarkedYaml, number: int, entry: Mapping[str, Any]) -> MarkedYaml:
    """What an entry of the list replaces in its recipe."""
    place = f"{suite.place(('recipes', str(number)))}: recipes.{number}"
    wrong = [f"{place}.{key}: unknown key; {nearest(str(key), _ENTRY)}" for key in entry if key not in _ENTRY]
    if not isinstance(entry.get("recipe"), str):
        wrong.append(f"{place}.recipe: {entry.get('recipe')!r} is no path of a recipe")
    replacing = _replacing(suite, ("recipes", str(number), _WITH)) if _WITH in entry else MarkedYaml("", {}, {})
    if replacing is None:
        wrong.append(f"{place}.{_WITH}: holds no keys and values (or a name, which stands beside it)")
    elif replacing.data and "name" not in entry:
        wrong.append(f"{place}: with {_WITH} it is another experiment than its recipe; give it a name")
    if "name" in entry and not is_run_name(entry["name"]):
        wrong.append(f"{place}.name: {entry['name']!r} cannot name a run; use letters, digits and _")
    if wrong or replacing is None:
        raise ConfigError("\n".join(wrong))
    return replacing


def _both(common: MarkedYaml | None, own: MarkedYaml) -> MarkedYaml | None:
    """Values of the suite and of one of its entries, which come last."""
    if common is None or not own.data:
        return common
    kept = {path: line for path, line in common.lines.items() if path[0] not in own.data}
    values = {key: value for key, value in common.data.items() if key not in own.data}
    return MarkedYaml(own.source, {**values, **own.data}, {**kept, **own.lines})
