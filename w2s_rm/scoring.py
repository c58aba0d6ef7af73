"""Scores of many examples, window by window: memory does not grow with them, and batches are full of tokens.

Shape suffixes: B examples, K candidates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import datasets
import torch
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import gather_object
from torch import nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm
from transformers.integrations.deepspeed import deepspeed_init

from w2s_rm.data.token_budget import Footprint, refuse_too_large, split
from w2s_rm.errors import NonFiniteError
from w2s_rm.heads import Scored
from w2s_rm.layouts import feeds, max_tokens
from w2s_rm.mixin import WeakToStrongMixin

_NAMED = 10
_ALIKE, _SHORT = 1.05, 64


class ScoredRow(NamedTuple):
    """What a model says about one example.

    Args:
        scores (`tuple[float, ...]`): K scores.
        greedy (`int`, *optional*): Candidate that greedy decoding writes, -1 for none; only from heads that can write.
    """

    scores: tuple[float, ...]
    greedy: int | None = None


def stream_scores(
    trainer: WeakToStrongMixin, rows: datasets.Dataset, *, window: int = 8192
) -> Iterator[list[ScoredRow]]:
    """Score examples in their order, on all ranks together, each example once.

    Within a window examples are sorted by length and cut into batches of at most `args.max_tokens_per_batch` tokens;
    where that is not set, of as many tokens as `args.per_device_eval_batch_size` of the largest example of all feed.
    Scores are those of `trainer.predict` to rounding.

    Args:
        trainer ([`W2SRewardTrainer`] or [`W2STrainer`]): Model, head, collator and arguments.
        rows (`Dataset`): Encoded rows with `prompt_ids`, `candidate_ids`, `targets` and perhaps `id`.
        window (`int`, *optional*, defaults to `8192`): Examples whose scores are held at a time.

    Yields:
        `list[ScoredRow]`: The next `window` examples, on every rank.

    Raises:
        DataError: An example has more tokens than `args.max_tokens_per_batch`; names the examples.
        NonFiniteError: A score is NaN or infinite; names the examples, on every rank.
    """
    rank, world_size = trainer.args.process_index, trainer.args.world_size
    windows = _plan(trainer, rows, window)
    model = _prepare_model(trainer)
    loader = _loader(trainer, rows, [indices for part in windows for indices in part.passes(rank, world_size)])
    batches = iter(loader)
    hidden = trainer.args.disable_tqdm or not trainer.is_world_process_zero()
    with tqdm(total=len(loader), desc="Scoring", disable=hidden) as progress:
        for part in windows:
            found: list[tuple[list[int], list[int], Scored]] = []
            for indices in part.passes(rank, world_size):
                found.append((indices, *_score(trainer, model, next(batches))))
                progress.update()
            own = found[: len(part.own(rank, world_size))]
            scored = dict(gather_object([row for result in own for row in _to_rows(*result)]))
            ordered = [scored[index] for index in range(part.start, part.stop)]
            _check_finite(ordered, part.start, rows)
            yield ordered


@dataclass(frozen=True)
class _Window:
    """Consecutive examples, and the batches in which all ranks together score them."""

    start: int
    stop: int
    batches: list[list[int]]

    def own(self, rank: int, world_size: int) -> list[list[int]]:
        """The batches of a rank, each about as large as those that the others compute at the same time."""
        return self.batches[rank::world_size]

    def passes(self, rank: int, world_size: int) -> list[list[int]]:
        """The batches of a rank, and a filler where others have one more: ZeRO-3 communicates in every pass."""
        own = self.own(rank, world_size)
        count = -(-len(self.batches) // world_size)
        return own + [self.batches[-1][-1:]] * (count - len(own))


def _plan(trainer: WeakToStrongMixin, rows: datasets.Dataset, window: int) -> list[_Window]:
    footprint = feeds(trainer.head, trainer.layout, rows, trainer.args.pad_to_multiple_of)
    budget = _budget(trainer, footprint, rows)
    windows = []
    for start in range(0, len(rows), window):
        stop = min(start + window, len(rows))
        # The largest come first: a batch that does not fit in memory fails at once.
        groups = _alike(range(start, stop), footprint.lengths)
        batches = [batch for group in groups for batch in split(group, footprint, budget)]
        windows.append(_Window(start, stop, batches))
    return windows


def _alike(indices: Iterable[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Group examples, the longest first, so that none is much shorter than another of its group.

    All rows of a batch are as long as its longest example, and attention costs the more the longer rows are.
    """
    group: list[int] = []
    for index in sorted(indices, key=lambda index: -lengths[index]):
        if group and _ALIKE * lengths[index] < lengths[group[0]] and lengths[group[0]] > _SHORT:
            yield group
            group = []
        group.append(index)
    yield group


def _budget(trainer: WeakToStrongMixin, footprint: Footprint, rows: datasets.Dataset) -> int:
    budget = max_tokens(trainer.args)
    if budget is not None:
        refuse_too_large(footprint, budget, _ids(rows, range(len(rows))))
        return budget
    largest = max((footprint.tokens([index]) for index in range(len(rows))), default=1)
    return int(largest * trainer.args.eval_batch_size)


def _ids(rows: datasets.Dataset, indices: Sequence[int]) -> list[str]:
    if "id" in rows.column_names:
        return [str(name) for name in rows.select(indices)["id"]]
    return [f"row {index}" for index in indices]


def _prepare_model(trainer: Any) -> nn.Module:
    """Wrap, place and cast the model as [`~transformers.Trainer.evaluation_loop`] does."""
    args, accelerator = trainer.args, trainer.accelerator
    if trainer.is_deepspeed_enabled and trainer.deepspeed is None:
        deepspeed_init(trainer, num_training_steps=0, inference=True)
    model: Any = trainer._wrap_model(trainer.model, training=False)
    if not accelerator._models and model is trainer.model:
        sharded = trainer.is_deepspeed_enabled or (trainer.is_fsdp_enabled and not args.torch_compile)
        model = accelerator.prepare(model) if sharded else accelerator.prepare_model(model, evaluation_mode=True)
        if trainer.is_fsdp_enabled:
            trainer.model = model
        if model is not trainer.model:
            trainer.model_wrapped = model
        if trainer.is_deepspeed_enabled:
            trainer.deepspeed = trainer.model_wrapped
    if not trainer.is_in_train and (args.fp16_full_eval or args.bf16_full_eval):
        model = model.to(dtype=torch.float16 if args.fp16_full_eval else torch.bfloat16, device=args.device)
    if isinstance(trainer.optimizer, AcceleratedOptimizer):
        trainer.optimizer.eval()
    model.eval()
    prepared: nn.Module = model
    return prepared


def _loader(trainer: WeakToStrongMixin, rows: datasets.Dataset, batches: list[list[int]]) -> DataLoader[Any]:
    args = trainer.args
    return DataLoader(
        rows,
        batch_sampler=batches,
        collate_fn=trainer.data_collator,
        num_workers=args.dataloader_num_workers,
        pin_memory=args.dataloader_pin_memory and args.device.type == "cuda",
        prefetch_factor=args.dataloader_prefetch_factor,
    )


def _score(trainer: WeakToStrongMixin, model: nn.Module, batch: dict[str, Any]) -> tuple[list[int], Scored]:
    """Return the number of candidates of each example and the scores, still on the device."""
    counts = batch["mask"].sum(dim=1).tolist()
    # Not inference mode: what ZeRO-3 gathers in a pass must stay of use to training.
    with torch.no_grad(), trainer.compute_loss_context_manager():
        return counts, trainer.score(model, trainer._prepare_inputs(batch))


def _to_rows(indices: list[int], counts: list[int], scored: Scored) -> list[tuple[int, ScoredRow]]:
    scores_BK = scored.scores_BK.tolist()
    greedy_B = [None] * len(indices) if scored.greedy_B is None else scored.greedy_B.tolist()
    return [
        (index, ScoredRow(tuple(scores_K[:count]), greedy))
        for index, count, scores_K, greedy in zip(indices, counts, scores_BK, greedy_B, strict=True)
    ]


def _check_finite(scored: list[ScoredRow], start: int, rows: datasets.Dataset) -> None:
    bad = [start + place for place, row in enumerate(scored) if not all(map(math.isfinite, row.scores))]
    if bad:
        named = ", ".join(_ids(rows, bad[:_NAMED])) + (", ..." if len(bad) > _NAMED else "")
        raise NonFiniteError(
            f"NaN or infinite score for {len(bad)} of {len(scored)} examples: {named}; look at these examples, "
            "or train the model with a lower learning rate"
        )
