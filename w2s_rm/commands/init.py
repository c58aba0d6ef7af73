"""write a starter recipe for a dataset and a pair of models"""

from __future__ import annotations

import argparse
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    text = "file, folder or hub id: comparisons, texts with a class, questions with answers, or chess puzzles"
    parser.add_argument("dataset", metavar="DATASET", help=text)
    text = "what is not found by itself, as an option of the task: label_column=urgent, name=boolq"
    parser.add_argument("overrides", nargs="*", metavar="key=value", help=text)
    text = "folder, hub id or package:<module>/<folder> of the supervisor (default: %(default)s)"
    parser.add_argument("--weak", default="Qwen/Qwen2.5-0.5B", metavar="MODEL", help=text)
    text = "likewise of student and ceiling (default: %(default)s)"
    parser.add_argument("--strong", default="Qwen/Qwen2.5-1.5B", metavar="MODEL", help=text)
    text = "where the recipe goes (default: recipe.yaml); never overwritten"
    parser.add_argument("--output", type=Path, default=Path("recipe.yaml"), metavar="FILE", help=text)


def run(arguments: argparse.Namespace) -> None:
    """Write the recipe and say what was found."""
    from w2s_rm.experiment.starter import write_starter

    weak, strong = arguments.weak, arguments.strong
    recognised = write_starter(arguments.dataset, arguments.overrides, weak, strong, arguments.output)
    used = ", ".join(f"{name} {value}" for name, value in recognised.sizes.items())
    print(f"{recognised.form.task}: {recognised.count} examples, of which {used}; {weak} supervises {strong}")
    print(f"{arguments.output}\nnext: w2s-rm check {arguments.output}")
