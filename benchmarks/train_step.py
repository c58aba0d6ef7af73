"""Pairs per second of `W2SRewardTrainer` beside `trl.RewardTrainer`: same model, same padded rows and steps, in turn.

    python -m benchmarks.train_step [--data pairs.jsonl.gz] [--model FOLDER] [--rounds 7]

Each round trains with TRL and then with ours from the same start; the first round warms up and is not counted. Only
the time between the first and the last step counts: loading, tokenising and setting up do not.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    LlamaConfig,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
    PrinterCallback,
)
from trl import RewardConfig, RewardTrainer

from benchmarks._data import Rows, make_rows
from benchmarks._measure import Stopwatch
from w2s_rm import W2SRewardConfig, W2SRewardTrainer
from w2s_rm.data.reading import read_rows


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="any TRL preference file: JSONL, CSV, Parquet (default: generated pairs)")
    parser.add_argument("--model", help="folder or hub id (default: a random Llama of about 1M parameters)")
    parser.add_argument("--pairs", type=int, default=256, help="pairs in a round (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=16, help="pairs in a step (default: %(default)s)")
    parser.add_argument("--accumulation", type=int, default=1, help="passes in a step (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds (default: %(default)s)")
    parser.add_argument("--max-length", type=int, default=256, help="most tokens in a row (default: %(default)s)")
    parser.add_argument("--cpu-time", action="store_true", help="count CPU seconds: for a machine that others use too")
    return parser.parse_args()


def make_model(folder: Path) -> str:
    """Save a random Llama that reads bytes, so that any text has tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({letter: index for index, letter in enumerate(["<eos>", *letters])}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>", pad_token="<eos>")
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=5,
        num_attention_heads=4,
        max_position_embeddings=4096,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    config.num_labels = 1
    torch.manual_seed(0)
    LlamaForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def generated_pairs(count: int) -> list[Any]:
    """Make pairs of unlike lengths, about 20 to 110 bytes a row."""
    generator = random.Random(0)

    def text(least: int, most: int) -> str:
        return "".join(generator.choices("abcdefgh ", k=generator.randint(least, most)))

    return [{"prompt": text(10, 60), "chosen": text(10, 50), "rejected": text(10, 50)} for _ in range(count)]


def train(stopwatch: Stopwatch, trainer_class: Any, config: Any, rows: datasets.Dataset, path: str) -> float:
    """Train one epoch and return the seconds it took."""
    trainer = trainer_class(
        model=AutoModelForSequenceClassification.from_pretrained(path, num_labels=1, dtype=torch.float32),
        args=config,
        train_dataset=rows,
        processing_class=AutoTokenizer.from_pretrained(path),
        callbacks=[stopwatch],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return stopwatch.seconds


def measure(rows: Rows, path: str, arguments: argparse.Namespace, folder: str) -> list[tuple[float, float]]:
    """Return seconds of TRL's trainer and of ours for each counted round."""
    options: dict[str, Any] = {
        "output_dir": folder,
        "per_device_train_batch_size": arguments.batch_size // arguments.accumulation,
        "gradient_accumulation_steps": arguments.accumulation,
        "num_train_epochs": 1,
        "max_length": arguments.max_length,
        "report_to": "none",
        "save_strategy": "no",
        "gradient_checkpointing": False,
        "bf16": torch.cuda.is_available(),
        "disable_tqdm": True,
        "logging_steps": 50,
    }
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    rounds = []
    for number in range(arguments.rounds + 1):
        theirs = train(Stopwatch(clock), RewardTrainer, RewardConfig(**options), rows.theirs, path)
        ours = train(Stopwatch(clock), W2SRewardTrainer, W2SRewardConfig(**options, layout="padded"), rows.ours, path)
        counted = "warm-up" if number == 0 else f"round {number}"
        print(f"{counted}: trl {theirs:.2f} s, w2s_rm {ours:.2f} s, ratio {theirs / ours:.3f}", flush=True)
        rounds.append((theirs, ours))
    return rounds[1:]


def main() -> None:
    arguments = parse_arguments()
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.model or make_model(Path(folder) / "model")
        source = generated_pairs(arguments.pairs)
        if arguments.data:
            source = [row.values for row in itertools.islice(read_rows(arguments.data), arguments.pairs)]
        rows = make_rows(source, AutoTokenizer.from_pretrained(path), arguments.max_length)
        rounds = measure(rows, path, arguments, folder)
    for name, column in (("trl.RewardTrainer", 0), ("W2SRewardTrainer", 1)):
        speeds = [len(rows.ours) / each[column] for each in rounds]
        print(f"{name:>18}: {statistics.median(speeds):8.1f} pairs/s (min {min(speeds):.1f}, max {max(speeds):.1f})")
    ratios = [theirs / ours for theirs, ours in rounds]
    print(f"{'ratio':>18}: {statistics.median(ratios):8.3f} (min {min(ratios):.3f}, max {max(ratios):.3f})")


if __name__ == "__main__":
    main()
