"""show how all runs stand, in a browser"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    text = "the folder of all runs (default: runs)"
    parser.add_argument("runs", nargs="?", type=Path, default=Path("runs"), metavar="RUNS", help=text)
    text = "of the page on this machine; 0 takes one that is free (default: 8321)"
    parser.add_argument("--port", type=_port, default=8321, help=text)


def run(arguments: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C."""
    from w2s_rm.view.server import serve

    # At once, for whoever starts the command from a program waits for the address.
    serve(arguments.runs, arguments.port, functools.partial(print, flush=True))


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 0 to 65535")
    return int(text)
