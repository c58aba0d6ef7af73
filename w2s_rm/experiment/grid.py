"""A grid: one recipe file over many models, a recipe for each pair of a weak and a strong one."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations_with_replacement
from typing import Any

from w2s_rm.errors import ConfigError, join_problems, nearest
from w2s_rm.experiment.marked_yaml import KeyPath, MarkedYaml
from w2s_rm.experiment.recipe import _TOP, Checker, Recipe, is_run_name

GRID_KEYS = ("models", "pairs")
"""What a grid has instead of `weak` and `strong`."""
FINDINGS = "findings"
"""What a grid may state about its runs, as any suite may."""
TRIANGULAR = "triangular"
_ROLES = ("weak", "strong")

Pair = tuple[str, str]


def is_grid(data: dict[str, Any]) -> bool:
    """Whether a file's content is a grid and not a single recipe.

    Args:
        data (`dict[str, Any]`): From YAML.
    """
    # A recipe has further models beside its own two.
    return any(key in data for key in GRID_KEYS) and not all(role in data for role in _ROLES)


def grid_recipes(marked: MarkedYaml) -> tuple[Recipe, ...]:
    """Read a grid into its recipes, each as if it stood in a file of its own.

    Args:
        marked ([`MarkedYaml`]): The grid. Its models stand from small to large.

    Returns:
        `tuple[Recipe, ...]`: Named `<grid>_<weak>_<strong>`, in the order of the pairs.

    Raises:
        ConfigError: All mistakes, each with its line and the nearest right name.
    """
    checker = _GridChecker(marked)
    recipes = checker.recipes()
    if checker.problems:
        count = len(checker.problems)
        heading = f"{marked.source}: {count} mistake{'s' if count > 1 else ''}:"
        raise ConfigError(join_problems(heading, list(checker.problems.values()), most=50))
    return recipes


def triangle(models: list[str]) -> list[Pair]:
    """Pair every model with itself and with all larger ones.

    Args:
        models (`list[str]`): From small to large.
    """
    return list(combinations_with_replacement(models, 2))


class _GridChecker:
    """Checks what only a grid has, then each pair as a recipe; a mistake in a model shows once."""

    def __init__(self, marked: MarkedYaml) -> None:
        self.marked = marked
        self.problems: dict[KeyPath, str] = {}

    def problem(self, path: KeyPath, text: str) -> None:
        # A mistake in a model shows in each pair that has it, at the same place of the grid.
        self.problems.setdefault(path, f"{self.marked.place(path)}: {'.'.join(path)}: {text}")

    def recipes(self) -> tuple[Recipe, ...]:
        data = self.marked.data
        # Once each: `models` is a key of recipes, too.
        known = list(dict.fromkeys([*(key for key in _TOP if key not in _ROLES), *GRID_KEYS, FINDINGS]))
        for key in data:
            if key in _ROLES:
                self.problem((key,), "a grid has models and pairs instead")
            elif key not in known:
                self.problem((str(key),), f"unknown key; {nearest(str(key), known)}")
        if not is_run_name(data.get("name")):
            self.problem(("name",), f"{data.get('name')!r} cannot name a run; use letters, digits and _")
        models = self.models(data.get("models"))
        pairs = self.pairs(data.get("pairs", TRIANGULAR), list(models))
        used = {name for pair in pairs for name in pair}
        # A model that an override has left without a pair is checked all the same.
        checked = [*pairs, *((name, name) for name in models if name not in used)]
        recipes = [self.recipe(pair, models) for pair in checked]
        self.names([recipe.name for recipe in recipes[: len(pairs)]])
        return tuple(recipes[: len(pairs)])

    def models(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or not value:
            self.problem(("models",), f"{value!r} is no mapping of names to models, from small to large")
            return {}
        for name in value:
            if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name):
                self.problem(("models", str(name)), f"{name!r} is no name; write text of letters, digits and _")
        return {str(name): spec for name, spec in value.items()}

    def pairs(self, value: Any, models: list[str]) -> list[Pair]:
        if value == TRIANGULAR or not models:
            return triangle(models)
        if not isinstance(value, list) or not value:
            message = f"{value!r} is neither {TRIANGULAR} nor a list of pairs [weak, strong]"
            hint = f"; {nearest(value, [TRIANGULAR])}" if isinstance(value, str) else ""
            self.problem(("pairs",), message + hint)
            return []
        wrong = [text for entry in value for text in _pair_problems(entry, models)]
        wrong += [f"{entry} stands twice" for entry in {str(entry) for entry in value if value.count(entry) > 1}]
        if wrong:
            self.problem(("pairs",), "; ".join(wrong))
            return []
        return [(weak, strong) for weak, strong in value]

    def recipe(self, pair: Pair, models: dict[str, Any]) -> Recipe:
        data = self.marked.data
        name = "_".join((str(data.get("name")), *pair))
        common = {key: value for key, value in data.items() if key in _TOP and key not in (*_ROLES, *GRID_KEYS, "name")}
        # A name that cannot be one was refused where it stands, in the grid or in a model's.
        pair_keys = {"name": name if is_run_name(name) else "grid", "weak": models[pair[0]], "strong": models[pair[1]]}
        content = {**pair_keys, **common}
        # In the order of a recipe's keys, for it is kept in the run's folder as one.
        return _PairChecker(self, pair, {key: content[key] for key in _TOP if key in content}).checked()

    def names(self, names: list[str]) -> None:
        twice = [name for name, count in Counter(names).items() if count > 1]
        # Pairs with a name that was refused are all called `grid`, which is no second mistake.
        if twice and not self.problems:
            self.problem(("models",), f"their names make two runs of one name ({', '.join(twice)}); rename one")


class _PairChecker(Checker):
    """Checks a pair's recipe and says mistakes where they stand in the grid."""

    def __init__(self, grid: _GridChecker, pair: Pair, content: dict[str, Any]) -> None:
        super().__init__(MarkedYaml(grid.marked.source, content, grid.marked.lines))
        self.grid = grid
        self.models = dict(zip(_ROLES, pair, strict=True))

    def problem(self, path: KeyPath, text: str) -> None:
        super().problem(path, text)
        self.grid.problem(("models", self.models[path[0]], *path[1:]) if path[0] in self.models else path, text)


def _pair_problems(entry: Any, models: list[str]) -> list[str]:
    if not isinstance(entry, list) or len(entry) != 2:
        return [f"{entry!r} is no pair [weak, strong]"]
    return [f"no model {name!r}; {nearest(str(name), models)}" for name in entry if name not in models]
