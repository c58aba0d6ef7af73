"""Responses per second of a reward function beside the same model called with one response at a time.

    python -m benchmarks.reward_function [--data pairs.jsonl.gz] [--size 60m] [--responses 8 1]

Both take turns within each round on the same prompts and responses, tokenising included; the first round warms up and
is not counted. What is asked is what policy trainers ask: several responses to each prompt, 64 responses at a time.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from benchmarks._models import save_models
from benchmarks._settings import SIZES
from benchmarks._sources import POOL, long_prompts, texts_of
from w2s_rm.data.reading import read_rows
from w2s_rm.integrations.rewards import reward_function

BAR = 4.0
"""How many times as fast rewards of 8 responses to each prompt have to be, on a CPU."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="any preference file with text and explicit prompts (default: generated pairs)")
    parser.add_argument("--model", help="folder or hub id (default: random weights of --size)")
    parser.add_argument("--size", choices=list(SIZES), default="8m", help="(default: %(default)s)")
    text = "responses to each prompt, one table line each (default: 8 1)"
    parser.add_argument("--responses", type=int, nargs="+", default=[8, 1], help=text)
    parser.add_argument(
        "--batch-size", type=int, default=64, help="responses in a call and a pass (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds (default: %(default)s)")
    parser.add_argument("--cpu-time", action="store_true", help="count CPU seconds: for a machine that others use too")
    return parser.parse_args()


def draw(pool: Sequence[Any], count: int, each: int) -> tuple[list[str], list[str]]:
    """Draw prompts, each several times in a row, and as many responses of the pool's own lengths."""
    generator = random.Random(0)
    answers = [pair[name] for pair in pool for name in ("chosen", "rejected")]
    asked = [pair["prompt"] for pair in generator.sample(list(pool), count // each) for _ in range(each)]
    return asked, generator.sample(answers, len(asked))


def one_at_a_time(path: str, prompts: Sequence[str], responses: Sequence[str]) -> Any:
    """Make a function that calls the model as plain transformers code does."""
    model: Any = AutoModelForSequenceClassification.from_pretrained(path, num_labels=1, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(path)

    def score() -> list[float]:
        scores = []
        for prompt, response in zip(prompts, responses, strict=True):
            inputs = tokenizer(prompt + response + tokenizer.eos_token, return_tensors="pt")
            with torch.no_grad():
                scores.append(float(model(**inputs).logits[0, 0]))
        return scores

    return score


def measure(path: str, pool: Sequence[Any], each: int, arguments: argparse.Namespace) -> None:
    """Time both in turn and print a line of the table."""
    prompts, responses = draw(pool, arguments.batch_size, each)
    slow = one_at_a_time(path, prompts, responses)
    reward = reward_function(path, batch_size=arguments.batch_size, bf16=False)
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    ratios, speeds, difference = [], [], 0.0
    for _ in range(arguments.rounds + 1):
        times, found = [], []
        for score in (slow, lambda: reward(prompts=prompts, completions=responses)):
            start = clock()
            found.append(score())
            times.append(clock() - start)
        ratios.append(times[0] / times[1])
        speeds.append((len(prompts) / times[0], len(prompts) / times[1]))
        difference = max(difference, *(abs(a - b) for a, b in zip(*found, strict=True)))
    slow_speed, fast_speed = (statistics.median(each[column] for each in speeds[1:]) for column in (0, 1))
    ratio, low, high = statistics.median(ratios[1:]), min(ratios[1:]), max(ratios[1:])
    bar = f" (bar: {BAR:g})" if each == 8 else ""
    cells = [
        f"{len(prompts) // each} x {each}",
        f"{slow_speed:.1f}",
        f"{fast_speed:.1f}",
        f"{ratio:.2f} ({low:.2f} to {high:.2f}){bar}",
        f"{difference:.1e}",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    arguments = parse_arguments()
    transformers.utils.logging.disable_progress_bar()
    pool = [row.values for row in read_rows(arguments.data)] if arguments.data else long_prompts(POOL)
    print("| prompts x responses | one at a time, responses/s | reward function | ratio (range) | largest difference |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.model is None:
            save_models(arguments.size, texts_of(pool), Path(folder))
        for each in arguments.responses:
            measure(arguments.model or str(Path(folder) / "reward"), pool, each, arguments)


if __name__ == "__main__":
    main()
