"""What the commands about recipes share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from w2s_rm.experiment.plan import Plan
    from w2s_rm.experiment.suite import Suite


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Take a recipe, overrides of its values, and the folder of all runs."""
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help="a YAML file: recipes/quickstart.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="replaces a value: seeds=[0]")
    add_runs(parser)


def add_runs(parser: argparse.ArgumentParser) -> None:
    """Take the folder of all runs."""
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where runs are kept (default: runs)")


def make_plans(arguments: argparse.Namespace) -> tuple[Suite, list[Plan]]:
    """Plan all recipes of a file before anything runs: mistakes in the last one show at once."""
    from w2s_rm.experiment.plan import make_plan
    from w2s_rm.experiment.suite import load_suite

    suite = load_suite(arguments.recipe, arguments.overrides)
    return suite, [make_plan(recipe, arguments.runs) for recipe in suite.recipes]


def print_summary(folders: Sequence[Path], files: Sequence[Path]) -> None:
    """Print the outcome of runs and where the files of their report are."""
    from w2s_rm.report import collect, summary_text

    print(summary_text([row for folder in folders for row in collect(folder)]))
    print("\n".join(str(file) for file in files))
