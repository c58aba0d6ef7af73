"""One optimizer step, whatever the budget of tokens: the passes of a micro-batch add up to it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from training_helpers import COMMON, WORDS, Record

from w2s_rm import W2SRewardConfig, W2SRewardTrainer, W2STrainer
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.training.layouts import feeds

CONFIDENCE = {"name": "log_confidence", "warmup_fraction": 0.2}


class Watched:
    """Keeps the tokens and the number of examples of every training pass."""

    seen: list[tuple[int, int]]

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        self.seen.append((inputs["input_ids"].numel(), len(inputs["ids"])))
        parent: Any = super()
        return parent.compute_loss(model, inputs, *args, **kwargs)


class WatchedReward(Watched, W2SRewardTrainer):
    """A reward trainer whose passes are watched."""


class WatchedOther(Watched, W2STrainer):
    """A trainer of the other heads whose passes are watched."""


def rows_of(head: str, count: int) -> list[dict[str, Any]]:
    """Rows of very different lengths with soft labels; for `lm` two to six candidates, otherwise two."""
    generator = random.Random(0)
    rows = []
    for number in range(count):
        candidates = [" w3", " w4 w5 w8"]
        if head == "lm":
            candidates += sorted({f" w6 {word}" for word in generator.choices(WORDS[10:], k=generator.randint(0, 4))})
        words = generator.choices(WORDS[10:], k=generator.randint(1, 30))
        p = 0.05 + 0.9 * (number % 7) / 7
        row = {"id": f"row{number}", "prompt": " ".join(words)}
        if head == "reward":
            rows.append({**row, "chosen": candidates[0], "rejected": candidates[1], "chosen_probability": p})
        else:
            rest = [(1 - p) / (len(candidates) - 1)] * (len(candidates) - 1)
            rows.append({**row, "candidates": candidates, "probabilities": [p, *rest]})
    return rows


@pytest.fixture
def build(
    tiny_model: Callable[..., str], tiny_language_model: Callable[..., str], tmp_path: Path
) -> Callable[..., tuple[Any, Record]]:
    """Make a watched trainer of a head, and what it will record."""

    def make(head: str, count: int = 45, trainer: dict[str, Any] | None = None, **options: Any) -> tuple[Any, Record]:
        args, record = W2SRewardConfig(str(tmp_path / "out"), **{**COMMON, **options}), Record()
        given: dict[str, Any] = {"args": args, "callbacks": [record], **(trainer or {})}
        given.setdefault("train_dataset", datasets.Dataset.from_list(rows_of(head, count)))
        if head == "reward":
            made: Any = WatchedReward(model=tiny_model(), **given)
        else:
            made = WatchedOther(model=tiny_language_model(), head=head, **given)
        made.seen = []
        return made, record

    return make


@pytest.mark.parametrize(
    ("head", "layout", "loss", "fixed_classes", "steps"),
    [
        pytest.param("reward", "padded", "cross_entropy", False, 50, marks=pytest.mark.slow),
        ("reward", "padded", "cross_entropy", False, 6),
        ("reward", "shared_prefix", CONFIDENCE, True, 6),
        ("classification", "padded", CONFIDENCE, True, 6),
        ("classification", "shared_prefix", "cross_entropy", True, 6),
        ("lm", "padded", CONFIDENCE, False, 6),
        ("lm", "shared_prefix", "cross_entropy", False, 6),
    ],
)
def test_a_budget_of_tokens_does_not_change_the_trajectory(
    build: Callable[..., tuple[Any, Record]],
    monkeypatch: pytest.MonkeyPatch,
    head: str,
    layout: str,
    loss: Any,
    fixed_classes: bool,
    steps: int,
) -> None:
    monkeypatch.setattr(WatchedReward, "exchangeable", not fixed_classes)
    runs, seen = [], []
    # So slow that rounding does not grow beyond the tolerance in 50 steps.
    common = {"max_steps": steps, "loss": loss, "layout": layout, "learning_rate": 3e-4}
    whole, _ = build(head, **common)
    footprint = feeds(whole.head, whole.layout, whole.train_dataset)
    small = max(footprint.tokens([index]) for index in range(45))
    for budget, micro in ((None, 8), (10_000, 8), (small, 8), (small, 4)):
        sizes = {"per_device_train_batch_size": micro, "gradient_accumulation_steps": 8 // micro}
        trainer, record = build(head, max_tokens_per_batch=budget, **common, **sizes)
        trainer.train()
        runs.append(torch.tensor(record.steps))
        seen.append(trainer.seen)
    assert len(runs[0]) == len(seen[0]) == len(seen[1]) == steps
    for run, passes in zip(runs[1:], seen[1:], strict=True):
        torch.testing.assert_close(run, runs[0], rtol=1e-4, atol=1e-5)
        # 45 examples in batches of 8 end in a ragged batch of 5, in every sixth step: no filler is needed.
        assert sum(count for _, count in passes) == 8 * steps - 3 * (steps // 6)
    for passes in seen[2:]:
        assert len(passes) > 1.5 * steps and max(tokens for tokens, _ in passes) <= small


@pytest.mark.parametrize("layout", ["padded", "shared_prefix"])
@pytest.mark.parametrize("head", ["reward", "classification", "lm"])
@pytest.mark.parametrize("multiple", [None, 8])
def test_what_examples_are_said_to_feed_is_what_they_feed(
    build: Callable[..., tuple[Any, Record]], head: str, layout: str, multiple: int | None
) -> None:
    trainer, _ = build(head, layout=layout, pad_to_multiple_of=multiple)
    footprint = feeds(trainer.head, trainer.layout, trainer.train_dataset, multiple)
    assert footprint.packed == (layout == "shared_prefix")
    for index, row in enumerate(trainer.train_dataset):
        shape = trainer.data_collator([row])["input_ids"].shape
        assert tuple(shape) == (footprint.rows[index], footprint.lengths[index])


@pytest.mark.parametrize("layout", ["padded", "shared_prefix"])
@pytest.mark.parametrize("multiple", [None, 8])
def test_passes_keep_to_the_budget_whatever_rows_are_padded_to(
    build: Callable[..., tuple[Any, Record]], layout: str, multiple: int | None
) -> None:
    budget = 80 if layout == "shared_prefix" else 300
    trainer, _ = build("lm", max_steps=6, layout=layout, pad_to_multiple_of=multiple, max_tokens_per_batch=budget)
    trainer.train()
    assert 6 < len(trainer.seen) < 45
    assert max(tokens for tokens, _ in trainer.seen) <= budget


def test_means_and_counts_of_tokens_are_those_without_a_budget(build: Callable[..., tuple[Any, Record]]) -> None:
    # Classification feeds each prompt once, so that without padding only the prompts count.
    options = {"num_train_epochs": 1, "include_num_input_tokens_seen": "non_padding", "logging_steps": 6}
    logged = []
    for budget in (None, 40):
        trainer, _ = build("classification", max_tokens_per_batch=budget, layout="padded", **options)
        trainer.train()
        assert trainer.state.total_flos > 0
        logged.append(trainer.state.log_history[0])
    tokens = sum(len(ids) for ids in trainer.train_dataset["prompt_ids"])
    assert logged[0]["num_input_tokens_seen"] == logged[1]["num_input_tokens_seen"] == tokens
    for name in ("loss", "grad_norm", "accuracy", "mean_score"):
        assert logged[1][name] == pytest.approx(logged[0][name], rel=1e-4)


def test_examples_above_the_budget_are_refused_by_id(build: Callable[..., tuple[Any, Record]]) -> None:
    trainer, _ = build("reward", max_tokens_per_batch=40, layout="padded")
    long = [
        f"'{row['id']}'"
        for row in trainer.train_dataset
        if 2 * (len(row["prompt_ids"]) + max(map(len, row["candidate_ids"]))) > 40
    ]
    with pytest.raises(DataError) as raised:
        trainer.train()
    assert f"{len(long)} of 45 examples" in str(raised.value) and "or lower max_length" in str(raised.value)
    assert all(name in str(raised.value) for name in long[:10])


def test_a_stream_of_examples_is_trained_on_as_it_comes_and_takes_no_budget(
    build: Callable[..., tuple[Any, Record]],
) -> None:
    rows = datasets.Dataset.from_list(rows_of("reward", 16)).to_iterable_dataset()
    trainer, record = build("reward", trainer={"train_dataset": rows}, max_steps=2)
    trainer.train()
    assert len(record.steps) == 2 and [count for _, count in trainer.seen] == [8, 8]
    trainer, _ = build("reward", trainer={"train_dataset": rows}, max_steps=2, max_tokens_per_batch=1000)
    with pytest.raises(ConfigError, match=r"remove it, or give a datasets.Dataset"):
        trainer.train()
