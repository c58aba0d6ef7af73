"""Which examples form an optimizer step, and who computes which of them.

The examples of a step depend only on seed, epoch and global batch size. Ranks and accumulation steps share them out; a
ragged last batch is shared out too, evened with fillers of weight 0, so that no example is repeated or lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import torch
from torch.utils.data import DataLoader, Dataset
from transformers.trainer_pt_utils import get_length_grouped_indices

from w2s_rm.errors import ConfigError

Slot = tuple[int, float]
"""Index of an example and its weight: 1, or 0 for a filler."""


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

    Raises:
        ConfigError: The strategy is not one of these.
    """

    size: int
    seed: int
    strategy: str = "random"
    lengths: Sequence[int] = ()
    batch_size: int = 1

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
        if self.strategy == "group_by_length":
            return list(get_length_grouped_indices(self.lengths, self.batch_size, generator=generator))
        return list(torch.randperm(self.size, generator=generator).tolist())


@dataclass
class GlobalBatchSampler:
    """Yield this rank's micro-batches as lists of slots.

    Args:
        order (`Order`): The order of the examples.
        rank (`int`): This process.
        world_size (`int`): Number of processes.
        micro_batch_size (`int`): Most examples in one forward pass of one process.
        accumulation (`int`): Forward passes in an optimizer step.
        drop_last (`bool`, *optional*, defaults to `False`): Leave out a ragged last batch.
    """

    order: Order
    rank: int
    world_size: int
    micro_batch_size: int
    accumulation: int
    drop_last: bool = False
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
        return full * self.accumulation + (0 if self.drop_last else self._passes(rest))

    def __iter__(self) -> Iterator[list[Slot]]:
        indices = self.order(self.epoch)
        for start in range(0, len(indices), self.global_batch_size):
            batch = indices[start : start + self.global_batch_size]
            if len(batch) < self.global_batch_size and self.drop_last:
                return
            yield from self._share(batch)

    def _passes(self, examples: int) -> int:
        return -(-examples // (self.world_size * self.micro_batch_size))

    def _share(self, batch: list[int]) -> Iterator[list[Slot]]:
        passes = self._passes(len(batch))
        size = -(-len(batch) // (passes * self.world_size))
        slots: list[Slot] = [(index, 1.0) for index in batch]
        slots += [(batch[0], 0.0)] * (passes * self.world_size * size - len(batch))
        for step in range(passes):
            start = (step * self.world_size + self.rank) * size
            yield slots[start : start + size]


class SlotDataset(Dataset[dict[str, Any]]):
    """A dataset indexed by slots; each row carries the weight of its slot.

    Args:
        rows (`datasets.Dataset`): The encoded examples.
    """

    def __init__(self, rows: datasets.Dataset) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, slot: Slot) -> dict[str, Any]:
        return {**self.rows[slot[0]], "weight": slot[1]}

    def __getitems__(self, slots: list[Slot]) -> list[dict[str, Any]]:
        rows = self.rows.__getitems__([index for index, _ in slots])
        return [{**row, "weight": weight} for row, (_, weight) in zip(rows, slots, strict=True)]


class GlobalBatchLoader(DataLoader[dict[str, Any]]):
    """A data loader over a [`GlobalBatchSampler`] that passes the epoch on to it."""

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer at the start of each epoch."""
        sampler: Any = self.batch_sampler
        sampler.set_epoch(epoch)
