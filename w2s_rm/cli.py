"""The command line: `w2s-rm COMMAND`, a file in `commands/` each. Quick: torch waits until a command needs it."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from w2s_rm import __version__
from w2s_rm.errors import EXIT_USER_ERROR, W2SError, system_problem, unwritten

COMMANDS = (
    "init",
    "plan",
    "run",
    "view",
    "check",
    "label",
    "agreement",
    "report",
    "clean",
    "evaluate",
    "assemble",
    "export",
    "score",
    "list",
)
"""In the order in which help shows them."""
# 128 + SIGINT, as shells report a program that Ctrl-C has ended.
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv (`Sequence[str]`, *optional*): Arguments; those of the process by default.

    Returns:
        `int`: 0; 2 after an error of the user's making, told in one message; 130 after Ctrl-C.
    """
    arguments = _parse(argv)
    try:
        arguments.run(arguments)
    except W2SError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt as interrupt:
        # A command that was running stages says what is kept of them.
        print("; ".join(filter(None, ("interrupted", str(interrupt)))), file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe (`| head`) has seen enough; Python's own flush at exit would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print(f"error: {system_problem(error)}", file=sys.stderr)
        return EXIT_USER_ERROR
    except Exception as error:
        # A full disk: safetensors and torch raise errors of their own. Any other error is a bug, and shows where it is.
        problem = unwritten(error)
        if problem is None:
            raise
        print(f"error: {problem}", file=sys.stderr)
        return EXIT_USER_ERROR
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse, with overrides allowed after options as well, which argparse alone refuses."""
    parser = build_parser()
    arguments, rest = parser.parse_known_args(argv)
    # In `run recipe.yaml --only train a=2` argparse has given `overrides` its share, none, before the option, and
    # leaves `a=2` over.
    late = [text for text in rest if "=" in text and not text.startswith("-")]
    if late != rest or (rest and "overrides" not in arguments):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        arguments.overrides += rest
    return arguments


def build_parser() -> argparse.ArgumentParser:
    """Build the parser: the public surface, pinned by a test."""
    parser = argparse.ArgumentParser(prog="w2s-rm", description="Weak-to-strong generalization, reward models first.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        # All of them, whichever is meant, for help shows every docstring. So none may import torch at its top.
        module = importlib.import_module(f"w2s_rm.commands.{name}")
        command = commands.add_parser(name, help=module.__doc__, description=module.__doc__)
        module.add(command)
        command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
