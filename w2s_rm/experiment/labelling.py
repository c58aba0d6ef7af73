"""The examples of a split, as a recipe or the command line names them, for people to label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from w2s_rm.data.splits import NAMES, SplitSizes, drawn_by
from w2s_rm.errors import ConfigError, nearest
from w2s_rm.experiment.selection import is_recipe, select_task
from w2s_rm.experiment.suite import load_suite
from w2s_rm.types import Example


@dataclass(frozen=True)
class SplitExamples:
    """Examples of one split.

    Args:
        task (`str`): The task's name.
        examples (`tuple[Example, ...]`): In an order that only depends on their ids.
        has_classes (`bool`): Whether their candidates are classes.
    """

    task: str
    examples: tuple[Example, ...]
    has_classes: bool


def find_split(name: str, overrides: Sequence[str], split: str, most: int | None = None) -> SplitExamples:
    """Read a task and take one of its splits.

    Args:
        name (`str`): A task's name, or a recipe's file.
        overrides (`Sequence[str]`): Options and sizes of the task, or `key=value` pairs of the recipe.
        split (`str`): `weak`, `relabel`, `validation` or `test`.
        most (`int`, *optional*): Take the first so many.

    Raises:
        W2SError: No such split, no examples asked for, the recipe or the options are wrong, the data cannot be read or
            split, or the split is empty.
    """
    from w2s_rm.programs.prepare import read_splits

    if split not in NAMES:
        raise ConfigError(f"--split {split}: no such split; {nearest(split, NAMES)}")
    if most is not None and most < 1:
        raise ConfigError(f"--n {most}: label 1 example or more")
    if is_recipe(name):
        suite = load_suite(Path(name), overrides)
        if len(suite.recipes) > 1:
            raise ConfigError(f"{name}: holds {len(suite.recipes)} recipes; name one of them")
        (recipe,) = suite.recipes
        # Of several draws the first is labelled.
        task_name, task = recipe.task_name, recipe.task()
        sizes = SplitSizes(**drawn_by(recipe.sizes, min(recipe.seeds)))
    else:
        task_name, (task, sizes) = name, select_task(name, overrides)
    _, splits = read_splits(task, task_name, sizes)
    examples = splits.parts[split][:most]
    if not examples:
        raise ConfigError(
            f"--split {split}: is empty; take another one, or larger sizes (n_train, n_validation, n_test)"
        )
    return SplitExamples(task_name, examples, task.classes is not None)
