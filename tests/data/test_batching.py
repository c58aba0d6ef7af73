"""Which examples form a step: the same for every split into ranks and micro-batches, each exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from accelerate import skip_first_batches
from transformers import TrainerCallback

from w2s_rm import W2SRewardConfig, W2SRewardTrainer
from w2s_rm.data.batching import GlobalBatchLoader, GlobalBatchSampler, Order, Slot, SlotDataset
from w2s_rm.errors import ConfigError

SPLITS = [(1, 32, 1), (2, 16, 1), (2, 4, 4), (1, 1, 32), (8, 4, 1)]
"""Ranks, micro-batch, accumulation: all with 32 examples in a step."""


def samplers(order: Order, split: tuple[int, int, int], epoch: int = 0, **options: Any) -> list[GlobalBatchSampler]:
    world_size, micro, accumulation = split
    found = [GlobalBatchSampler(order, rank, world_size, micro, accumulation, **options) for rank in range(world_size)]
    for sampler in found:
        sampler.set_epoch(epoch)
    return found


def steps(ranks: list[GlobalBatchSampler]) -> list[list[Slot]]:
    """Collect the slots of each optimizer step over all ranks and accumulation steps."""
    passes = [list(sampler) for sampler in ranks]
    accumulation = ranks[0].accumulation
    starts = range(0, len(passes[0]), accumulation)
    return [[slot for own in passes for micro in own[s : s + accumulation] for slot in micro] for s in starts]


def real(slots: list[Slot]) -> list[int]:
    return sorted(index for index, weight in slots if weight == 1.0)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("size", [1, 5, 31, 32, 33, 64, 100])
def test_every_example_is_seen_exactly_once_in_an_epoch(size: int, split: tuple[int, int, int]) -> None:
    ranks = samplers(Order(size, seed=3), split)
    assert sorted(index for step in steps(ranks) for index in real(step)) == list(range(size))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("size", [1, 5, 31, 32, 33, 64, 100])
def test_ranks_agree_on_the_number_and_the_size_of_their_passes(size: int, split: tuple[int, int, int]) -> None:
    ranks = samplers(Order(size, seed=3), split)
    sizes = [[len(micro) for micro in sampler] for sampler in ranks]
    assert all(own == sizes[0] for own in sizes)
    assert all(0 < own <= split[1] for own in sizes[0])
    assert {len(sampler) for sampler in ranks} == {len(sizes[0])}


@pytest.mark.parametrize("strategy", ["random", "sequential", "group_by_length"])
@pytest.mark.parametrize("split", SPLITS[1:])
def test_the_examples_of_a_step_do_not_depend_on_the_split(split: tuple[int, int, int], strategy: str) -> None:
    order = Order(107, seed=5, strategy=strategy, lengths=[(7 * n) % 50 for n in range(107)], batch_size=32)
    expected, found = (steps(samplers(order, one, epoch=2)) for one in (SPLITS[0], split))
    assert len(expected) == 4
    assert [real(step) for step in found] == [real(step) for step in expected]


def test_a_ragged_batch_is_shared_out_and_evened_with_fillers() -> None:
    # 5 examples for 3 ranks with micro-batches of 1: two passes of 3, the last slot a filler.
    ranks = samplers(Order(5, seed=0, strategy="sequential"), (3, 1, 4))
    expected = [[[(0, 1.0)], [(3, 1.0)]], [[(1, 1.0)], [(4, 1.0)]], [[(2, 1.0)], [(0, 0.0)]]]
    assert [list(sampler) for sampler in ranks] == expected


def test_a_rank_may_get_fillers_only() -> None:
    ranks = samplers(Order(9, seed=0, strategy="sequential"), (4, 2, 1))
    last = [list(sampler)[-1] for sampler in ranks]
    assert last == [[(8, 1.0)], [(8, 0.0)], [(8, 0.0)], [(8, 0.0)]]


@pytest.mark.parametrize("split", SPLITS)
def test_drop_last_leaves_out_the_ragged_batch(split: tuple[int, int, int]) -> None:
    ranks = samplers(Order(100, seed=3), split, drop_last=True)
    found = steps(ranks)
    assert len(found) == 3
    counts = Counter(index for step in found for index in real(step))
    assert sum(counts.values()) == 96 and set(counts.values()) == {1}
    assert [len(sampler) for sampler in ranks] == [3 * split[2]] * split[0]


def test_the_order_depends_on_seed_and_epoch() -> None:
    orders = {(seed, epoch): tuple(Order(50, seed)(epoch)) for seed in (0, 10) for epoch in range(3)}
    assert len(set(orders.values())) == 6
    assert Order(50, 0)(1) == list(orders[0, 1])
    assert all(sorted(order) == list(range(50)) for order in orders.values())
    assert Order(4, 0, strategy="sequential")(7) == [0, 1, 2, 3]


def test_the_order_is_that_of_a_seeded_random_sampler() -> None:
    generator = torch.Generator().manual_seed(42 + 1)
    assert Order(20, seed=42)(1) == list(torch.utils.data.RandomSampler(range(20), generator=generator))


def test_group_by_length_keeps_like_lengths_together() -> None:
    lengths = [(37 * n) % 800 for n in range(800)]
    order = Order(800, seed=0, strategy="group_by_length", lengths=lengths, batch_size=16)
    epoch = order(0)
    assert sorted(epoch) == list(range(800))
    assert order(0) == epoch != order(1)

    def spread(indices: list[int]) -> float:
        batches = [[lengths[index] for index in indices[start : start + 16]] for start in range(0, 800, 16)]
        return sum(max(batch) - min(batch) for batch in batches) / len(batches)

    # 16 random lengths out of 800 span about 700; out of a sorted mega-batch of 12 batches about 800 / 12 = 67.
    assert spread(epoch) < 100 < 600 < spread(Order(800, seed=0)(0))


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="'batch_rebalance' is not supported; use random, sequential or group_by_length"
    ):
        Order(3, 0, strategy="batch_rebalance")


def loader(workers: int = 0) -> GlobalBatchLoader:
    rows = SlotDataset(datasets.Dataset.from_dict({"number": list(range(21))}))
    sampler = GlobalBatchSampler(Order(21, seed=1), rank=1, world_size=2, micro_batch_size=2, accumulation=2)
    return GlobalBatchLoader(rows, batch_sampler=sampler, collate_fn=list, num_workers=workers)


def test_rows_carry_the_weight_of_their_slot() -> None:
    rows = SlotDataset(datasets.Dataset.from_dict({"number": [10, 11, 12]}))
    assert rows[(2, 0.0)] == {"number": 12, "weight": 0.0}
    assert rows.__getitems__([(1, 1.0), (0, 0.0)]) == [{"number": 11, "weight": 1.0}, {"number": 10, "weight": 0.0}]
    assert len(rows) == 3


@pytest.mark.parametrize("skipped", [0, 1, 3, 5])
def test_an_epoch_can_be_resumed_in_its_middle(skipped: int) -> None:
    whole, resumed = loader(), loader()
    for one in (whole, resumed):
        one.set_epoch(2)
    # 21 = 2 x 8 + 5: two passes in each full step, two for the ragged one.
    assert len(whole) == 6
    assert list(skip_first_batches(resumed, skipped)) == list(whole)[skipped:]


class Losses(TrainerCallback):
    """Keeps the loss of every step."""

    def __init__(self) -> None:
        self.by_step: dict[int, float] = {}

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.by_step[state.global_step] = float(logs["loss"])


def test_training_resumes_with_the_batches_it_has_not_seen(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    data = datasets.Dataset.from_list(pairs(27))
    options: dict[str, Any] = {
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 4,
        "num_train_epochs": 3,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "save_steps": 6,
        "report_to": "none",
        "bf16": False,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
        "use_cpu": True,
    }

    def run(checkpoint: str | None) -> dict[int, float]:
        losses = Losses()
        args = W2SRewardConfig(str(tmp_path / "out"), **options)
        trainer = W2SRewardTrainer(model=tiny_model(), args=args, train_dataset=data, callbacks=[losses])
        trainer.train(resume_from_checkpoint=checkpoint)
        return losses.by_step

    # 27 examples in batches of 8 are 4 steps an epoch; step 6 lies in the middle of the second.
    whole = run(None)
    rest = run(str(tmp_path / "out" / "checkpoint-6"))
    assert list(whole) == list(range(1, 13)) and list(rest) == list(range(7, 13))
    assert rest == pytest.approx({step: whole[step] for step in rest}, rel=1e-4)
