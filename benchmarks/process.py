"""Solutions per second with one pass for a whole solution, beside padded rows, a row a step: same model, same steps.

    python -m benchmarks.process [--steps 10] [--words 24] [--solutions 32] [--rounds 5]

Each round trains an epoch in both layouts and scores all steps in both; the first round warms up and is not counted.
Only the loops count: loading and setting up do not. Scores of both layouts are compared on the same weights.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import datasets
import torch
import transformers
from transformers import LlamaConfig, LlamaForTokenClassification, PreTrainedTokenizerBase, PrinterCallback

from benchmarks._measure import Stopwatch
from benchmarks._models import byte_tokenizer
from w2s_rm import W2SRewardConfig, W2STrainer

LAYOUTS = ("padded", "shared_prefix")
_WORDS = 1000
Seconds = dict[str, dict[str, float]]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10, help="steps of a solution (default: %(default)s)")
    parser.add_argument("--words", type=int, default=24, help="median tokens of a step (default: %(default)s)")
    parser.add_argument("--problem", type=int, default=64, help="median tokens of a problem (default: %(default)s)")
    parser.add_argument("--solutions", type=int, default=32, help="solutions in a round (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=8, help="solutions in a step of training (default: 8)")
    parser.add_argument("--hidden-size", type=int, default=128, help="width of the random model (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds (default: %(default)s)")
    parser.add_argument("--cpu-time", action="store_true", help="count CPU seconds: for a machine that others use too")
    return parser.parse_args()


def make_rows(arguments: argparse.Namespace) -> datasets.Dataset:
    """Solutions of unlike lengths, as spread as problems of Anthropic HH (standard deviation of the log 0.47)."""
    generator = random.Random(0)

    def ids(median: int) -> list[int]:
        return generator.choices(range(3, _WORDS), k=max(1, round(generator.lognormvariate(0.0, 0.47) * median)))

    rows = []
    for number in range(arguments.solutions):
        prompt = ids(arguments.problem)
        for step in range(arguments.steps):
            prompt = prompt + ids(arguments.words)
            target = generator.random()
            row = {"prompt_ids": prompt, "candidate_ids": [[], []], "targets": [1 - target, target]}
            rows.append({"id": f"{number}-{step}", **row})
    return datasets.Dataset.from_list(rows)


def make_trainer(
    layout: str, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase, arguments: argparse.Namespace, folder: str
) -> Any:
    """A trainer of a random Llama, the same each time."""
    config = LlamaConfig(
        vocab_size=_WORDS,
        hidden_size=arguments.hidden_size,
        intermediate_size=arguments.hidden_size * 11 // 4,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=8192,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=None,
    )
    config.num_labels = 2
    torch.manual_seed(0)
    args = W2SRewardConfig(
        folder,
        layout=layout,
        per_device_train_batch_size=arguments.batch_size * arguments.steps,
        per_device_eval_batch_size=arguments.batch_size,
        num_train_epochs=1,
        max_length=None,
        report_to="none",
        save_strategy="no",
        gradient_checkpointing=False,
        bf16=torch.cuda.is_available(),
        disable_tqdm=True,
    )
    trainer = W2STrainer(LlamaForTokenClassification(config), args, rows, tokenizer, head="steps")
    trainer.remove_callback(PrinterCallback)
    return trainer


def measure(
    clock: Callable[[], float], rows: datasets.Dataset, arguments: argparse.Namespace, folder: str
) -> tuple[Seconds, float]:
    """Seconds of scoring and training by layout, and the largest difference of scores."""
    tokenizer, seconds = byte_tokenizer(), dict[str, dict[str, float]]()
    scores = {}
    for layout in LAYOUTS:
        trainer, stopwatch = make_trainer(layout, rows, tokenizer, arguments, folder), Stopwatch(clock)
        start = clock()
        scored = [row.scores for part in trainer.score_rows(rows) for row in part]
        scoring = clock() - start
        scores[layout] = torch.tensor(scored)
        trainer.add_callback(stopwatch)
        trainer.train()
        seconds[layout] = {"scoring": scoring, "training": stopwatch.seconds}
    return seconds, float((scores["padded"] - scores["shared_prefix"]).abs().max())


def main() -> None:
    arguments = parse_arguments()
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    rows = make_rows(arguments)
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    ratios: dict[str, list[float]] = {"scoring": [], "training": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.rounds + 1):
            seconds, difference = measure(clock, rows, arguments, folder)
            for what, found in ratios.items():
                padded, shared = (seconds[layout][what] for layout in LAYOUTS)
                counted = "warm-up" if number == 0 else f"round {number}"
                print(f"{counted}, {what}: padded {padded:.2f} s, shared {shared:.2f} s, ratio {padded / shared:.2f}")
                found.append(padded / shared)
            print(f"largest difference of scores {difference:.1e}", flush=True)
    for what, found in ratios.items():
        counted_ratios = found[1:]
        print(
            f"{what}: {statistics.median(counted_ratios):.2f} times as fast (min {min(counted_ratios):.2f}, max "
            f"{max(counted_ratios):.2f})"
        )


if __name__ == "__main__":
    main()
