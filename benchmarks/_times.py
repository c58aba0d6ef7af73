"""All variants in turn, in one process: what the benchmark measures but memory."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from benchmarks._data import (
    describe,
    grouped_tokens,
    load,
    make_chess_rows,
    make_rows,
    save,
    sort_by_length,
    useful_tokens,
)
from benchmarks._measure import Round, Scores, run_round, warm_up
from benchmarks._models import count_parameters, load_model, model_path, save_models
from benchmarks._settings import CHESS_PASSES, COMPARISONS, VARIANTS, Settings
from benchmarks._sources import draw_pairs, draw_positions, texts_of
from benchmarks._variants import Variant


def measure_times(settings: Settings, folder: Path) -> dict[str, Any]:
    """Make models and rows, and run all variants in turn.

    Args:
        settings ([`Settings`]): The command line.
        folder (`Path`): Where to keep models and rows.

    Returns:
        `facts`, to be printed; for each task its `lines` by variant, `differences` by pair of variants, and the numbers
        of `examples` and `parameters`.
    """
    facts = {**_prepare(settings, folder), **_machine(settings)}
    tasks = {task: _measure_task(task, settings, folder) for task in settings.only}
    return {"facts": facts, "cuda": torch.cuda.is_available(), "tasks": tasks}


def _prepare(settings: Settings, folder: Path) -> dict[str, str]:
    pool = draw_pairs(settings)
    if settings.model is None:
        save_models(settings.size, texts_of(pool), folder)
    tokenizer = AutoTokenizer.from_pretrained(model_path(settings, folder, "training"))
    all_rows = make_rows(pool, tokenizer, settings.max_length)
    theirs, ours = (part.select(range(settings.pairs)) for part in (all_rows.theirs, all_rows.ours))
    save({"theirs": theirs, "sorted": sort_by_length(theirs), "ours": ours}, folder)
    own, overall = (grouped_tokens(rows, settings.batch_size) for rows in (theirs, all_rows.theirs))
    name = Path(settings.data).name if settings.data else f"{settings.synthetic} (generated)"
    facts = {
        "model": _model_fact(settings, folder, "training"),
        "pairs": f"{settings.pairs} of {len(pool)} drawn from {name}; of these, {describe(all_rows.ours)}",
        "length grouping": f"TRL's `group_by_length` would feed {overall:.0f} tokens a pair on all {len(pool)}, and "
        f"{own:.0f} on the {settings.pairs} of a round, which it sorts in parts; `sorted by length` sorts them all",
        "step": f"{settings.batch_size} pairs, passes in it: {settings.accumulation}; rows of at most "
        f"{settings.max_length} tokens",
    }
    return {**facts, **_prepare_chess(settings, folder)} if "chess" in settings.only else facts


def _prepare_chess(settings: Settings, folder: Path) -> dict[str, str]:
    tokenizer = AutoTokenizer.from_pretrained(model_path(settings, folder, "chess"))
    rows = make_chess_rows(draw_positions(settings.positions), tokenizer, settings.max_length)
    save({"chess": rows}, folder)
    return {
        "chess model": _model_fact(settings, folder, "chess"),
        "chess": f"{settings.positions} positions of random games (FEN) with all legal moves (UCI); {describe(rows)}; "
        f"step of {settings.batch_size} positions, passes in it: {settings.accumulation * CHESS_PASSES}",
    }


def _model_fact(settings: Settings, folder: Path, task: str) -> str:
    model = load_model(model_path(settings, folder, task), task)
    total, inside = count_parameters(model)
    name = settings.model or f"{settings.size}, random weights"
    return (
        f"{type(model).__name__} ({name}), {total / 1e6:.1f}M parameters, {inside / 1e6:.1f}M without embeddings, "
        f"{model.config.vocab_size} words"
    )


def _machine(settings: Settings) -> dict[str, str]:
    cuda = torch.cuda.is_available()
    low = cuda if settings.bf16 is None else settings.bf16
    names = ("torch", "transformers", "trl", "accelerate")
    return {
        "precision": f"{'bfloat16 autocast' if low else 'float32'}, gradient checkpointing "
        f"{'on' if settings.gradient_checkpointing else 'off'}",
        "device": torch.cuda.get_device_name() if cuda else f"CPU ({platform.machine()}, {os.cpu_count()} cores)",
        "threads": f"{torch.get_num_threads()}; seconds of the "
        f"{'process (CPU time)' if settings.cpu_time else 'clock on the wall'}",
        "versions": ", ".join(f"{name} {version(name)}" for name in names),
    }


def _measure_task(task: str, settings: Settings, folder: Path) -> dict[str, Any]:
    variants = {name: Variant(task, name, settings, folder) for name in VARIANTS[task]}
    scores = {name: warm_up(variant) for name, variant in variants.items()}
    rounds: dict[str, list[Round]] = {name: [] for name in variants}
    for number in range(1, settings.rounds + 1):
        for name, variant in variants.items():
            rounds[name].append(run_round(variant))
        seconds = ", ".join(f"{name} {own[-1].seconds:.2f} s" for name, own in rounds.items())
        print(f"{task}, round {number}: {seconds}", file=sys.stderr, flush=True)
    # Scoring all pairs says more than the warm-up's batch.
    scores |= {name: own[0].scores for name, own in rounds.items() if own[0].scores is not None}
    rows = load(folder, task, "padded")
    _, inside = count_parameters(load_model(model_path(settings, folder, task), task))
    return {
        "examples": len(rows),
        "useful": useful_tokens(rows),
        "parameters": inside,
        "lines": {name: _line(own, len(rows)) for name, own in rounds.items()},
        "differences": _differences(task, scores),
        "spread": statistics.pstdev(value for row in scores["padded"] for value in row),
    }


def _line(rounds: list[Round], examples: int) -> dict[str, Any]:
    return {"seconds": [one.seconds for one in rounds], "fed": rounds[0].positions / examples}


def _differences(task: str, scores: Mapping[str, Scores]) -> dict[str, float]:
    found = {}
    for own_task, name, against in COMPARISONS:
        if own_task == task:
            pairs = zip(scores[name], scores[against], strict=True)
            found[f"{name}:{against}"] = max(abs(a - b) for x, y in pairs for a, b in zip(x, y, strict=True))
    return found
