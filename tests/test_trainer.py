"""The drop-in against TRL's own trainer, and one trajectory for every split of the batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from transformers import TrainerCallback
from trl import RewardConfig, RewardTrainer

from w2s_rm import W2SRewardConfig, W2SRewardTrainer
from w2s_rm.errors import ConfigError, DataError, NonFiniteError
from w2s_rm.trainer import agreement

COMMON: dict[str, Any] = {
    "per_device_train_batch_size": 8,
    "learning_rate": 1e-3,
    "logging_steps": 1,
    "report_to": "none",
    "save_strategy": "no",
    "bf16": False,
    "gradient_checkpointing": False,
    "disable_tqdm": True,
    "use_cpu": True,
    "max_length": 64,
}


class Record(TrainerCallback):
    """Keeps loss and gradient norm of every step."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, float]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if logs and "grad_norm" in logs:
            self.steps.append((float(logs["loss"]), float(logs["grad_norm"])))


def trajectory(trainer_class: type, config: Any, model: str, rows: list[dict[str, Any]]) -> list[tuple[float, float]]:
    record = Record()
    data = datasets.Dataset.from_list(rows)
    trainer = trainer_class(model=model, args=config, train_dataset=data, callbacks=[record])
    trainer.train()
    return record.steps


@pytest.mark.parametrize("options", [{}, {"center_rewards_coefficient": 0.01}, {"margin": True}])
def test_hard_labels_follow_trl_step_for_step(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path, options: dict[str, Any]
) -> None:
    rows = [{key: value for key, value in row.items() if key != "id"} for row in pairs(160)]
    options = dict(options)
    if options.pop("margin", False):
        rows = [{**row, "margin": 0.25 * (index % 3)} for index, row in enumerate(rows)]
    model = tiny_model()
    theirs = trajectory(
        RewardTrainer, RewardConfig(str(tmp_path / "a"), max_steps=20, **COMMON, **options), model, rows
    )
    ours = trajectory(
        W2SRewardTrainer, W2SRewardConfig(str(tmp_path / "b"), max_steps=20, **COMMON, **options), model, rows
    )
    assert len(theirs) == len(ours) == 20
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), rtol=2e-5, atol=2e-6)


def test_training_learns_and_evaluates(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    config = W2SRewardConfig(str(tmp_path), num_train_epochs=4, **{**COMMON, "learning_rate": 3e-3})
    train, test = datasets.Dataset.from_list(pairs(200)), datasets.Dataset.from_list(pairs(51, seed=1))
    trainer = W2SRewardTrainer(model=tiny_model(), args=config, train_dataset=train, eval_dataset=test)
    before = trainer.evaluate()["eval_accuracy"]
    trainer.train()
    after = trainer.evaluate()["eval_accuracy"]
    assert before < 0.8 < 0.95 < after


@pytest.mark.parametrize("loss", ["cross_entropy", {"name": "log_confidence", "warmup_fraction": 0.0}])
@pytest.mark.parametrize("fixed_classes", [False, True])
def test_accumulation_does_not_change_the_trajectory(
    tiny_model: Callable[..., str],
    pairs: Callable[..., Any],
    tmp_path: Path,
    loss: Any,
    fixed_classes: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(W2SRewardTrainer, "exchangeable", not fixed_classes)
    rows = [{**row, "chosen_probability": 0.05 + 0.9 * (index % 7) / 7} for index, row in enumerate(pairs(75))]
    runs = []
    for micro, accumulation in ((16, 1), (4, 4), (1, 16)):
        sizes = {"per_device_train_batch_size": micro, "gradient_accumulation_steps": accumulation}
        config = W2SRewardConfig(str(tmp_path / str(micro)), num_train_epochs=2, loss=loss, **{**COMMON, **sizes})
        runs.append(torch.tensor(trajectory(W2SRewardTrainer, config, tiny_model(), rows)))
    # 75 examples in batches of 16 end in a ragged batch of 11: five steps an epoch.
    assert len(runs[0]) == 10
    torch.testing.assert_close(runs[1], runs[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(runs[2], runs[0], rtol=1e-4, atol=1e-5)


def test_thresholds_are_for_fixed_classes_only(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Chosen first: hardening at the median calls half of the pairs wrong, by argmax it does not.
    loss = {"name": "log_confidence", "warmup_fraction": 0.0, "max_weight": 1.0}
    runs = []
    for exchangeable in (True, False):
        monkeypatch.setattr(W2SRewardTrainer, "exchangeable", exchangeable)
        config = W2SRewardConfig(str(tmp_path / str(exchangeable)), max_steps=3, loss=loss, **COMMON)
        runs.append(trajectory(W2SRewardTrainer, config, tiny_model(), pairs(64)))
    assert runs[0] != runs[1]


def test_scores_are_float32_under_bf16(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    data = datasets.Dataset.from_list(pairs(32))
    config = W2SRewardConfig(str(tmp_path), **{**COMMON, "bf16": True})
    trainer = W2SRewardTrainer(model=tiny_model(), args=config, train_dataset=data)
    scores = torch.as_tensor(trainer.predict(trainer.train_dataset).predictions)
    assert (scores != scores.bfloat16().float()).float().mean() > 0.9


def test_soft_labels_change_the_loss(tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path) -> None:
    # At equal scores every label costs log 2; a label of 0.5 has no gradient there, a hard one has.
    model = tiny_model()
    rows = pairs(8)
    same = [{**row, "rejected": row["chosen"], "chosen_probability": 0.5} for row in rows]
    config = W2SRewardConfig(str(tmp_path), max_steps=1, **COMMON)
    ((loss, norm),) = trajectory(W2SRewardTrainer, config, model, same)
    assert loss == pytest.approx(0.6931472, abs=1e-6)
    assert norm == pytest.approx(0.0, abs=1e-6)


def test_non_finite_scores_stop_training_with_step_and_ids(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    config = W2SRewardConfig(str(tmp_path), max_steps=3, **COMMON)
    trainer = W2SRewardTrainer(model=tiny_model(), args=config, train_dataset=datasets.Dataset.from_list(pairs(16)))
    with torch.no_grad():
        trainer.model.score.weight.fill_(float("nan"))
    with pytest.raises(NonFiniteError, match=r"step 1: .*pair\d+"):
        trainer.train()


@pytest.mark.parametrize("bad", [1.5, -0.1, float("nan"), None])
def test_labels_that_are_no_probabilities_are_refused(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path, bad: Any
) -> None:
    rows = [{**row, "chosen_probability": 0.7} for row in pairs(4)]
    rows[2]["chosen_probability"] = bad
    with pytest.raises(DataError, match=r"chosen_probability.*\[2\]"):
        W2SRewardTrainer(
            model=tiny_model(),
            args=W2SRewardConfig(str(tmp_path), **COMMON),
            train_dataset=datasets.Dataset.from_list(rows),
        )


def test_unknown_loss_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="max_wieght.*max_weight"):
        W2SRewardTrainer(
            model="unused",
            args=W2SRewardConfig(str(tmp_path), loss={"name": "log_confidence", "max_wieght": 1}, **COMMON),
        )


def test_agreement_gives_ties_their_chance() -> None:
    lowest = torch.finfo(torch.float32).min
    scores_BK = torch.tensor([[2, 1, lowest], [1, 2, lowest], [1, 1, lowest], [3, 1, 3], [1, 2, 3]])
    targets_BK = torch.tensor([[0.9, 0.1, 0], [0.9, 0.1, 0], [0.9, 0.1, 0], [0.2, 0.2, 0.6], [0.4, 0.2, 0.4]])
    # Right, wrong, both scores the same, two scores the same, one of two best candidates.
    assert agreement(scores_BK, targets_BK).tolist() == [1.0, 0.0, 0.5, 0.5, 0.5]


def test_a_model_that_scores_all_the_same_has_chance_accuracy(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    data = datasets.Dataset.from_list(pairs(9))
    config = W2SRewardConfig(str(tmp_path), **COMMON)
    trainer = W2SRewardTrainer(model=tiny_model(), args=config, train_dataset=data, eval_dataset=data)
    with torch.no_grad():
        trainer.model.score.weight.zero_()
    assert trainer.evaluate()["eval_accuracy"] == 0.5


def test_conversations_and_implicit_prompts_train(
    tiny_model: Callable[..., str], tiny_tokenizer: Callable[..., Any], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} <eos> {% endfor %}"
    rows = [
        {
            "chosen": [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["chosen"]}],
            "rejected": [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["rejected"]}],
        }
        for row in pairs(16)
    ]
    data = datasets.Dataset.from_list(rows)
    config = W2SRewardConfig(str(tmp_path), max_steps=1, **COMMON)
    trainer = W2SRewardTrainer(model=tiny_model(), args=config, train_dataset=data, processing_class=tokenizer)
    trainer.train()
    theirs = RewardTrainer(
        model=tiny_model(), args=RewardConfig(str(tmp_path), **COMMON), train_dataset=data, processing_class=tokenizer
    ).train_dataset
    for ours, expected in zip(trainer.train_dataset, theirs, strict=True):
        assert [ours["prompt_ids"] + ids for ids in ours["candidate_ids"]] == [
            expected["chosen_ids"],
            expected["rejected_ids"],
        ]
