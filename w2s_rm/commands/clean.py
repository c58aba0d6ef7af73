"""remove stages that no plan uses any longer"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from w2s_rm.runs.unused import Unused


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    text = "the folder of all runs (default: runs)"
    parser.add_argument("runs", nargs="?", type=Path, default=Path("runs"), metavar="RUNS", help=text)
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(arguments: argparse.Namespace) -> None:
    """Show what is unused with its size, ask, and remove it; what a live process holds is kept."""
    from w2s_rm.render.numbers import size
    from w2s_rm.runs.unused import unused_stages

    unused = unused_stages(arguments.runs)
    if not unused:
        print(f"every stage in {arguments.runs / 'stages'} is used by a plan")
        return
    for entry in unused:
        print(f"{size(entry.bytes):>8}  {entry.folder.name}")
    total = f"{_folders(len(unused))}, {size(sum(entry.bytes for entry in unused))}"
    if not arguments.yes and not _agreed(f"remove {total}? [y/N] "):
        print("nothing was removed")
        return
    removed = _remove(arguments.runs, unused)
    print(f"removed {_folders(len(removed))}, {size(sum(entry.bytes for entry in removed))}")


def _remove(runs: Path, unused: list[Unused]) -> list[Unused]:
    """Remove what nobody holds, and say what is kept."""
    from w2s_rm.errors import InUseError
    from w2s_rm.runs.unused import remove

    removed = []
    for entry in unused:
        try:
            remove(runs, entry.folder)
        # The others are removed all the same.
        except InUseError as error:
            print(f"kept: {error}")
        else:
            removed.append(entry)
    return removed


def _folders(count: int) -> str:
    from w2s_rm.render.numbers import counted

    return counted(count, "folder")


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        # Nobody is there to ask.
        print()
        return False
