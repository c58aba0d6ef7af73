"""What `trl.RewardTrainer` accepts and says, of `W2SRewardTrainer`: forms, options, logs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from training_helpers import COMMON, Record
from trl import RewardConfig, RewardTrainer
from trl.trainer.reward_trainer import DataCollatorForPreference

from w2s_rm import W2SRewardConfig, W2SRewardTrainer
from w2s_rm.errors import DataError
from w2s_rm.types import LossOutput

PAIRS = ((RewardTrainer, RewardConfig), (W2SRewardTrainer, W2SRewardConfig))


def plain(rows: list[dict[str, Any]]) -> datasets.Dataset:
    return datasets.Dataset.from_list([{key: row[key] for key in ("prompt", "chosen", "rejected")} for row in rows])


def both(model: str, data: Any, folder: Path, **options: Any) -> list[tuple[Any, dict[str, Any]]]:
    """Steps and the evaluation before them, of TRL's trainer and of ours."""
    given = {name: options.pop(name) for name in ("data_collator", "compute_metrics") if name in options}
    evaluated = options.pop("eval_dataset", data)
    found = []
    for trainer_class, config in PAIRS:
        args = config(str(folder / config.__name__), **{**COMMON, "max_steps": 2, **options})
        record = Record()
        # Positionally, as TRL's signature has it.
        trainer = trainer_class(
            model, args, given.get("data_collator"), data, evaluated, None, given.get("compute_metrics"), [record]
        )
        evaluation = trainer.evaluate()
        trainer.train()
        logs = [entry for entry in trainer.state.log_history if "grad_norm" in entry]
        evaluation |= {f"train_{key}": sum(entry[key] for entry in logs) for key in ("margin", "min_reward")}
        found.append((torch.tensor(record.steps), evaluation))
    return found


def same(found: list[tuple[Any, dict[str, Any]]]) -> None:
    (steps, expected), (own_steps, own) = found
    torch.testing.assert_close(own_steps, steps, rtol=2e-5, atol=2e-6)
    names = [name for name in expected if "reward" in name or name.endswith(("_loss", "accuracy", "margin"))]
    assert len(names) >= 5
    assert [own[name] for name in names] == pytest.approx([expected[name] for name in names], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("older", [False, True])
def test_rows_that_are_tokens_already_are_taken(
    tiny_model: Callable[..., str],
    tiny_tokenizer: Callable[..., Any],
    pairs: Callable[..., Any],
    tmp_path: Path,
    older: bool,
) -> None:
    tokenizer, end = tiny_tokenizer(), "_input_ids" if older else "_ids"
    rows = [
        {f"{name}{end}": tokenizer(row["prompt"] + row[name])["input_ids"] for name in ("chosen", "rejected")}
        for row in pairs(16)
    ]
    same(both(tiny_model(), datasets.Dataset.from_list(rows), tmp_path))


def test_rows_formatted_for_torch_are_taken(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    data = plain(pairs(16)).add_column("margin", [0.25 * (index % 3) for index in range(16)])
    same(both(tiny_model(), data.with_format("torch"), tmp_path))


def test_a_collator_of_trl_is_taken(tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path) -> None:
    collator = DataCollatorForPreference(pad_token_id=0, pad_to_multiple_of=8)
    same(both(tiny_model(), plain(pairs(16)), tmp_path, data_collator=collator))


def test_metrics_of_batches_and_a_best_model_by_margin(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    saving = {
        "eval_strategy": "steps",
        "eval_steps": 1,
        "save_strategy": "steps",
        "save_steps": 1,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_margin",
    }
    same(both(tiny_model(), plain(pairs(16)), tmp_path, batch_eval_metrics=True, **saving))


def test_own_metrics_do_not_replace_those_of_trl(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    found = both(tiny_model(), plain(pairs(16)), tmp_path, compute_metrics=lambda prediction: {"own": 0.5})
    same(found)
    assert found[1][1]["eval_own"] == 0.5


def test_streams_of_a_ragged_number_of_rows_are_evaluated_beside_a_table(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    data = plain(pairs(16))
    args = W2SRewardConfig(str(tmp_path), **COMMON)
    stream = datasets.IterableDatasetDict({"a": data.select(range(11)).to_iterable_dataset()})
    trainer = W2SRewardTrainer(tiny_model(), args, None, data, stream)
    expected = trainer.evaluate(data.select(range(11)))["eval_accuracy"]
    assert trainer.evaluate()["eval_a_accuracy"] == pytest.approx(expected, abs=1e-6)


def test_rows_of_all_batches_are_named_in_one_error(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    rows = [{key: row[key] for key in ("prompt", "chosen", "rejected")} | {"margin": 0.0} for row in pairs(1003)]
    rows[1]["rejected"], rows[4]["margin"], rows[1001]["chosen"] = None, float("nan"), None
    data = datasets.Dataset.from_list(rows)
    with pytest.raises(DataError, match=r"(?s)row 1: rejected.*row 4: margin nan.*row 1001: chosen is null"):
        W2SRewardTrainer(tiny_model(), W2SRewardConfig(str(tmp_path), **COMMON), None, data)


def test_streams_that_mix_text_and_messages_are_refused(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    rows = [{key: row[key] for key in ("chosen", "rejected")} for row in pairs(3)]
    rows[2] = {key: [{"role": "assistant", "content": text}] for key, text in rows[2].items()}
    stream = datasets.IterableDataset.from_generator(lambda: iter(rows))
    args = W2SRewardConfig(str(tmp_path), **{**COMMON, "max_steps": 1})
    with pytest.raises(DataError, match="row 2: text and messages are mixed"):
        W2SRewardTrainer(tiny_model(), args, None, stream).train()


def test_batches_of_pairs_and_of_more_have_the_same_sums(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    """Ranks exchange what they summed: one with three candidates in a batch must not have other names than the rest."""
    args = W2SRewardConfig(str(tmp_path), **COMMON)
    names = []
    for width in (2, 3):
        trainer = W2SRewardTrainer(tiny_model(), args, train_dataset=plain(pairs(8)))
        scores_BK = torch.arange(4.0 * width).reshape(4, width)
        mask_BK = torch.ones_like(scores_BK, dtype=torch.bool)
        targets_BK = torch.eye(width)[[0, 1, 0, 1]]
        trainer._add_metrics(scores_BK, targets_BK, mask_BK, torch.ones(4), LossOutput(torch.zeros(4)))
        names.append(list(trainer._sums))
        logs: dict[str, float] = {}
        trainer.model.train()
        trainer.log(logs)
        assert "accuracy" in logs and (logs.get("min_reward") == 0.0) is (width == 2)
    assert names[0] == names[1] and "margin" in names[0]


@pytest.mark.parametrize("width", [2, 3])
def test_rewards_are_said_of_pairs_alone(tiny_model: Callable[..., str], tmp_path: Path, width: int) -> None:
    rows = [
        {
            "id": f"e{number}",
            "prompt_ids": [5, 6 + number % 3],
            "candidate_ids": [[8 + place, 9] for place in range(width)],
            "targets": [1.0] + [0.0] * (width - 1),
        }
        for number in range(4)
    ]
    data, args = datasets.Dataset.from_list(rows), W2SRewardConfig(str(tmp_path), **COMMON)
    evaluation = W2SRewardTrainer(tiny_model(), args, train_dataset=data, eval_dataset=data).evaluate()
    assert "eval_accuracy" in evaluation and ("eval_min_reward" in evaluation) is (width == 2)
