"""Options of the throughput benchmark, and what it compares. Loads nothing heavy: see [`throughput`]."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

SIZES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64},
    "8m": {"hidden_size": 256, "num_hidden_layers": 8, "num_attention_heads": 4, "intermediate_size": 704},
    "60m": {"hidden_size": 640, "num_hidden_layers": 12, "num_attention_heads": 10, "intermediate_size": 1728},
    "0.5b": {
        "hidden_size": 896,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "intermediate_size": 4864,
    },
    "1.5b": {
        "hidden_size": 1536,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "intermediate_size": 8960,
    },
}
"""Shapes of Qwen2 models; the last two are those of Qwen2.5, but for the vocabulary, which is made here."""

VARIANTS: dict[str, tuple[str, ...]] = {
    "training": ("trl", "trl_sorted", "padded", "shared_prefix"),
    "relabelling": ("trl", "padded", "shared_prefix"),
    "chess": ("padded", "shared_prefix"),
}
"""What runs in turn in each task."""

COMPARISONS: tuple[tuple[str, str, str], ...] = (
    ("training", "trl_sorted", "trl"),
    ("training", "padded", "trl"),
    ("training", "shared_prefix", "trl"),
    ("training", "shared_prefix", "trl_sorted"),
    ("relabelling", "padded", "trl"),
    ("relabelling", "shared_prefix", "trl"),
    ("chess", "shared_prefix", "padded"),
)
"""Task, variant and what it is compared with."""

CHESS_PASSES = 4
"""A position has some thirty candidates: its steps are computed in this many times the passes of a step of pairs."""


@dataclass(frozen=True)
class Settings:
    """The command line; the help of each option is in [`parse`]."""

    data: str | None
    synthetic: str
    model: str | None
    size: str
    only: list[str]
    pairs: int
    positions: int
    rounds: int
    batch_size: int
    accumulation: int
    max_length: int
    bf16: bool | None
    gradient_checkpointing: bool
    cpu_time: bool
    memory: bool
    peak_tflops: float
    output: str | None
    measure: str | None
    workspace: str | None


def parse(description: str | None) -> Settings:
    """Read the command line.

    Args:
        description (`str`, *optional*): What the help begins with.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    _add_inputs(parser)
    _add_run(parser)
    settings = Settings(**vars(parser.parse_args()))
    passes = CHESS_PASSES * settings.accumulation
    problems = []
    if settings.batch_size % passes:
        problems.append(f"--batch-size is {settings.batch_size}; use a multiple of {passes}")
    for name, count in (("pairs", settings.pairs), ("positions", settings.positions)):
        if count < settings.batch_size or count % settings.batch_size:
            problems.append(f"--{name} is {count}; use a multiple of the batch size ({settings.batch_size})")
    if problems:
        parser.error("; ".join(problems))
    return settings


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", metavar="FILE", help="any TRL preference file: JSONL, CSV, Parquet (default: generated pairs)")
    add("--synthetic", choices=["long_prompts"], default="long_prompts", help="generated pairs (default: %(default)s)")
    add("--model", metavar="PATH", help="folder or hub id, with its tokenizer (default: random weights of --size)")
    add("--size", choices=list(SIZES), default="8m", help="shape of the random model (default: %(default)s)")
    add("--max-length", type=int, default=1024, help="most tokens in a row (default: %(default)s)")


def _add_run(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    tasks = list(VARIANTS)
    add("--only", nargs="+", choices=tasks, default=tasks, metavar="TASK", help=f"some of {', '.join(tasks)}")
    add("--pairs", type=int, default=128, help="pairs in a round (default: %(default)s)")
    add("--positions", type=int, default=16, help="chess positions in a round (default: %(default)s)")
    add("--rounds", type=int, default=3, help="counted rounds (default: %(default)s)")
    add("--batch-size", type=int, default=16, help="pairs, or positions, in a step (default: %(default)s)")
    add("--accumulation", type=int, default=1, help="passes in a step of pairs (default: %(default)s)")
    add("--bf16", action=argparse.BooleanOptionalAction, help="bfloat16 autocast (default: on CUDA only)")
    add("--gradient-checkpointing", action="store_true", help="in all variants (default: in none)")
    add("--cpu-time", action="store_true", help="count CPU seconds: for a machine that others use too")
    add("--no-memory", dest="memory", action="store_false", help="skip the runs that measure memory")
    add(
        "--peak-tflops",
        type=float,
        default=989.0,
        help="of the GPU (default: H100 and H200, bf16: vendor's data sheet)",
    )
    add("--output", metavar="FILE", help="write the table to this file as well")
    # One measurement in a process of its own: `times`, or the name of a variant for its memory.
    add("--measure", help=argparse.SUPPRESS)
    add("--workspace", help=argparse.SUPPRESS)
