"""Features per second beside the bare forward pass: the same model on the same rows, in turn.

    python -m benchmarks.features [--data pairs.jsonl.gz] [--model FOLDER] [--layers 2 4] [--rounds 5] [--cpu-time]

Each round reads the features of all pairs as the stage `features` does, collating, pooling and writing shards included,
and then feeds the model the same rows, laid out and on the device before the clock starts, and throws away what it
makes. The first round warms up and is not counted. Loading and tokenising are counted for neither.

The last lines say whether memory grows with the number of examples: the most that a process held while it read, for
each number a new one.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers
from torch import Tensor
from trl import ModelConfig

from benchmarks._measure import held_bytes, peak_bytes
from benchmarks.train_step import generated_pairs, make_model
from w2s_rm import W2SRewardConfig
from w2s_rm.data.reading import read_rows
from w2s_rm.features.options import column
from w2s_rm.heads import HEADS
from w2s_rm.heads.attention import tree_mask
from w2s_rm.programs.features import Reading, make_reading, make_shards, plan_shards
from w2s_rm.programs.scoring import encode, to_rows
from w2s_rm.training.layouts import choose_layout
from w2s_rm.training.modeling import load_model, stage_tokenizer
from w2s_rm.training.token_budget import split
from w2s_rm.types import Example


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="JSONL, CSV or Parquet with prompt, chosen, rejected (default: generated pairs)")
    parser.add_argument("--model", help="folder or hub id (default: a random Llama of about 1M parameters)")
    parser.add_argument("--layers", type=int, nargs="+", default=[2, 4], help="what is read (default: %(default)s)")
    parser.add_argument("--pooling", default="mean", help="last, mean or mean_candidate (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=512, help="pairs in a round (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=32, help="pairs in a pass (default: %(default)s)")
    parser.add_argument("--max-length", type=int, default=256, help="most tokens in a row (default: %(default)s)")
    parser.add_argument("--layout", default="auto", help="auto, padded or shared_prefix (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds (default: %(default)s)")
    parser.add_argument("--cpu-time", action="store_true", help="count CPU seconds: for a machine that others use too")
    parser.add_argument("--no-memory", action="store_true", help="leave out the second table")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def make_examples(source: list[Any]) -> list[Example]:
    return [
        Example(f"pair{number}", f"pair{number}", row["prompt"], (row["chosen"], row["rejected"]), 0)
        for number, row in enumerate(source)
    ]


def prepare(arguments: argparse.Namespace, pairs: int, folder: Path) -> tuple[Reading, datasets.Dataset]:
    """Load model and pairs, and say how they are read."""
    path = arguments.model or make_model(folder / "model")
    source = generated_pairs(pairs)
    if arguments.data:
        # Round and round, where the file has fewer.
        source = [row.values for row in itertools.islice(itertools.cycle(list(read_rows(arguments.data))), pairs)]
    args = W2SRewardConfig(
        str(folder / "out"),
        per_device_eval_batch_size=arguments.batch_size,
        max_length=arguments.max_length,
        layout=arguments.layout,
        bf16=torch.cuda.is_available(),
        report_to="none",
    )
    model_args = ModelConfig(model_name_or_path=path)
    head, examples = HEADS["reward"], make_examples(source)
    tokenizer = stage_tokenizer(model_args, args)
    rows = to_rows(examples, encode("reward_modeling", tokenizer, examples, arguments.max_length, "reward"))
    model = load_model("reward", model_args, args, None)
    layout = choose_layout(head, model, args)
    columns = [column(layer, arguments.pooling) for layer in sorted(arguments.layers)]
    print(f"{pairs} pairs, {layout.name}: {layout.reason}", flush=True)
    return make_reading(head, columns, args, model, layout, rows, int(tokenizer.pad_token_id)), rows


def laid_out(reading: Reading, rows: datasets.Dataset, folder: Path) -> list[dict[str, Tensor]]:
    """The inputs of every pass that reading makes."""
    batches = []
    attention = str(reading.reader.model.config._attn_implementation)
    for shard in plan_shards(folder, rows, "bare", reading.units(rows)):
        for group in split(shard.indices, reading.footprint, reading.budget):
            batch: dict[str, Any] = reading.collator([rows[index] for index in group])
            given = {"input_ids": batch["input_ids"], "attention_mask": batch.get("attention_mask")}
            if "branches" in batch:
                given["attention_mask"] = tree_mask(batch["segments"], batch["branches"], attention)
                given["position_ids"] = batch["position_ids"]
            batches.append({name: value.to(reading.device) for name, value in given.items() if value is not None})
    return batches


def bare(reading: Reading, batches: list[dict[str, Tensor]]) -> None:
    model = reading.reader.model
    with torch.no_grad(), torch.autocast(reading.device.type, torch.bfloat16, enabled=reading.bf16):
        for batch in batches:
            model(**batch, use_cache=False)
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def timed(clock: Callable[[], float], work: Callable[[], Any]) -> float:
    started = clock()
    work()
    return clock() - started


def measure(arguments: argparse.Namespace, folder: Path) -> None:
    reading, rows = prepare(arguments, arguments.pairs, folder)
    batches = laid_out(reading, rows, folder)
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    rounds = []
    for number in range(arguments.rounds + 1):
        shards = plan_shards(folder / f"round{number}", rows, "features", reading.units(rows))
        ours = timed(clock, lambda shards=shards: make_shards(shards, reading, rows))  # type: ignore[misc]
        alone = timed(clock, lambda: bare(reading, batches))
        counted = "warm-up" if number == 0 else f"round {number}"
        print(f"{counted}: features {ours:.2f} s, bare {alone:.2f} s, ratio {alone / ours:.3f}", flush=True)
        rounds.append((ours, alone))
    for name, place in (("features", 0), ("bare forward pass", 1)):
        speeds = [len(rows) / seconds[place] for seconds in rounds[1:]]
        print(f"{name:>17}: {statistics.median(speeds):8.1f} pairs/s (min {min(speeds):.1f}, max {max(speeds):.1f})")
    ratios = [alone / ours for ours, alone in rounds[1:]]
    print(f"{'ratio':>17}: {statistics.median(ratios):8.3f} (min {min(ratios):.3f}, max {max(ratios):.3f}); bar 0.9")


def measure_memory(arguments: argparse.Namespace, folder: Path) -> None:
    """Say in one line what this process held before it read, and the most while it did."""
    reading, rows = prepare(arguments, arguments.memory_of, folder)
    before = held_bytes()
    make_shards(plan_shards(folder / "shards", rows, "features", reading.units(rows)), reading, rows)
    print(f"{arguments.memory_of:>8} pairs: {(peak_bytes() - before) / 2**20:8.1f} MiB more than before")


def main() -> None:
    arguments = parse_arguments()
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.memory_of is not None:
            measure_memory(arguments, Path(folder))
            return
        measure(arguments, Path(folder))
    if arguments.no_memory:
        return
    for pairs in (arguments.pairs, 4 * arguments.pairs, 16 * arguments.pairs):
        command = [sys.executable, "-m", "benchmarks.features", *sys.argv[1:], "--memory-of", str(pairs)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
