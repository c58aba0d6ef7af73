"""Which examples form an optimizer step, and who computes which of them.

The examples of a step depend only on seed, epoch and global batch size. Ranks and accumulation steps share them out; a
ragged last batch is shared out too, evened with fillers of weight 0, so that no example is repeated or lost.

With a budget of tokens, a micro-batch is computed in several passes. DeepSpeed's ZeRO-2 and ZeRO-3 communicate in every
pass, so each rank plans for all and makes as many as the one that needs most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import datasets
import torch
from torch.utils.data import DataLoader, Dataset
from transformers.trainer_pt_utils import get_length_grouped_indices

from w2s_rm.errors import ConfigError
from w2s_rm.training.token_budget import Footprint, deal, split, split_units

Slot = tuple[int, float, int]
"""Index of an example, its weight (1, or 0 for a filler) and the number of its pass in the micro-batch."""


@dataclass(frozen=True)
class Order:
    """The order of the examples in each epoch, the same on every rank.

    Args:
        size (`int`): Number of examples.
        seed (`int`): Seed of the first epoch; epoch e uses `seed + e`, as accelerate's seedable sampler does.
        strategy (`str`, *optional*, defaults to `"random"`): `random`, `sequential` or `group_by_length`, as in
            `TrainingArguments.train_sampling_strategy`.
        lengths (`Sequence[int]`, *optional*): Tokens of each example, for `group_by_length`.
        batch_size (`int`, *optional*, defaults to `1`): Examples of similar length to keep together.
        units (`Sequence[Sequence[int]]`, *optional*): Examples that follow one another whatever the order is; by
            default each stands alone.

    Raises:
        ConfigError: The strategy is not one of these.
    """

    size: int
    seed: int
    strategy: str = "random"
    lengths: Sequence[int] = ()
    batch_size: int = 1
    units: Sequence[Sequence[int]] = ()

    def __post_init__(self) -> None:
        if self.strategy not in ("random", "sequential", "group_by_length"):
            raise ConfigError(
                f"train_sampling_strategy {self.strategy!r} is not supported; use random, sequential or group_by_length"
            )

    def __call__(self, epoch: int) -> list[int]:
        """Return all indices in the order of the given epoch."""
        if self.strategy == "sequential":
            return list(range(self.size))
        generator = torch.Generator().manual_seed(self.seed + epoch)
        units = self.units or [[index] for index in range(self.size)]
        if self.strategy == "group_by_length":
            lengths = [max(self.lengths[index] for index in unit) for unit in units]
            order = list(get_length_grouped_indices(lengths, self.batch_size, generator=generator))
        else:
            order = torch.randperm(len(units), generator=generator).tolist()
        # Only the order of units is drawn; inside a unit the examples of a chain keep theirs, the shortest first.
        return [index for number in order for index in units[number]]


@dataclass
class GlobalBatchSampler:
    """Yield this rank's micro-batches as lists of slots.

    Args:
        order (`Order`): The order of the examples.
        rank (`int`): This process.
        world_size (`int`): Number of processes.
        micro_batch_size (`int`): Most examples in a micro-batch of one process.
        accumulation (`int`): Micro-batches in an optimizer step.
        drop_last (`bool`, *optional*, defaults to `False`): Leave out a ragged last batch.
        footprint ([`~w2s_rm.training.token_budget.Footprint`], *optional*): With it a micro-batch is split into passes,
            and the examples of a step are shared out by their tokens; without, a micro-batch is one pass.
        max_tokens (`int`, *optional*, defaults to `0`): Most tokens in a pass, with `footprint`; no example has more.
    """

    order: Order
    rank: int
    world_size: int
    micro_batch_size: int
    accumulation: int
    drop_last: bool = False
    footprint: Footprint | None = None
    max_tokens: int = 0
    epoch: int = 0

    def set_epoch(self, epoch: int) -> None:
        """Select the epoch whose order the next iteration follows."""
        self.epoch = epoch

    @property
    def global_batch_size(self) -> int:
        """Examples in a full optimizer step."""
        return self.world_size * self.micro_batch_size * self.accumulation

    def __len__(self) -> int:
        full, rest = divmod(self.order.size, self.global_batch_size)
        # The Trainer counts its steps by this. A ragged batch has as many micro-batches as it needs, not always
        # `accumulation`.
        return full * self.accumulation + (0 if self.drop_last else self._micro_batches(rest))

    def __iter__(self) -> Iterator[list[Slot]]:
        indices = self.order(self.epoch)
        for start in range(0, len(indices), self.global_batch_size):
            batch = indices[start : start + self.global_batch_size]
            if len(batch) < self.global_batch_size and self.drop_last:
                return
            if self.footprint is None:
                yield from self._share(batch)
            elif self.order.units:
                yield from self._share_chains_by_tokens(batch, self.footprint)
            else:
                yield from self._share_by_tokens(batch, self.footprint)

    def _micro_batches(self, examples: int) -> int:
        return -(-examples // (self.world_size * self.micro_batch_size))

    def _share(self, batch: list[int]) -> Iterator[list[Slot]]:
        steps = self._micro_batches(len(batch))
        # A ragged batch is spread over all steps and ranks: filled from the front, more would get fillers alone.
        size = -(-len(batch) // (steps * self.world_size))
        slots: list[Slot] = [(index, 1.0, 0) for index in batch]
        # Any example will do, its weight is 0; without it one rank would make fewer passes, and the others wait for it.
        slots += [(batch[0], 0.0, 0)] * (steps * self.world_size * size - len(batch))
        for step in range(steps):
            # First all ranks of a micro-batch, then the next one: micro-batches that are computed together lie together
            # in the order.
            start = (step * self.world_size + self.rank) * size
            yield slots[start : start + size]

    def _share_by_tokens(self, batch: list[int], footprint: Footprint) -> Iterator[list[Slot]]:
        # Fillers cost what they feed.
        shortest = min(batch, key=lambda index: footprint.tokens([index]))
        for ranks in deal(batch, self._micro_batches(len(batch)), self.world_size, footprint):
            # Each rank splits the shares of all: it comes to the same number as they do, and nothing need be exchanged.
            needed = max(len(split(share, footprint, self.max_tokens)) for share in ranks)
            passes = split(ranks[self.rank], footprint, self.max_tokens, least=needed)
            slots: list[Slot] = [(index, 1.0, number) for number, examples in enumerate(passes) for index in examples]
            yield slots + [(shortest, 0.0, number) for number in range(len(passes), needed)]

    def _share_chains_by_tokens(self, batch: list[int], footprint: Footprint) -> Iterator[list[Slot]]:
        """Share a step out in its order, in which chains lie together, and split each share with its chains whole."""
        chain_of = {index: number for number, unit in enumerate(self.order.units) for index in unit}
        # Rows of their own cost the same with or without the others.
        unit_of = chain_of if footprint.packed else {index: index for index in batch}
        steps = self._micro_batches(len(batch))
        size = -(-len(batch) // (steps * self.world_size))
        shortest = min(batch, key=lambda index: footprint.tokens([index]))
        for step in range(steps):
            starts = [(step * self.world_size + rank) * size for rank in range(self.world_size)]
            shares = [[list(unit) for _, unit in groupby(batch[at : at + size], key=unit_of.get)] for at in starts]
            needed = max(len(split_units(share, footprint, self.max_tokens)) for share in shares)
            passes = split_units(shares[self.rank], footprint, self.max_tokens, least=needed)
            slots: list[Slot] = [(index, 1.0, number) for number, examples in enumerate(passes) for index in examples]
            yield slots + [(shortest, 0.0, number) for number in range(len(passes), needed)]


class SlotDataset(Dataset[dict[str, Any]]):
    """A dataset indexed by slots; each row carries the weight and the pass of its slot.

    Args:
        rows (`datasets.Dataset`): The encoded examples.
    """

    def __init__(self, rows: datasets.Dataset) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, slot: Slot) -> dict[str, Any]:
        index, weight, number = slot
        return {**self.rows[index], "weight": weight, "pass": number}

    def __getitems__(self, slots: list[Slot]) -> list[dict[str, Any]]:
        # `__getitems__`, by which torch asks for a whole batch, lets datasets read it from its table at once.
        rows = self.rows.__getitems__([index for index, _, _ in slots])
        return [{**row, "weight": weight, "pass": n} for row, (_, weight, n) in zip(rows, slots, strict=True)]


@dataclass(frozen=True)
class PassCollator:
    """Collate the rows of a micro-batch to a list of batches, one for each pass.

    Args:
        collate (`Callable`): Makes the batch of one pass.
    """

    collate: Callable[[list[Any]], dict[str, Any]]

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Collate one micro-batch, whose rows are ordered by pass."""
        return [self.collate(list(group)) for _, group in groupby(rows, key=itemgetter("pass"))]


class GlobalBatchLoader(DataLoader[dict[str, Any]]):
    """A data loader over a [`GlobalBatchSampler`] that passes the epoch on to it."""

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer at the start of each epoch."""
        sampler: Any = self.batch_sampler
        sampler.set_epoch(epoch)
