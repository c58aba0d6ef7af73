"""Which examples form a step: the same for every split into ranks and micro-batches, each exactly once."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from accelerate import skip_first_batches
from transformers import TrainerCallback

from w2s_rm import W2SRewardConfig, W2SRewardTrainer
from w2s_rm.errors import ConfigError
from w2s_rm.training.batching import GlobalBatchLoader, GlobalBatchSampler, Order, PassCollator, Slot, SlotDataset
from w2s_rm.training.token_budget import Footprint

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
    by_rank = [list(sampler) for sampler in ranks]
    accumulation = ranks[0].accumulation
    starts = range(0, len(by_rank[0]), accumulation)
    return [[slot for own in by_rank for micro in own[s : s + accumulation] for slot in micro] for s in starts]


def real(slots: list[Slot]) -> list[int]:
    return sorted(index for index, weight, _ in slots if weight == 1.0)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("size", [1, 5, 31, 32, 33, 64, 100])
def test_every_example_is_seen_exactly_once_in_an_epoch(size: int, split: tuple[int, int, int]) -> None:
    ranks = samplers(Order(size, seed=3), split)
    assert sorted(index for step in steps(ranks) for index in real(step)) == list(range(size))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("size", [1, 5, 31, 32, 33, 64, 100])
def test_ranks_agree_on_the_number_and_the_size_of_their_micro_batches(size: int, split: tuple[int, int, int]) -> None:
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
    # 5 examples for 3 ranks with micro-batches of 1: two micro-batches of 3, the last slot a filler.
    ranks = samplers(Order(5, seed=0, strategy="sequential"), (3, 1, 4))
    expected = [[[(0, 1.0)], [(3, 1.0)]], [[(1, 1.0)], [(4, 1.0)]], [[(2, 1.0)], [(0, 0.0)]]]
    assert [[[slot[:2] for slot in micro] for micro in sampler] for sampler in ranks] == expected


def test_a_rank_may_get_fillers_only() -> None:
    ranks = samplers(Order(9, seed=0, strategy="sequential"), (4, 2, 1))
    last = [list(sampler)[-1] for sampler in ranks]
    assert last == [[(8, 1.0, 0)], [(8, 0.0, 0)], [(8, 0.0, 0)], [(8, 0.0, 0)]]


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


def test_rows_carry_the_weight_and_the_pass_of_their_slot() -> None:
    rows = SlotDataset(datasets.Dataset.from_dict({"number": [10, 11, 12]}))
    expected = [{"number": 11, "weight": 1.0, "pass": 0}, {"number": 10, "weight": 0.0, "pass": 3}]
    assert rows.__getitems__([(1, 1.0, 0), (0, 0.0, 3)]) == expected
    assert rows[(0, 0.0, 3)] == expected[1]
    assert len(rows) == 3


@pytest.mark.parametrize("skipped", [0, 1, 3, 5])
def test_an_epoch_can_be_resumed_in_its_middle(skipped: int) -> None:
    whole, resumed = loader(), loader()
    for one in (whole, resumed):
        one.set_epoch(2)
    # 21 = 2 x 8 + 5: two micro-batches in each full step, two for the ragged one.
    assert len(whole) == 6
    assert list(skip_first_batches(resumed, skipped)) == list(whole)[skipped:]


WORLDS = [(1, 12, 1), (2, 6, 1), (3, 4, 1), (1, 4, 3), (2, 3, 2), (3, 2, 2), (3, 1, 4)]
"""Ranks, micro-batch, accumulation: all with 12 examples in a step."""

BUDGET = 60


def footprint(size: int, packed: bool, seed: int = 0) -> Footprint:
    """Draw rows and lengths, from tiny to all of a budget of 60 tokens."""
    generator = random.Random(seed)
    rows = [1 if packed else generator.randint(1, 4) for _ in range(size)]
    return Footprint(rows, [generator.randint(1, BUDGET // count) for count in rows], packed)


def by_pass(micro: list[Slot]) -> list[list[Slot]]:
    found: dict[int, list[Slot]] = defaultdict(list)
    for slot in micro:
        found[slot[2]].append(slot)
    assert list(found) == list(range(len(found))), "passes are numbered, and their slots stand together"
    return list(found.values())


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("size", [1, 2, 5, 11, 12, 13, 24, 43])
@pytest.mark.parametrize("split", WORLDS)
def test_a_budget_changes_neither_steps_nor_what_an_epoch_sees(
    split: tuple[int, int, int], size: int, packed: bool
) -> None:
    order = Order(size, seed=3)
    plain = samplers(order, split, epoch=1)
    planned = samplers(order, split, epoch=1, footprint=footprint(size, packed), max_tokens=BUDGET)
    assert [real(step) for step in steps(planned)] == [real(step) for step in steps(plain)]
    assert sorted(index for step in steps(planned) for index in real(step)) == list(range(size))
    assert [len(sampler) for sampler in planned] == [len(list(sampler)) for sampler in planned]
    assert len(planned[0]) == len(plain[0])


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("size", [1, 2, 5, 11, 12, 13, 24, 43])
@pytest.mark.parametrize("split", WORLDS)
def test_ranks_make_the_same_number_of_passes_and_none_exceeds_the_budget(
    split: tuple[int, int, int], size: int, packed: bool
) -> None:
    seen = footprint(size, packed, seed=size)
    ranks = samplers(Order(size, seed=3), split, footprint=seen, max_tokens=BUDGET)
    for together in zip(*ranks, strict=True):
        passes = [by_pass(micro) for micro in together]
        assert len({len(own) for own in passes}) == 1
        for own in passes:
            assert sum(weight for one in own for _, weight, _ in one) <= split[1]
            for one in own:
                assert seen.tokens([index for index, _, _ in one]) <= BUDGET
                assert {weight for _, weight, _ in one} == {1.0} or (len(one) == 1 and one[0][1] == 0.0)


def test_a_budget_shares_tokens_out_evenly_and_fills_up_with_the_shortest() -> None:
    # Sorted 9 8 7 6 5 4 3, dealt to and fro: 9 4 3 and 8 5 and 7 6, each too much for one pass of 12.
    seen = Footprint([1] * 7, [3, 9, 4, 8, 5, 7, 6], packed=True)
    ranks = samplers(Order(7, 0, "sequential"), (3, 3, 1), footprint=seen, max_tokens=12)
    found = [[[seen.lengths[index] for index, _, _ in one] for one in by_pass(next(iter(rank)))] for rank in ranks]
    assert found == [[[9, 3], [4]], [[8], [5]], [[7], [6]]]
    # Ranks get 12 1 and 6 6: the second splits its one pass in two, as the first must.
    even = Footprint([1] * 4, [6, 12, 1, 6], packed=True)
    ranks = samplers(Order(4, 0, "sequential"), (2, 2, 1), footprint=even, max_tokens=12)
    assert [next(iter(rank)) for rank in ranks] == [[(1, 1.0, 0), (2, 1.0, 1)], [(0, 1.0, 0), (3, 1.0, 1)]]
    # Ranks get 12 and 11 2: the first has nothing to split, and gets the shortest example as a filler.
    alone = Footprint([1] * 3, [12, 2, 11], packed=True)
    ranks = samplers(Order(3, 0, "sequential"), (2, 2, 1), footprint=alone, max_tokens=12)
    assert [next(iter(rank)) for rank in ranks] == [[(0, 1.0, 0), (1, 0.0, 1)], [(2, 1.0, 0), (1, 1.0, 1)]]


def test_with_room_for_all_a_micro_batch_is_one_pass() -> None:
    for split in WORLDS:
        for sampler in samplers(Order(24, 0), split, footprint=footprint(24, True), max_tokens=24 * BUDGET):
            assert {number for micro in sampler for _, _, number in micro} == {0}


def test_the_plan_depends_on_the_seed_and_the_epoch_only() -> None:
    options: dict[str, Any] = {"footprint": footprint(43, False), "max_tokens": BUDGET}
    first, again = (list(samplers(Order(43, 5), (2, 3, 2), epoch=1, **options)[1]) for _ in range(2))
    assert first == again
    assert first != list(samplers(Order(43, 5), (2, 3, 2), epoch=2, **options)[1])
    assert first != list(samplers(Order(43, 6), (2, 3, 2), epoch=1, **options)[1])


def test_passes_are_collated_one_by_one() -> None:
    rows = [{"number": 1, "pass": 0}, {"number": 2, "pass": 0}, {"number": 3, "pass": 1}]
    collate = PassCollator(lambda rows: {"numbers": [row["number"] for row in rows]})
    assert collate(rows) == [{"numbers": [1, 2]}, {"numbers": [3]}]


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
