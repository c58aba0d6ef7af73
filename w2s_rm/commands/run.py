"""run what is missing of a recipe, then write its report"""

from __future__ import annotations

import argparse
from pathlib import Path

from w2s_rm.commands._common import add_recipe, make_plans, print_summary


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add_recipe(parser)


def run(arguments: argparse.Namespace) -> None:
    """Run the stages and print the outcome."""
    from w2s_rm.experiment.run import print_line, run_plan
    from w2s_rm.report import write_report

    suite, plans = make_plans(arguments)
    files: list[Path] = []
    for plan in plans:
        if suite.joint:
            print_line(f"{plan.recipe.name}:")
        files = run_plan(plan, print_line)
    folders = [plan.run_folder for plan in plans]
    if suite.joint:
        files = write_report(folders, arguments.runs.resolve() / suite.name)
    print_summary(folders, files)
