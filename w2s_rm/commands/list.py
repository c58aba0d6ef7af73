"""what there is: tasks, losses, label transforms, settings, corpora or policies"""

from __future__ import annotations

import argparse

from w2s_rm import catalog


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("kind", choices=["tasks", "losses", "labels", "settings", "corpora", "policies"])


def run(arguments: argparse.Namespace) -> None:
    """Print one name a line."""
    print("\n".join(catalog.names(arguments.kind)))
