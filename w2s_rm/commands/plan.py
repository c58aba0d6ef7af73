"""show the stages of recipes, cached or not, with the command of each"""

from __future__ import annotations

import argparse
import shlex

from w2s_rm.commands._common import add_recipe, joint_folders, make_plans


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add_recipe(parser)
    text = "write the config of every missing stage, so that its command runs by hand"
    parser.add_argument("--write", action="store_true", help=text)
    text = "print the commands of the missing stages and nothing else: one a line, each once, in order"
    parser.add_argument("--commands", action="store_true", help=text)
    text = "assumed for PGR's interval: points between weak model and ceiling (default: 10)"
    parser.add_argument("--gap", type=_points, default=10.0, metavar="POINTS", help=text)
    text = "assumed too: standard deviation over seeds of a model's true accuracy, points (default: 1)"
    parser.add_argument("--spread", type=_points, default=1.0, metavar="POINTS", help=text)


def run(arguments: argparse.Namespace) -> None:
    """Print every stage once, however many recipes share it, and how many there are of each kind."""
    from w2s_rm.experiment.jobs import count_kinds, unite
    from w2s_rm.experiment.power import power_lines
    from w2s_rm.experiment.suite_findings import finding_lines
    from w2s_rm.experiment.tuning import tuning_lines

    suites, plans = make_plans(arguments)
    jobs = unite(plans)
    missing = [job.stage for job in jobs if not job.stage.cached]
    if arguments.write:
        for stage in missing:
            stage.write_config()
    if arguments.commands:
        # Nothing at all where nothing is missing, not even an empty line.
        print("".join(f"{shlex.join(stage.command())}\n" for stage in missing), end="")
        return
    for number, job in enumerate(jobs, start=1):
        print(f"{number:3d}  {'cached ' if job.stage.cached else 'missing'}  {job.title}")
        print(f"     {shlex.join(job.stage.command())}")
    print(count_kinds([job.stage for job in jobs]))
    for line in (line for plan in plans for line in tuning_lines(plan)):
        print(line)
    for line in power_lines(plans, gap=arguments.gap / 100, spread=arguments.spread / 100):
        print(line)
    for suite in suites:
        for line in [] if suite.asked is None else finding_lines(suite.asked, suite.recipes):
            print(f"  ! {line}")
    reports = [*joint_folders(suites, arguments.runs)] or [plan.run_folder for plan in plans]
    print(f"{len(jobs)} stages, {len(missing)} to run; report in {', '.join(map(str, reports))}")


def _points(text: str) -> float:
    """A number of points between 0 and 50: further apart two accuracies around 75 % cannot be."""
    try:
        value = float(text)
    except ValueError:
        # Out of range, so that one message says what is allowed.
        value = -1.0
    if not 0 <= value <= 50:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of points from 0 to 50")
    return value
