"""one table across runs"""

from __future__ import annotations

import argparse
from pathlib import Path

from w2s_rm.commands._common import print_summary


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    runs = "for example runs/quickstart; of a suite that states findings, the folder of its report"
    parser.add_argument("folders", nargs="+", type=Path, metavar="RUN", help=runs)
    text = "folder for the files (default: the run's, or runs/report for several)"
    parser.add_argument("--output", type=Path, help=text)
    more = "a file with a section of your own; may be given again"
    parser.add_argument("--section", action="append", default=[], metavar="FILE.py", help=more)


def run(arguments: argparse.Namespace) -> None:
    """Write the report and print its outcome."""
    from w2s_rm.report import write_report
    from w2s_rm.report.cards import update_cards
    from w2s_rm.report.findings import read_asked

    single = arguments.folders[0] if len(arguments.folders) == 1 else Path("runs/report")
    # The folder of a suite's report is no run: it has questions and no plan.
    asked = read_asked(single)
    # A suite's questions name its runs, which lie beside the folder of its report.
    folders = arguments.folders if asked is None else [single.parent / name for name in asked.runs.values()]
    files = write_report(folders, arguments.output or single, sections=arguments.section, asked=asked)
    for folder in folders:
        # Stages are looked for beside a run, and the parent of `.` is `.` again.
        update_cards(folder.resolve())
    print_summary(folders, files)
