"""what there is: tasks, losses, label transforms, settings, corpora, policies, supervisors or stages"""

from __future__ import annotations

import argparse
import typing

from w2s_rm import catalog


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("kind", choices=typing.get_args(catalog.Kind))


def run(arguments: argparse.Namespace) -> None:
    """Print one name a line."""
    print("\n".join(catalog.names(arguments.kind)))
