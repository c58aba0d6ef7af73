"""Chains of steps in training and scoring: kept together, fed once, and the same step of training as TRL's."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from training_helpers import COMMON, WORDS, Record
from transformers import AutoModelForTokenClassification

from w2s_rm import W2SRewardConfig, W2STrainer
from w2s_rm.heads import HEADS
from w2s_rm.tasks._process import Solution, step_examples
from w2s_rm.training.batching import GlobalBatchSampler, Order
from w2s_rm.training.layouts import Layout, chains, feeds, units
from w2s_rm.training.token_budget import split_units

HEAD = HEADS["steps"]
SHARED, PADDED = Layout("shared_prefix", "asked"), Layout("padded", "asked")


def solutions(count: int, n_steps: int = 5) -> list[Solution]:
    """Solutions whose steps end with the word that tells whether they are right."""
    generator, made = random.Random(0), []
    for number in range(count):
        labels = tuple(int(generator.random() < 0.7) for _ in range(n_steps))
        steps = tuple(
            " ".join([*generator.choices(WORDS[10:], k=generator.randint(1, 4)), WORDS[1 + label]]) for label in labels
        )
        problem = " ".join([WORDS[10 + number % 50], *generator.choices(WORDS[10:], k=3)])
        made.append(Solution(f"{problem} ", steps, labels, all(labels)))
    return made


def rows_of(tokenizer: Any, made: list[Solution]) -> datasets.Dataset:
    examples = [example for one in made for example in step_examples(one, " w9 ")]
    encoded = HEAD.encode(tokenizer, examples, None)
    columns = {
        "id": [example.id for example in examples],
        "prompt_ids": [row.prompt_ids for row in encoded],
        "candidate_ids": [row.candidate_ids for row in encoded],
        "targets": [list(example.targets or ()) for example in examples],
    }
    return datasets.Dataset.from_dict(columns)


@pytest.fixture
def model(tiny_language_model: Callable[..., str], tmp_path: Path) -> Callable[[], Any]:
    def make() -> Any:
        made = AutoModelForTokenClassification.from_pretrained(tiny_language_model(), num_labels=2)
        # Drawn here: what transformers draws for missing weights leaves the generator where it will.
        torch.nn.init.normal_(made.score.weight, 0.0, 0.2, generator=torch.Generator().manual_seed(1))
        torch.nn.init.zeros_(made.score.bias)
        return made

    return make


def test_chains_are_found_wherever_their_steps_stand(tiny_tokenizer: Callable[..., Any]) -> None:
    rows = rows_of(tiny_tokenizer(), solutions(7))
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0)).tolist()
    shuffled = rows.select(order)
    found = chains(HEAD, shuffled)
    assert sorted(index for chain in found for index in chain) == list(range(35))
    assert len(found) == 7 and all(
        [order[index] for index in chain] == list(range(order[chain[0]], order[chain[0]] + 5)) for chain in found
    )
    assert units(HEAD, SHARED, shuffled) == found
    # Rows of their own gain nothing; nor do heads whose examples begin no other.
    assert units(HEAD, PADDED, rows) == chains(HEADS["classification"], rows) == [[index] for index in range(35)]


def test_a_chain_feeds_what_its_longest_step_does(tiny_tokenizer: Callable[..., Any]) -> None:
    rows = rows_of(tiny_tokenizer(), solutions(6))
    lengths = [len(ids) for ids in rows["prompt_ids"]]
    footprint, found = feeds(HEAD, SHARED, rows), chains(HEAD, rows)
    joined = footprint.joined(found)
    assert list(joined.rows) == [1] * 6 and list(joined.lengths) == lengths[4::5]
    assert feeds(HEAD, PADDED, rows).joined([[0, 1], [5]]) == feeds(HEAD, PADDED, rows).__class__(
        [2, 1], [lengths[1], lengths[5]], False
    )
    budget = max(lengths) * 2
    passes = split_units(found, footprint, budget)
    assert sorted(index for group in passes for index in group) == list(range(30))
    for group in passes:
        inside = [chain for chain in found if set(chain) & set(group)]
        assert all(set(chain) <= set(group) for chain in inside)
        assert sum(lengths[chain[-1]] for chain in inside) <= budget


def test_an_epoch_shuffles_chains_and_keeps_their_order() -> None:
    groups = [[0, 1, 2], [3], [4, 5], [6, 7, 8, 9]]
    order = Order(10, seed=3, units=groups)
    orders = [order(epoch) for epoch in range(6)]
    assert len(set(map(tuple, orders))) > 1 and orders[0] == order(0)
    for one in orders:
        assert sorted(one) == list(range(10))
        for group in groups:
            at = one.index(group[0])
            assert one[at : at + len(group)] == group
    grouped = Order(10, 3, "group_by_length", [5, 6, 7, 1, 9, 9, 2, 2, 2, 2], 10, groups)(0)
    assert sorted(grouped) == list(range(10)) and grouped.index(5) == grouped.index(4) + 1
    assert Order(10, 3, "sequential", units=groups)(0) == list(range(10))
    # Examples that stand alone keep the order that they had.
    assert Order(10, 3, units=[[index] for index in range(10)])(1) == Order(10, 3)(1)


@pytest.mark.parametrize(("ranks", "accumulation"), [(1, 1), (2, 1), (1, 3), (3, 2)])
def test_a_step_has_the_same_examples_however_it_is_split(
    ranks: int, accumulation: int, tiny_tokenizer: Callable[..., Any]
) -> None:
    rows = rows_of(tiny_tokenizer(), solutions(11))
    found, footprint = chains(HEAD, rows), feeds(HEAD, SHARED, rows)
    order, budget = Order(len(rows), 0, units=found), max(footprint.lengths) + 5
    micro = 12 // (ranks * accumulation)
    samplers = [
        GlobalBatchSampler(order, rank, ranks, micro, accumulation, footprint=footprint, max_tokens=budget)
        for rank in range(ranks)
    ]
    taken = [list(sampler) for sampler in samplers]
    assert {len(of) for of in taken} == {len(samplers[0])}
    expected = order(0)
    per_step = [expected[at : at + 12] for at in range(0, 55, 12)]
    at = 0
    for batch in per_step:
        steps = -(-len(batch) // (ranks * micro))
        slots = [slot for of in taken for micro_batch in of[at : at + steps] for slot in micro_batch]
        assert sorted(index for index, weight, _ in slots if weight) == sorted(batch)
        # Ranks make equally many passes.
        for step in range(at, at + steps):
            assert len({max(number for *_, number in of[step]) for of in taken}) == 1
        at += steps
    for of in taken:
        for micro_batch in of:
            for number in {slot[2] for slot in micro_batch}:
                real = [index for index, _, own in micro_batch if own == number]
                assert sum(footprint.lengths[chain[-1]] for chain in _parts(real, found)) <= budget


def _parts(indices: list[int], found: list[list[int]]) -> list[list[int]]:
    return [part for chain in found if (part := [index for index in chain if index in indices])]


def train(model: Any, tokenizer: Any, rows: Any, folder: Path, **options: Any) -> torch.Tensor:
    record = Record()
    args = W2SRewardConfig(str(folder), **{**COMMON, "max_steps": 12, **options})
    trainer = W2STrainer(
        model, args, rows, tokenizer, head="steps", callbacks=[record], data_collator=options.get("data_collator")
    )
    assert trainer.layout.name == options.get("layout", "shared_prefix")
    trainer.train()
    return torch.tensor(record.steps)


def test_layouts_passes_and_accumulation_take_the_same_steps(
    model: Callable[[], Any], tiny_tokenizer: Callable[..., Any], tmp_path: Path
) -> None:
    tokenizer = tiny_tokenizer()
    rows = rows_of(tokenizer, solutions(24))
    usual: dict[str, Any] = {"per_device_train_batch_size": 12}
    expected = train(model(), tokenizer, rows, tmp_path / "padded", layout="padded", **usual)
    assert expected[:, 1].min() > 1e-3
    for name, options in {
        "shared": usual,
        "passes": {**usual, "max_tokens_per_batch": 40},
        "accumulated": {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 3},
        "both": {"per_device_train_batch_size": 6, "gradient_accumulation_steps": 2, "max_tokens_per_batch": 30},
    }.items():
        steps = train(model(), tokenizer, rows, tmp_path / name, **options)
        torch.testing.assert_close(steps, expected, rtol=1e-4, atol=1e-5)


def test_hard_labels_follow_the_trainer_of_trl(
    model: Callable[[], Any], tiny_tokenizer: Callable[..., Any], tmp_path: Path
) -> None:
    from trl.experimental.prm import PRMConfig, PRMTrainer

    tokenizer, made = tiny_tokenizer(), solutions(24)
    order = {"train_sampling_strategy": "sequential", "max_steps": 6}
    # Four solutions of five steps are twenty examples.
    ours = train(
        model(), tokenizer, rows_of(tokenizer, made), tmp_path / "ours", per_device_train_batch_size=20, **order
    )
    data = datasets.Dataset.from_list(
        [{"prompt": one.problem, "completions": list(one.steps), "labels": list(map(bool, one.labels))} for one in made]
    )
    record, common = Record(), {**COMMON, **order, "per_device_train_batch_size": 4}
    args = PRMConfig(str(tmp_path / "theirs"), step_separator=" w9 ", **common)
    PRMTrainer(model(), args, train_dataset=data, processing_class=tokenizer, callbacks=[record]).train()
    torch.testing.assert_close(ours, torch.tensor(record.steps), rtol=1e-4, atol=1e-5)


def test_what_is_saved_loads_as_a_token_classifier(
    model: Callable[[], Any], tiny_tokenizer: Callable[..., Any], tmp_path: Path
) -> None:
    tokenizer = tiny_tokenizer()
    rows = rows_of(tokenizer, solutions(4))
    args = W2SRewardConfig(str(tmp_path / "out"), **{**COMMON, "max_steps": 2})
    trainer = W2STrainer(model(), args, rows, tokenizer, head="steps")
    trainer.train()
    scores = [row.scores for part in trainer.score_rows(rows) for row in part]
    trainer.save_model(str(tmp_path / "saved"))
    loaded = AutoModelForTokenClassification.from_pretrained(tmp_path / "saved")
    # A whole solution in one row, read at the ends of its steps.
    ends = [len(ids) - 1 for ids in rows["prompt_ids"][:5]]
    with torch.no_grad():
        logits_TO = loaded(torch.tensor([rows[4]["prompt_ids"]])).logits[0]
    torch.testing.assert_close(logits_TO[ends], torch.tensor(scores[:5]), rtol=1e-5, atol=1e-5)
