"""say how far labellers agree, in one file of answers or several files of labels"""

from __future__ import annotations

import argparse
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    text = "what `w2s-rm label` wrote, or labels in another form, of a model too"
    parser.add_argument("labels", type=Path, nargs="+", metavar="LABELS", help=text)


def run(arguments: argparse.Namespace) -> None:
    """Print what each labeller did, and agreement with kappa."""
    from w2s_rm.people.agreement import agreement_text, read_labellers

    print(agreement_text(read_labellers(arguments.labels)))
