"""The command line: `w2s-rm plan | run | check | report | list`. Quick, because torch waits until a stage needs it."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2s_rm import __version__, catalog
from w2s_rm.errors import EXIT_USER_ERROR, W2SError

if TYPE_CHECKING:
    from w2s_rm.experiment.plan import Plan
    from w2s_rm.experiment.suite import Suite

EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv (`Sequence[str]`, *optional*): Arguments; those of the process by default.

    Returns:
        `int`: 0; 2 after an error of the user's making, told in one message; 130 after Ctrl-C.
    """
    arguments = _parse(argv)
    try:
        arguments.run(arguments)
    except W2SError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("interrupted; finished stages are kept, the same command goes on from here", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe (`| head`) has seen enough; Python's own flush at exit would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse, with overrides allowed after options as well, which argparse alone refuses."""
    parser = build_parser()
    arguments, rest = parser.parse_known_args(argv)
    late = [text for text in rest if "=" in text and not text.startswith("-")]
    if late != rest or (rest and "overrides" not in arguments):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        arguments.overrides += rest
    return arguments


def build_parser() -> argparse.ArgumentParser:
    """Build the parser: the public surface, pinned by a test."""
    parser = argparse.ArgumentParser(prog="w2s-rm", description="Weak-to-strong generalization, reward models first.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("plan", _plan, "show the stages of a recipe, cached or not, with the command of each"),
        ("run", _run, "run what is missing of a recipe, then write its report"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("recipe", type=Path, metavar="RECIPE", help="a YAML file: recipes/quickstart.yaml")
        command.add_argument("overrides", nargs="*", metavar="key=value", help="replaces a value: seeds=[0]")
        command.add_argument("--runs", type=Path, default=Path("runs"), help="where runs are kept (default: runs)")
        if name == "plan":
            text = "write the config of every missing stage, so that its command runs by hand"
            command.add_argument("--write", action="store_true", help=text)
        command.set_defaults(run=run)
    _add_check(commands)
    report = commands.add_parser("report", help="one table across runs")
    report.add_argument("folders", nargs="+", type=Path, metavar="RUN", help="for example runs/quickstart")
    text = "folder for the files (default: the run's, or runs/report for several)"
    report.add_argument("--output", type=Path, help=text)
    report.set_defaults(run=_report)
    listing = commands.add_parser("list", help="what there is: tasks, losses, settings or corpora")
    listing.add_argument("kind", choices=["tasks", "losses", "settings", "corpora"])
    listing.set_defaults(run=_list)
    return parser


def _add_check(commands: Any) -> None:
    text = "look for leaks, shortcuts, unbalanced classes and truncation in a task's data"
    check = commands.add_parser("check", help=text, description=text)
    check.add_argument("subject", metavar="TASK|RECIPE", help="a name from `w2s-rm list tasks`, or a YAML file")
    text = "an option of the task: path=data.jsonl n_train=2000; of a recipe: replaces a value"
    check.add_argument("overrides", nargs="*", metavar="key=value", help=text)
    text = "when to warn, repeatable: length_only, bag_of_words, balance, duplicates or truncation"
    check.add_argument("--threshold", action="append", default=[], metavar="NAME=SHARE", help=text)
    check.add_argument("--json", type=Path, metavar="FILE", help="write everything that was found")
    text = "where runs are kept (default: runs)"
    check.add_argument("--runs", type=Path, default=Path("runs"), help=text)
    check.set_defaults(run=_check)


def _plan(arguments: argparse.Namespace) -> None:
    for plan in _plans(arguments)[1]:
        for number, stage in enumerate(plan.stages, start=1):
            print(f"{number:3d}  {'cached ' if stage.cached else 'missing'}  {stage.title}")
            print(f"     {shlex.join(stage.command())}")
        missing = [stage for stage in plan.stages if not stage.cached]
        if arguments.write:
            for stage in missing:
                stage.write_config()
        print(f"{len(plan.stages)} stages, {len(missing)} to run; report in {plan.run_folder}")


def _run(arguments: argparse.Namespace) -> None:
    from w2s_rm.experiment.run import print_line, run_plan
    from w2s_rm.report import write_report

    suite, plans = _plans(arguments)
    files = []
    for plan in plans:
        if suite.joint:
            print_line(f"{plan.recipe.name}:")
        files = run_plan(plan, print_line)
    folders = [plan.run_folder for plan in plans]
    if suite.joint:
        files = write_report(folders, arguments.runs.resolve() / suite.name)
    _print_summary(folders, files)


def _plans(arguments: argparse.Namespace) -> tuple[Suite, list[Plan]]:
    """Plan all recipes of a file before anything runs: mistakes in the last one show at once."""
    from w2s_rm.experiment.plan import make_plan
    from w2s_rm.experiment.suite import load_suite

    suite = load_suite(arguments.recipe, arguments.overrides)
    return suite, [make_plan(recipe, arguments.runs) for recipe in suite.recipes]


def _check(arguments: argparse.Namespace) -> None:
    from w2s_rm.checks.table import check_text
    from w2s_rm.experiment.artifacts import write_json
    from w2s_rm.experiment.check import check_subject
    from w2s_rm.experiment.selection import parse_thresholds

    thresholds = parse_thresholds(arguments.threshold)
    reports = check_subject(arguments.subject, arguments.overrides, thresholds, arguments.runs)
    if arguments.json is not None:
        write_json(arguments.json, [report.record() for report in reports])
    print("\n\n".join(map(check_text, reports)))


def _report(arguments: argparse.Namespace) -> None:
    from w2s_rm.report import write_report

    single = arguments.folders[0] if len(arguments.folders) == 1 else Path("runs/report")
    files = write_report(arguments.folders, arguments.output or single)
    _print_summary(arguments.folders, files)


def _print_summary(folders: Sequence[Path], files: Sequence[Path]) -> None:
    from w2s_rm.report import collect, summary_text

    print(summary_text([row for folder in folders for row in collect(folder)]))
    print("\n".join(str(file) for file in files))


def _list(arguments: argparse.Namespace) -> None:
    for name in catalog.names(arguments.kind):
        print(name)


if __name__ == "__main__":
    sys.exit(main())
