"""one table across runs"""

from __future__ import annotations

import argparse
from pathlib import Path

from w2s_rm.commands._common import print_summary


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("folders", nargs="+", type=Path, metavar="RUN", help="for example runs/quickstart")
    text = "folder for the files (default: the run's, or runs/report for several)"
    parser.add_argument("--output", type=Path, help=text)
    more = "a file with a section of your own; may be given again"
    parser.add_argument("--section", action="append", default=[], metavar="FILE.py", help=more)


def run(arguments: argparse.Namespace) -> None:
    """Write the report and print its outcome."""
    from w2s_rm.report import write_report
    from w2s_rm.report.cards import update_cards

    single = arguments.folders[0] if len(arguments.folders) == 1 else Path("runs/report")
    files = write_report(arguments.folders, arguments.output or single, sections=arguments.section)
    for folder in arguments.folders:
        update_cards(folder.resolve())
    print_summary(arguments.folders, files)
