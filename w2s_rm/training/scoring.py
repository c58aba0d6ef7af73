"""Scores of many examples, window by window: memory does not grow with them, and batches are full of tokens.

Whatever scores candidates ends in [`score`]: trainers, the stages that label and judge, and rewards of policies.

Shape suffixes: B examples, K candidates.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import datasets
import torch
from accelerate.utils import gather_object, send_to_device
from torch import nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from w2s_rm.errors import NonFiniteError
from w2s_rm.heads import Collator, Head
from w2s_rm.heads.scores import Scored
from w2s_rm.training.layouts import Layout, Rows, feeds, max_tokens, row_lengths, units
from w2s_rm.training.token_budget import Footprint, refuse_too_large, split_units

_NAMED = 10
# Lengths within 5 % are alike; below 64 tokens padding costs less than further batches.
_ALIKE, _SHORT = 1.05, 64


class ScoredRow(NamedTuple):
    """What a model says about one example.

    Args:
        scores (`tuple[float, ...]`): K scores.
        greedy (`int`, *optional*): Candidate that greedy decoding writes, -1 for none; only from heads that can write.
    """

    scores: tuple[float, ...]
    greedy: int | None = None


@dataclass(frozen=True)
class Scoring:
    """How rows become batches, and where these are computed.

    Args:
        collate (`Callable`): Makes a batch in the model's layout.
        device (`torch.device`): Where the model is.
        examples (`int`, *optional*, defaults to `8`): A batch holds as many tokens as this many of the largest example.
        most_tokens (`int`, *optional*): Most tokens of a batch, in place of that.
        most_candidates (`int`, *optional*): Most candidates of a batch, in place of both.
        multiple (`int`, *optional*): Lengths of rows are rounded up to a multiple of this.
        rank (`int`, *optional*, defaults to `0`): This process.
        ranks (`int`, *optional*, defaults to `1`): Processes that share the batches out, and all get all scores.
        loader (`Mapping`, *optional*): Further arguments of the data loader.
        progress (`bool`, *optional*, defaults to `False`): Whether to show a bar.
        report (`Callable[[int, int], None]`, *optional*): Is told after each batch of this process how many are done,
            and how many there are.
        finite (`bool`, *optional*, defaults to `True`): Whether to refuse scores that are no numbers; otherwise the
            caller looks at them.
        context (`Callable`, *optional*): Makes the context in which a batch is computed, for its precision.
    """

    collate: Collator
    device: torch.device
    examples: int = 8
    most_tokens: int | None = None
    most_candidates: int | None = None
    multiple: int | None = None
    rank: int = 0
    ranks: int = 1
    loader: Mapping[str, Any] = field(default_factory=dict)
    progress: bool = False
    report: Callable[[int, int], None] | None = None
    finite: bool = True
    context: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext


def scoring_by(args: Any, collate: Collator, **others: Any) -> Scoring:
    """Take what trainers' arguments say: batches of `max_tokens_per_batch`, else by `per_device_eval_batch_size`.

    Args:
        args ([`~trl.RewardConfig`]): The arguments.
        collate (`Callable`): Makes a batch in the model's layout.
        others (`Any`): Further fields of [`Scoring`].
    """
    return Scoring(
        collate,
        args.device,
        examples=args.eval_batch_size,
        most_tokens=max_tokens(args),
        multiple=args.pad_to_multiple_of,
        rank=args.process_index,
        ranks=args.world_size,
        loader={
            "num_workers": args.dataloader_num_workers,
            "pin_memory": args.dataloader_pin_memory and args.device.type == "cuda",
            "prefetch_factor": args.dataloader_prefetch_factor,
        },
        progress=not args.disable_tqdm and args.process_index == 0,
        **others,
    )


def score(
    model: nn.Module, head: Head, layout: Layout, rows: Rows, scoring: Scoring, *, window: int = 8192
) -> Iterator[list[ScoredRow]]:
    """Score examples in their order, on all ranks together, each example once.

    Within a window examples are sorted by length and cut into batches. Scores are those of `Trainer.predict` to
    rounding.

    Args:
        model (`nn.Module`): In evaluation mode, on its device; see [`~w2s_rm.training.prepared.prepare`].
        head ([`~w2s_rm.heads.Head`]): The head.
        layout ([`~w2s_rm.training.layouts.Layout`]): The layout of rows that the model reads.
        rows (`Dataset` or `Sequence[Mapping]`): Encoded rows; labels are of no account.
        scoring ([`Scoring`]): How.
        window (`int`, *optional*, defaults to `8192`): Examples whose scores are held at a time.

    Yields:
        `list[ScoredRow]`: The next `window` examples, on every rank.

    Raises:
        DataError: An example has more tokens than a batch may have; names the examples.
        NonFiniteError: A score is NaN or infinite; names the examples, on every rank.
    """
    rank, ranks = scoring.rank, scoring.ranks
    windows = _plan(head, layout, rows, scoring, window)
    # One loader for all windows: its workers start once, and read ahead across windows.
    loader = _loader(rows, [indices for part in windows for indices in part.passes(rank, ranks)], scoring)
    batches, done = iter(loader), 0
    with tqdm(total=len(loader), desc="Scoring", disable=not scoring.progress) as progress:
        for part in windows:
            results: list[tuple[list[int], list[int], Scored]] = []
            for indices in part.passes(rank, ranks):
                results.append((indices, *_score(model, head, next(batches), scoring)))
                progress.update()
                done += 1
                if scoring.report is not None:
                    scoring.report(done, len(loader))
            # Without the filler. Scores leave the device only now: fetched after each batch they would make it wait.
            own_rows = [row for result in results[: len(part.of_rank(rank, ranks))] for row in _to_rows(*result)]
            # By number of the example, whatever rank and whatever batch it was in.
            scored = dict(gather_object(own_rows) if ranks > 1 else own_rows)
            ordered = [scored[index] for index in range(part.start, part.stop)]
            # After the exchange: every rank sees the same scores and raises, and none is left waiting for another.
            if scoring.finite:
                _check_finite(ordered, part.start, rows)
            yield ordered


@dataclass(frozen=True)
class _Window:
    """Consecutive examples, and the batches in which all ranks together score them."""

    start: int
    stop: int
    batches: list[list[int]]

    def of_rank(self, rank: int, world_size: int) -> list[list[int]]:
        """The batches of a rank, each about as large as those that the others compute at the same time."""
        # Batches are sorted by length, so every n-th of them is about as large as its neighbours.
        return self.batches[rank::world_size]

    def passes(self, rank: int, world_size: int) -> list[list[int]]:
        """The batches of a rank, and a filler where others have one more: ZeRO-3 communicates in every pass."""
        batches = self.of_rank(rank, world_size)
        count = -(-len(self.batches) // world_size)
        # One example of the last and so shortest batch: it is scored twice, and taken once.
        return batches + [self.batches[-1][-1:]] * (count - len(batches))


def _plan(head: Head, layout: Layout, rows: Rows, scoring: Scoring, window: int) -> list[_Window]:
    batches_of = _by_candidates(rows, scoring) or _by_tokens(head, layout, rows, scoring)
    starts = range(0, len(rows), window)
    parts = [range(start, min(start + window, len(rows))) for start in starts]
    return [_Window(part.start, part.stop, batches_of(part)) for part in parts]


def _by_tokens(head: Head, layout: Layout, rows: Rows, scoring: Scoring) -> Callable[[Iterable[int]], list[list[int]]]:
    footprint = feeds(head, layout, rows, scoring.multiple)
    budget = _budget(footprint, rows, scoring)

    def batches_of(indices: Iterable[int]) -> list[list[int]]:
        chains = units(head, layout, rows, indices)
        lengths = footprint.joined(chains).lengths
        # The largest come first: a batch that does not fit in memory fails at once.
        return [
            batch
            for group in _alike(range(len(chains)), lengths)
            for batch in split_units([chains[number] for number in group], footprint, budget)
        ]

    return batches_of


def _by_candidates(rows: Rows, scoring: Scoring) -> Callable[[Iterable[int]], list[list[int]]] | None:
    most = scoring.most_candidates
    if most is None:
        return None
    lengths, counts = row_lengths(rows), [len(row["candidate_ids"]) for row in rows]

    def batches_of(indices: Iterable[int]) -> list[list[int]]:
        """Put rows of like length together, the largest first."""
        batches: list[list[int]] = []
        # As if full, so that the first example begins a batch.
        filled = most
        for index in sorted(indices, key=lambda index: -lengths[index]):
            if not batches or filled + counts[index] > most:
                batches.append([])
                filled = 0
            batches[-1].append(index)
            filled += counts[index]
        return batches

    return batches_of


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


def _budget(footprint: Footprint, rows: Rows, scoring: Scoring) -> int:
    if scoring.most_tokens is not None:
        refuse_too_large(footprint, scoring.most_tokens, _ids(rows, range(len(rows))))
        return scoring.most_tokens
    largest = max((footprint.tokens([index]) for index in range(len(rows))), default=1)
    # As many tokens as the batch of the trainer's own evaluation could have at worst, so that it fits where that does.
    return int(largest * scoring.examples)


def _ids(rows: Rows, indices: Sequence[int]) -> list[str]:
    if isinstance(rows, datasets.Dataset):
        # One column of a dataset is read much faster than all of its rows.
        names = rows.select(indices)["id"] if "id" in rows.column_names else None
    else:
        names = [rows[index]["id"] for index in indices] if "id" in rows[0] else None
    return [f"row {index}" for index in indices] if names is None else [str(name) for name in names]


def _loader(rows: Any, batches: list[list[int]], scoring: Scoring) -> DataLoader[Any]:
    # A generator of its own: each loader draws a seed, and to score must not change what a training draws next.
    options: dict[str, Any] = {"batch_sampler": batches, "collate_fn": scoring.collate, "generator": torch.Generator()}
    return DataLoader(rows, **options, **scoring.loader)


def _score(model: nn.Module, head: Head, batch: dict[str, Any], scoring: Scoring) -> tuple[list[int], Scored]:
    """Return the number of candidates of each example and the scores, still on the device."""
    counts = batch["mask"].sum(dim=1).tolist()
    # Not inference mode: what ZeRO-3 gathers in a pass must stay of use to training.
    with torch.no_grad(), scoring.context():
        return counts, head.score(model, send_to_device(batch, scoring.device))


def _to_rows(indices: list[int], counts: list[int], scored: Scored) -> list[tuple[int, ScoredRow]]:
    scores_BK = scored.scores_BK.tolist()
    greedy_B = [None] * len(indices) if scored.greedy_B is None else scored.greedy_B.tolist()
    return [
        (index, ScoredRow(tuple(scores_K[:count]), greedy))
        for index, count, scores_K, greedy in zip(indices, counts, scores_BK, greedy_B, strict=True)
    ]


def _check_finite(scored: list[ScoredRow], start: int, rows: Rows) -> None:
    bad = [start + offset for offset, row in enumerate(scored) if not all(map(math.isfinite, row.scores))]
    if bad:
        named = ", ".join(_ids(rows, bad[:_NAMED])) + (", ..." if len(bad) > _NAMED else "")
        raise NonFiniteError(
            f"NaN or infinite score for {len(bad)} of {len(scored)} examples: {named}; look at these examples, "
            "or train the model with a lower learning rate"
        )
