"""run what is missing of recipes, then write their reports"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from w2s_rm.commands._common import add_recipe, joint_folders, make_plans, print_summary

if TYPE_CHECKING:
    from w2s_rm.experiment.plan import Plan


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add_recipe(parser)
    text = "sequential: one stage after the other; ray: all that are ready at once (default: sequential)"
    parser.add_argument("--executor", choices=("sequential", "ray"), default="sequential", help=text)


def run(arguments: argparse.Namespace) -> None:
    """Run the stages and print the outcome."""
    from w2s_rm.experiment.run import print_line
    from w2s_rm.report import write_report
    from w2s_rm.report.findings import write_asked

    suites, plans = make_plans(arguments)
    if arguments.executor == "ray":
        from w2s_rm.experiment.ray_executor import run_on_ray

        files = run_on_ray(plans, print_line)
    else:
        files = _run_in_turn(plans)
    asked = {arguments.runs.resolve() / suite.name: suite.asked for suite in suites}
    for folder, runs in joint_folders(suites, arguments.runs).items():
        questions = asked.get(folder)
        if questions is not None:
            write_asked(folder, questions)
        files = write_report(runs, folder, asked=questions)
    print_summary([plan.run_folder for plan in plans], files)


def _run_in_turn(plans: Sequence[Plan]) -> list[Path]:
    from w2s_rm.experiment.run import print_line, run_plan

    files: list[Path] = []
    for plan in plans:
        if len(plans) > 1:
            print_line(f"{plan.recipe.name}:")
        files = run_plan(plan, print_line)
    return files
