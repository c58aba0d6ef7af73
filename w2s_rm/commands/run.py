"""run what is missing of recipes, then write their reports"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from w2s_rm.commands._common import add_recipe, joint_folders, make_plans, print_summary

if TYPE_CHECKING:
    from w2s_rm.experiment.jobs import Job
    from w2s_rm.experiment.plan import Plan
    from w2s_rm.experiment.run import Say


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add_recipe(parser)
    text = "sequential: one stage after the other; ray: all that are ready at once (default: sequential)"
    parser.add_argument("--executor", choices=("sequential", "ray"), default="sequential", help=text)
    text = "run this stage and what it needs: its number, title or folder, as `w2s-rm plan` shows them"
    parser.add_argument("--only", metavar="STAGE", help=text)
    parser.add_argument("--dry-run", action="store_true", help="show what would run, and run nothing")


def run(arguments: argparse.Namespace) -> None:
    """Run the stages and print the outcome."""
    from w2s_rm.experiment.interrupted import interruption
    from w2s_rm.experiment.jobs import unite
    from w2s_rm.experiment.live import watching
    from w2s_rm.experiment.only import chosen
    from w2s_rm.report import write_report
    from w2s_rm.report.findings import write_asked

    suites, plans = make_plans(arguments)
    jobs = unite(plans)
    only = None if arguments.only is None else chosen(jobs, arguments.only)
    wanted = [job for job in jobs if only is None or job.stage.folder in only]
    if arguments.dry_run:
        print("\n".join(_would_run(jobs, wanted)))
        return
    try:
        with watching(wanted) as say:
            files = _run(plans, say, only, on_ray=arguments.executor == "ray")
    except KeyboardInterrupt:
        # `cli.main` prints what it says, and ends with the code of an interruption.
        raise KeyboardInterrupt(interruption(wanted)) from None
    # After `--only` there may be nothing yet to report on.
    if not all(job.stage.cached for job in jobs):
        return
    asked = {arguments.runs.resolve() / suite.name: suite.asked for suite in suites}
    for folder, runs in joint_folders(suites, arguments.runs).items():
        questions = asked.get(folder)
        if questions is not None:
            write_asked(folder, questions)
        files = write_report(runs, folder, asked=questions)
    print_summary([plan.run_folder for plan in plans], files)


def _run(plans: Sequence[Plan], say: Say, only: frozenset[Path] | None, *, on_ray: bool) -> list[Path]:
    if on_ray:
        from w2s_rm.experiment.ray_executor import run_on_ray

        return run_on_ray(plans, say, only)
    from w2s_rm.experiment.run import run_plan

    files: list[Path] = []
    for plan in plans:
        if len(plans) > 1:
            say(f"{plan.recipe.name}:")
        # Those of the last plan; of several there is a report over all, whose files are told in their place.
        files = run_plan(plan, say, only)
    return files


def _would_run(jobs: Sequence[Job], wanted: Sequence[Job]) -> list[str]:
    """A line for each stage that is missing, and what there is in all."""
    from w2s_rm.experiment.live import expected_text
    from w2s_rm.render.numbers import counted
    from w2s_rm.runs.standing import stand

    now = time.time()
    standings = {job.stage.folder: stand(job.stage.folder, now) for job in wanted}
    width = len(str(len(jobs)))
    # Numbered among all, as `w2s-rm plan` shows them, for `--only` takes these numbers.
    numbers = {job.stage.folder: number for number, job in enumerate(jobs, start=1)}
    missing = [job for job in wanted if not job.stage.cached]
    lines = [f"{numbers[job.stage.folder]:{width}d}  would run  {job.title}" for job in missing]
    rest = expected_text(wanted, standings, now)
    return [
        *lines,
        f"{counted(len(wanted), 'stage')}: {len(wanted) - len(missing)} cached, {len(missing)} to run{rest}",
    ]
