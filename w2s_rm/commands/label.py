"""label a task's examples yourself, in a page on this machine; the labels supervise a student"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from w2s_rm import catalog
from w2s_rm.commands._common import find_recipe
from w2s_rm.people.address import LAST_PORT

# It becomes part of a file's name (`people/address.py`): no separators, and no dot at its beginning.
_NAME = re.compile(r"[\w-][\w.-]{0,39}")


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("subject", metavar="TASK|RECIPE", help="a name from `w2s-rm list tasks`, or a YAML file")
    text = "an option of the task: path=data.jsonl n_train=200; of a recipe: replaces a value"
    parser.add_argument("overrides", nargs="*", metavar="key=value", help=text)
    text = "JSONL, an answer a line; answers that it holds are kept"
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help=text)
    text = "who answers; several can, in one file (default: me)"
    parser.add_argument("--labeller", type=_name, default="me", metavar="NAME", help=text)
    parser.add_argument("--split", default="relabel", help="weak, relabel, validation or test (default: relabel)")
    parser.add_argument("--n", type=int, metavar="N", help="only the first N examples (default: all of the split)")
    text = "what is asked (default: as the task's setting asks, such as 'Which one is better?')"
    parser.add_argument("--question", metavar="TEXT", help=text)
    parser.add_argument("--no-ties", action="store_true", help="a candidate must be chosen")
    text = "where the page is (default: that of the last time, or any that is free)"
    parser.add_argument("--port", type=_port, metavar="PORT", help=text)


def run(arguments: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C, then say what was done."""
    from w2s_rm.experiment.labelling import find_split
    from w2s_rm.people.serve import serve
    from w2s_rm.people.sitting import check_output
    from w2s_rm.settings import find_setting

    # Before a task is read, which may take its time.
    check_output(arguments.output)
    split = find_split(str(find_recipe(Path(arguments.subject))), arguments.overrides, arguments.split, arguments.n)
    serve(
        split.examples,
        arguments.output,
        arguments.labeller,
        title=f"{split.task}, {arguments.split}",
        question=arguments.question or find_setting(catalog.lookup("tasks", split.task).setting).question,
        has_classes=split.has_classes,
        ties=not arguments.no_ties,
        port=arguments.port,
    )


def _port(text: str) -> int:
    if not text.isdecimal() or len(text) > 5 or int(text) > LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: use 0 to {LAST_PORT}")
    return int(text)


def _name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no name: use up to 40 letters, digits, _, - and .")
    return text
