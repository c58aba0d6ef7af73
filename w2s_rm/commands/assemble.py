"""make a model folder of a linear model that was trained on features"""

from __future__ import annotations

import argparse
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("probe", type=Path, metavar="PROBE", help="folder of its stage: runs/stages/probe-…")


def run(arguments: argparse.Namespace) -> None:
    """Make the folder, if it is not there, and print where it is."""
    from w2s_rm.experiment.assemble_probe import assemble_probe

    print(assemble_probe(arguments.probe))
