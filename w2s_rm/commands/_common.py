"""What the commands about recipes share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from w2s_rm import bundled

if TYPE_CHECKING:
    from w2s_rm.experiment.plan import Plan
    from w2s_rm.experiment.suite import Suite


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Take recipes, overrides of their values, and the folder of all runs."""
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help="a YAML file: recipes/quickstart.yaml")
    text = "replaces a value: seeds=[0]; a word without = is one more RECIPE"
    parser.add_argument("overrides", nargs="*", metavar="key=value", help=text)
    add_runs(parser)


def add_runs(parser: argparse.ArgumentParser) -> None:
    """Take the folder of all runs."""
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where runs are kept (default: runs)")


def make_plans(arguments: argparse.Namespace) -> tuple[list[Suite], list[Plan]]:
    """Plan all recipes of all files before anything runs: mistakes in the last one show at once."""
    from w2s_rm.experiment.plan import make_plan
    from w2s_rm.experiment.suite import load_suites

    # `task.path=pairs.yaml` is an override.
    more = [word for word in arguments.overrides if word.endswith((".yaml", ".yml")) and "=" not in word]
    overrides = [word for word in arguments.overrides if word not in more]
    # Overrides hold for all of the files.
    suites = load_suites([find_recipe(path) for path in (arguments.recipe, *map(Path, more))], overrides)
    return suites, [make_plan(recipe, arguments.runs) for suite in suites for recipe in suite.recipes]


def find_recipe(path: Path) -> Path:
    """Return a recipe's path, or that of the recipe of this name that comes along, and say so.

    Args:
        path (`Path`): What the user wrote.
    """
    recipe = bundled.find(path)
    if recipe != path:
        # Not on standard output, which may be the commands of a plan.
        print(f"{path}: not in this folder; taking {recipe}, which comes with w2s-rm", file=sys.stderr)
    return recipe


def joint_folders(suites: Sequence[Suite], runs: Path) -> dict[Path, list[Path]]:
    """Return where reports over several runs go, and the folders of these runs.

    Args:
        suites (`Sequence[Suite]`): What is run.
        runs (`Path`): The folder of all runs.
    """
    root = runs.resolve()
    folders = {suite.name: [root / recipe.name for recipe in suite.recipes] for suite in suites}
    joint = {root / suite.name: folders[suite.name] for suite in suites if suite.joint}
    # Several files in one command are compared as well, besides what each says by itself.
    if len(suites) > 1:
        joint[root / "report"] = [folder for each in folders.values() for folder in each]
    return joint


def print_summary(folders: Sequence[Path], files: Sequence[Path]) -> None:
    """Print the outcome of runs and where the files of their report are."""
    from w2s_rm.report import collect, collect_policies, summary_text

    of_runs = [(folder, collect(folder)) for folder in folders]
    policies = [row for folder, rows in of_runs for row in collect_policies(folder, rows)]
    print(summary_text([row for _, rows in of_runs for row in rows], policies))
    print("\n".join(str(file) for file in files))
