"""One variant at work: its seconds, the tokens it feeds, its scores and its memory."""

from __future__ import annotations

import itertools
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from torch import Tensor, nn
from transformers import TrainerCallback

from benchmarks._variants import Variant

Scores = list[tuple[float, ...]]


class Stopwatch(TrainerCallback):
    """Measures the seconds of the training loop, by the clock on the wall or by that of this process's CPU time.

    Args:
        clock (`Callable`): Gives seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.seconds = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Start."""
        self.start = self.clock()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Stop."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds = self.clock() - self.start


class MemoryGauge(TrainerCallback):
    """Measures what a training loop needs beyond what the process holds when it begins: the most at any one time.

    On CUDA these are the bytes of tensors on the GPU, otherwise those of the whole process.
    """

    def __init__(self) -> None:
        self.growth = self.peak = 0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Take note of what is held."""
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self.held = held_bytes()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Take the peak since."""
        self.peak = peak_bytes()
        self.growth = self.peak - self.held


def held_bytes() -> int:
    """Bytes in use now; on systems without `/proc` the most so far."""
    if torch.cuda.is_available():
        return torch.cuda.memory_allocated()
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * resource.getpagesize() if status.exists() else peak_bytes()


def peak_bytes() -> int:
    """Most bytes in use so far."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class PositionCounter:
    """Counts the positions that a model is fed, padding included.

    Args:
        model (`PreTrainedModel`): Counted where tokens become vectors, whatever the layout of rows.
    """

    def __init__(self, model: Any) -> None:
        self.count = 0
        model.get_input_embeddings().register_forward_pre_hook(self._add)

    def _add(self, _: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        self.count += arguments[0].numel()


def score(variant: Variant, trainer: Any, rows: datasets.Dataset) -> Scores:
    """Score rows the way users do: TRL's with `predict`, ours with `score_rows`.

    Args:
        variant ([`Variant`]): What the trainer belongs to.
        trainer (`Trainer`): Its trainer.
        rows (`datasets.Dataset`): A whole number of batches.
    """
    if not variant.theirs:
        return [row.scores for row in itertools.chain.from_iterable(trainer.score_rows(rows))]
    # A batch of TRL's is all chosen rows, then all rejected rows.
    rewards = np.asarray(trainer.predict(rows).predictions).reshape(-1, 2, trainer.args.eval_batch_size)
    return [tuple(pair) for pair in rewards.transpose(0, 2, 1).reshape(-1, 2).tolist()]


def warm_up(variant: Variant) -> Scores:
    """Run a variant on one batch, and return its scores of it before any training.

    Args:
        variant ([`Variant`]): What to run.
    """
    rows = variant.first_rows()
    trainer = variant.trainer(rows)
    scores = score(variant, trainer, rows)
    if variant.task != "relabelling":
        trainer.train()
    return scores


@dataclass(frozen=True)
class Round:
    """What one round of a variant gave.

    Args:
        seconds (`float`): Of its loop.
        positions (`int`): Tokens fed, padding included.
        scores (`Scores`, *optional*): Where it scores.
    """

    seconds: float
    positions: int
    scores: Scores | None


def run_round(variant: Variant) -> Round:
    """Run a variant on all rows and take the time of its loop.

    Args:
        variant ([`Variant`]): What to run.
    """
    watch = Stopwatch(time.process_time if variant.settings.cpu_time else time.perf_counter)
    positions, scores = _run(variant, watch)
    return Round(watch.seconds, positions, scores)


def measure_memory(variant: Variant) -> dict[str, int]:
    """Run a variant on all rows and take its memory: the growth over what is held just before, and the peak.

    Args:
        variant ([`Variant`]): What to run, in a process that has run nothing else.
    """
    gauge = MemoryGauge()
    _run(variant, gauge)
    return {"growth": gauge.growth, "peak": gauge.peak}


def _run(variant: Variant, watch: Stopwatch | MemoryGauge) -> tuple[int, Scores | None]:
    rows, scores = variant.rows(), None
    trains = variant.task != "relabelling"
    trainer = variant.trainer(rows, *([watch] if trains else []))
    counter = PositionCounter(trainer.model)
    if trains:
        trainer.train()
    else:
        watch.on_train_begin()
        scores = score(variant, trainer, rows)
        watch.on_train_end()
    return counter.count, scores
