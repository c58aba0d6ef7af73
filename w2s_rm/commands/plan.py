"""show the stages of a recipe, cached or not, with the command of each"""

from __future__ import annotations

import argparse
import shlex

from w2s_rm.commands._common import add_recipe, make_plans


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add_recipe(parser)
    text = "write the config of every missing stage, so that its command runs by hand"
    parser.add_argument("--write", action="store_true", help=text)


def run(arguments: argparse.Namespace) -> None:
    """Print the stages."""
    for plan in make_plans(arguments)[1]:
        for number, stage in enumerate(plan.stages, start=1):
            print(f"{number:3d}  {'cached ' if stage.cached else 'missing'}  {stage.title}")
            print(f"     {shlex.join(stage.command())}")
        missing = [stage for stage in plan.stages if not stage.cached]
        if arguments.write:
            for stage in missing:
                stage.write_config()
        print(f"{len(plan.stages)} stages, {len(missing)} to run; report in {plan.run_folder}")
