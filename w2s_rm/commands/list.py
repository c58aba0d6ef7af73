"""what there is: tasks, losses and every other kind of component by name; recipes and examples by path"""

from __future__ import annotations

import argparse
import typing
from collections.abc import Mapping

from w2s_rm import bundled, catalog
from w2s_rm.heads import HEADS
from w2s_rm.settings import SETTINGS

_TABLES: Mapping[str, Mapping[str, object]] = {"settings": SETTINGS, "heads": HEADS}


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    # From the type itself, so that a kind of component that is added there can be listed.
    parser.add_argument("kind", choices=[*typing.get_args(catalog.Kind), *_TABLES, *bundled.KINDS])


def run(arguments: argparse.Namespace) -> None:
    """Print one name a line, or one path."""
    kind = arguments.kind
    if kind in bundled.KINDS:
        listed = list(map(str, bundled.files(kind)))
    else:
        listed = sorted(_TABLES[kind]) if kind in _TABLES else catalog.names(kind)
    print("\n".join(listed))
