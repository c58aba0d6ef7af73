"""score a saved reward model on comparisons: RewardBench, or any task that has them"""

from __future__ import annotations

import argparse
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "model", metavar="MODEL", help="folder or hub id of a reward model: runs/stages/student-…/model"
    )
    text = "an option of the task: path=pairs.jsonl"
    parser.add_argument("overrides", nargs="*", metavar="key=value", help=text)
    parser.add_argument(
        "--task", default="reward_bench", help="a name from `w2s-rm list tasks` (default: reward_bench)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write all figures as JSON")
    parser.add_argument("--batch-size", type=_positive, metavar="N", help="comparisons in a batch (default: 8)")
    text = "most tokens of prompt and response (default: as in training, 2048 for other models)"
    parser.add_argument("--max-length", type=_positive, metavar="N", help=text)


def run(arguments: argparse.Namespace) -> None:
    """Score the model and print its accuracy."""
    from w2s_rm.experiment.evaluate_model import evaluate_model
    from w2s_rm.files import write_json
    from w2s_rm.report.evaluation_text import evaluation_text

    judged = evaluate_model(
        arguments.model,
        arguments.task,
        arguments.overrides,
        batch_size=arguments.batch_size,
        max_length=arguments.max_length,
    )
    if arguments.output is not None:
        write_json(arguments.output, judged.record())
    print(f"{judged.model} on {judged.task}")
    print(evaluation_text(judged.evaluation))
    if judged.without_truth:
        print(f"! {judged.without_truth} comparisons without a better response are left out")
    cut = {part: judged.counts[f"cut_{part}"] for part in ("prompts", "candidates")}
    if any(cut.values()):
        print(f"! cut to max_length: prompts of {cut['prompts']} comparisons, responses of {cut['candidates']}")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        # Of a `ValueError` argparse would say `invalid _positive value` and nothing else.
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 up")
    return int(text)
