"""Training takes the same steps in both layouts, and those of TRL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from peft import LoraConfig
from torch import Tensor
from training_helpers import COMMON, Record, questions
from trl import RewardConfig, RewardTrainer

from w2s_rm import W2SRewardConfig, W2SRewardTrainer, W2STrainer

STEPS, FEWER_STEPS = 50, 20
OPTIONS: dict[str, Any] = {**COMMON, "max_steps": STEPS}
# Sums in another order differ by float32's rounding, and a step's error goes on to the next: in 50 steps up to 5e-6,
# with adapters at a rate of 1e-2 up to 5e-5. A wrong mask, position or place to read shows at 1e-2 and more.
TRAJECTORY: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}


def train(trainer_class: Any, layout: str, **options: Any) -> tuple[Tensor, Any]:
    """Loss and gradient norm of every step, and the trainer."""
    record = Record()
    trainer = trainer_class(callbacks=[record], **options)
    if trainer_class is not RewardTrainer:
        assert trainer.layout.name == layout
    trainer.train()
    assert len(record.steps) == trainer.args.max_steps
    return torch.tensor(record.steps), trainer


LORA: dict[str, Any] = {"r": 4, "lora_alpha": 16, "target_modules": "all-linear", "lora_dropout": 0.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "reward": {},
    "reward with checkpointing": {"gradient_checkpointing": True},
    "reward with an adapter and checkpointing": {
        "peft_config": "SEQ_CLS",
        "gradient_checkpointing": True,
        "learning_rate": 1e-2,
    },
    "reward with margins": {"margin": True},
    "reward on few tokens at a time": {"max_tokens_per_batch": 60},
    "classification": {},
    "classification with an adapter": {"peft_config": "SEQ_CLS", "learning_rate": 1e-2},
    "lm": {},
    "lm with checkpointing": {"gradient_checkpointing": True},
    "lm with an adapter": {"peft_config": "CAUSAL_LM", "learning_rate": 1e-2},
}


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_both_layouts_take_the_same_steps(
    variant: str, tiny_language_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    head, options = variant.split()[0], dict(VARIANTS[variant])
    rows = pairs(160) if head == "reward" else questions(160, more=10 if head == "lm" else 0)
    if options.pop("margin", False):
        rows = [{**row, "margin": 0.25 * (index % 3)} for index, row in enumerate(rows)]
    task_type = options.pop("peft_config", None)
    common: dict[str, Any] = {"model": tiny_language_model(), "train_dataset": datasets.Dataset.from_list(rows)}
    common |= {"head": head} if head != "reward" else {}
    steps, trainers = {}, {}
    # Each head at full length, and what it may be combined with for less.
    length = {} if variant == head else {"max_steps": FEWER_STEPS}
    for layout in ("padded", "shared_prefix"):
        if task_type is not None:
            common["peft_config"] = LoraConfig(task_type=task_type, **LORA)
        # What saves memory or passes must not matter: the reference goes without.
        given = options if layout == "shared_prefix" else {"learning_rate": options.get("learning_rate", 1e-3)}
        args = W2SRewardConfig(str(tmp_path / layout), layout=layout, **{**OPTIONS, **given, **length})
        trainer_class = W2SRewardTrainer if head == "reward" else W2STrainer
        steps[layout], trainers[layout] = train(trainer_class, layout, args=args, **common)
    assert steps["padded"][:, 1].min() > 1e-4 and steps["padded"][-10:, 0].mean() < steps["padded"][:10, 0].mean()
    torch.testing.assert_close(steps["shared_prefix"], steps["padded"], **TRAJECTORY)
    learned = {name for name, p in trainers["shared_prefix"].model.named_parameters() if p.requires_grad}
    assert learned == {name for name, p in trainers["padded"].model.named_parameters() if p.requires_grad}
    if task_type is not None:
        assert any("lora_A" in name for name in learned)
        assert any("score" in name for name in learned) == (head != "lm")


@pytest.mark.parametrize("margins", [False, True])
def test_a_plain_configuration_shares_prefixes_and_follows_trl(
    margins: bool, tiny_language_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    rows = [{name: value for name, value in row.items() if name != "id"} for row in pairs(160)]
    if margins:
        rows = [{**row, "margin": 0.25 * (index % 3)} for index, row in enumerate(rows)]
    options = {"model": tiny_language_model(), "train_dataset": datasets.Dataset.from_list(rows)}
    args = [RewardConfig(str(tmp_path / name), **OPTIONS) for name in ("theirs", "ours")]
    theirs, _ = train(RewardTrainer, "padded", args=args[0], **options)
    ours, trainer = train(W2SRewardTrainer, "shared_prefix", args=args[1], **options)
    torch.testing.assert_close(ours, theirs, **TRAJECTORY)
    assert "read_at" in trainer.data_collator([trainer.train_dataset[0]])


def test_evaluation_shares_prefixes_too(
    tiny_language_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    data, outputs = datasets.Dataset.from_list(pairs(37)), []
    for layout in ("padded", "shared_prefix"):
        args = W2SRewardConfig(str(tmp_path), layout=layout, **OPTIONS)
        trainer = W2SRewardTrainer(model=tiny_language_model(), args=args, train_dataset=data, eval_dataset=data)
        encoded: Any = trainer.train_dataset
        outputs.append((trainer.evaluate(), torch.as_tensor(trainer.predict(encoded).predictions)))
    (expected, expected_BK), (metrics, scores_BK) = outputs
    assert expected_BK.std() > 0.02
    torch.testing.assert_close(scores_BK, expected_BK, rtol=1e-5, atol=1e-5)
    for name in ("eval_loss", "eval_accuracy"):
        assert metrics[name] == pytest.approx(expected[name], rel=1e-5)
