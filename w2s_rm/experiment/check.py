"""Check the data of a task, or of the recipes in a file, before anything is trained. Writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from w2s_rm.checks.examples import check_examples
from w2s_rm.checks.report import CheckReport
from w2s_rm.checks.result import Thresholds
from w2s_rm.data.splits import SplitSizes, drawn_by
from w2s_rm.experiment.plan import Plan, make_plan
from w2s_rm.experiment.recipe import Recipe
from w2s_rm.experiment.selection import is_recipe, select_task
from w2s_rm.experiment.suite import load_suite
from w2s_rm.experiment.truncation import truncations
from w2s_rm.types import Task


def check_subject(name: str, overrides: Sequence[str], thresholds: Thresholds, runs: Path) -> list[CheckReport]:
    """Check a registered task, or the task and the models of each recipe in a file.

    Args:
        name (`str`): A task's name, or a recipe's file.
        overrides (`Sequence[str]`): Options of the task, or `key=value` pairs of the recipe.
        thresholds ([`Thresholds`]): What is too much.
        runs (`Path`): Where runs are kept, for models that are pretrained there.

    Raises:
        W2SError: The recipe or the options are wrong, or the data cannot be read or split.
    """
    if not is_recipe(name):
        task, sizes = select_task(name, overrides)
        return [_check(name, name, task, sizes, thresholds, None)]
    suite = load_suite(Path(name), overrides)
    # All of them before any data are read: what cannot be planned shows at once.
    plans = [make_plan(recipe, runs) for recipe in suite.recipes]
    return [_check_recipe(plan.recipe, plan, thresholds) for plan in plans]


def _check_recipe(recipe: Recipe, plan: Plan, thresholds: Thresholds) -> CheckReport:
    # Of several draws the first stands for all.
    sizes = SplitSizes(**drawn_by(recipe.sizes, min(recipe.seeds)))
    return _check(recipe.name, recipe.task_name, recipe.task(), sizes, thresholds, plan)


def _check(
    subject: str, task_name: str, task: Task, sizes: SplitSizes, thresholds: Thresholds, plan: Plan | None
) -> CheckReport:
    from w2s_rm.programs.prepare import read_splits

    read, splits = read_splits(task, task_name, sizes)
    examples = read.examples
    groups = Counter(example.group for example in examples)
    used = [example for part in splits.parts.values() for example in part]
    return CheckReport(
        subject,
        task_name,
        len(examples),
        len(groups),
        max(groups.values()),
        splits.duplicates,
        splits.contradictions,
        check_examples(splits.parts, task.classes, thresholds=thresholds),
        truncations(plan, used) if plan is not None else (),
        thresholds.truncation,
    )
