"""look for leaks, shortcuts, unbalanced classes and truncation in a task's data"""

from __future__ import annotations

import argparse
from pathlib import Path

from w2s_rm.commands._common import add_runs, find_recipe


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("subject", metavar="TASK|RECIPE", help="a name from `w2s-rm list tasks`, or a YAML file")
    text = "an option of the task: path=data.jsonl n_train=2000; of a recipe: replaces a value"
    parser.add_argument("overrides", nargs="*", metavar="key=value", help=text)
    text = "when to warn, repeatable: length_only, bag_of_words, balance, duplicates, wins or truncation"
    parser.add_argument("--threshold", action="append", default=[], metavar="NAME=SHARE", help=text)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was found")
    add_runs(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print what was found."""
    from w2s_rm.checks.table import check_text
    from w2s_rm.experiment.check import check_subject
    from w2s_rm.experiment.selection import parse_thresholds
    from w2s_rm.files import write_json

    thresholds = parse_thresholds(arguments.threshold)
    # The name of a task is not the path of any recipe, and comes back as it is.
    reports = check_subject(str(find_recipe(Path(arguments.subject))), arguments.overrides, thresholds, arguments.runs)
    if arguments.json is not None:
        write_json(arguments.json, [report.record() for report in reports])
    print("\n\n".join(map(check_text, reports)))
