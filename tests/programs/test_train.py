"""What a training stage makes of examples: TRL's loss of the rows they came from, in whatever order candidates are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from training_helpers import COMMON
from trl import RewardConfig, RewardTrainer

from w2s_rm import W2SRewardConfig, W2SRewardTrainer
from w2s_rm.data.examples import hash_order
from w2s_rm.programs.scoring import encode, to_rows
from w2s_rm.programs.targets import training_margins
from w2s_rm.tasks.preference import Preference
from w2s_rm.types import Row


def test_margins_are_trls(
    tiny_model: Callable[..., str], pairs: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    raw = [{**row, "margin": 3.0 * (n % 3) - 1.0} for n, row in enumerate(pairs(24))]
    task = Preference("pairs.jsonl", margin_column="margin", id_column="id")
    examples = [hash_order(task.to_example(Row("pairs.jsonl", row))) for row in raw]
    assert {example.gold for example in examples} == {0, 1}

    model, common = tiny_model(), {**COMMON, "max_steps": 1}
    data = datasets.Dataset.from_list([{key: value for key, value in row.items() if key != "id"} for row in raw])
    config = RewardConfig(str(tmp_path / "a"), **common)
    theirs = RewardTrainer(model=model, args=config, train_dataset=data, eval_dataset=data)

    def our_loss(margins: list[float] | None) -> float:
        config = W2SRewardConfig(str(tmp_path / "b"), **common)
        encoded = encode("reward_modeling", theirs.processing_class, examples, config.max_length, "reward")
        rows = to_rows(examples, encoded, [example.targets or () for example in examples], margins)
        trainer = W2SRewardTrainer(model=model, args=config, train_dataset=rows, eval_dataset=rows)
        return float(trainer.evaluate()["eval_loss"])

    expected = theirs.evaluate()["eval_loss"]
    assert our_loss(training_margins(examples, None)) == pytest.approx(expected, rel=1e-5)
    assert our_loss(None) != pytest.approx(expected, rel=1e-2)
    assert training_margins(examples, "labels.parquet") is None
