"""The trajectory of one process against two, with and without accumulation and a budget of tokens, in real launches."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch.utils import cpp_extension

from w2s_rm.runs.launch import Launch

pytestmark = pytest.mark.slow

SCRIPT = """
import json, sys
import datasets
from transformers import TrainerCallback
from w2s_rm import W2SRewardConfig, W2SRewardTrainer, W2STrainer
from w2s_rm.programs.launched import leave_together

class Record(TrainerCallback):
    def __init__(self): self.steps = []
    def on_log(self, args, state, control, logs=None, **_):
        if logs and "grad_norm" in logs: self.steps.append([float(logs["loss"]), float(logs["grad_norm"])])

folder, models, heads, losses, splits = sys.argv[1], *map(json.loads, sys.argv[2:])
rows = json.load(open(folder + "/rows.json"))
questions = [
    {
        "prompt": row["prompt"],
        "candidates": [" w1", " w2 w3"],
        "probabilities": [row["chosen_probability"], 1 - row["chosen_probability"]],
    }
    for row in rows
]
# Classes of fixed meaning: the only case in which a loss looks at the whole batch.
W2SRewardTrainer.exchangeable = False
results = {}
for head in heads:
    for loss in losses:
        for micro, accumulation, budget in splits:
            record = Record()
            config = W2SRewardConfig(
                folder + "/out", num_train_epochs=2, loss=loss, learning_rate=1e-3, logging_steps=1, report_to="none",
                save_strategy="no", bf16=False, gradient_checkpointing=False, disable_tqdm=True, use_cpu=True,
                max_length=64, per_device_train_batch_size=micro, gradient_accumulation_steps=accumulation,
                max_tokens_per_batch=budget,
                # A copy of the model takes part in every pass, and is no part of what is wrapped.
                anchor_coefficient=2.0 if head == "reward" else None,
            )
            given = {"args": config, "callbacks": [record]}
            if head == "reward":
                data = datasets.Dataset.from_list(rows)
                trainer = W2SRewardTrainer(model=models[0], train_dataset=data, **given)
            else:
                data = datasets.Dataset.from_list(questions)
                trainer = W2STrainer(model=models[1], train_dataset=data, head=head, exchangeable=False, **given)
            trainer.train()
            passes = [len(batch) for batch in trainer.get_train_dataloader()]
            assert (max(passes) > 1) == (budget is not None), passes
            results[f"{head} {loss['name']} {config.world_size}x{micro}x{accumulation} {budget}"] = record.steps
if config.process_index == 0:
    json.dump(results, open(folder + "/results.json", "w"))
leave_together()
"""

# With batches of one and in the rows' order, one rank has pairs in every step, and the other has three candidates.
MIXED = """
import json, sys
import datasets
from w2s_rm import W2SRewardConfig, W2SRewardTrainer
from w2s_rm.programs.launched import leave_together

folder, model = sys.argv[1:]
rows = [
    {
        "id": f"e{number}",
        "prompt_ids": [5, 6 + number % 3],
        "candidate_ids": [[8 + place, 9] for place in range(2 + number % 2)],
        "targets": [1.0] + [0.0] * (1 + number % 2),
    }
    for number in range(8)
]
config = W2SRewardConfig(
    folder + "/out", max_steps=2, logging_steps=1, report_to="none", save_strategy="no", bf16=False, use_cpu=True,
    gradient_checkpointing=False, disable_tqdm=True, max_length=64, per_device_train_batch_size=1,
    per_device_eval_batch_size=1, train_sampling_strategy="sequential",
)
data = datasets.Dataset.from_list(rows)
trainer = W2SRewardTrainer(model=model, args=config, train_dataset=data, eval_dataset=data)
trainer.train()
evaluation = trainer.evaluate()
if config.process_index == 0:
    json.dump([trainer.state.log_history[:2], evaluation], open(folder + "/results.json", "w"))
leave_together()
"""

HEADS = ("reward", "classification", "lm")
CROSS_ENTROPY = {"name": "cross_entropy"}
LOG_CONFIDENCE = {"name": "log_confidence", "warmup_fraction": 0.3}
BUDGET = 75
"""Tokens of one example or a few."""


@dataclass(frozen=True)
class Runs:
    """Trains in a launch of its own and returns loss and gradient norm of each step, by the name of the run."""

    models: list[str]
    rows: list[dict[str, Any]]
    folder: Path

    def __call__(self, name: str, command: list[str], heads: Any, losses: Any, splits: Any) -> dict[str, Any]:
        folder = self.folder / name
        folder.mkdir()
        (folder / "script.py").write_text(SCRIPT, encoding="utf-8")
        (folder / "rows.json").write_text(json.dumps(self.rows), encoding="utf-8")
        arguments = [json.dumps(given) for given in (self.models, heads, losses, splits)]
        launch = [*command, str(folder / "script.py"), str(folder), *arguments]
        done = subprocess.run(launch, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        results: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        return results


def launched(engine: str, folder: Path | None = None) -> list[str]:
    """The command that launches on two CPU processes; `cpu_zero3_offload` is made in a folder, of what is shipped."""
    shipped = Path(__file__).parents[2] / "deepspeed_configs"
    config = shipped / f"{engine}.yaml"
    if engine == "cpu_zero3_offload":
        assert folder is not None
        of_gpus, of_cpus = (
            yaml.safe_load((shipped / f"{name}.yaml").read_text()) for name in ("zero3_offload", "cpu_zero3")
        )
        config = folder / f"{engine}.yaml"
        config.write_text(
            yaml.safe_dump({**of_cpus, "deepspeed_config": of_gpus["deepspeed_config"]}), encoding="utf-8"
        )
    return Launch(config).command()


@pytest.fixture(scope="module")
def runs(
    tiny_model: Callable[..., str],
    tiny_language_model: Callable[..., str],
    pairs: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Runs:
    # 75 examples in batches of 32 end in a ragged batch of 11, which two ranks share unevenly. Prompts are of very
    # different lengths, so that the ranks need different numbers of passes for a budget of tokens.
    rows = [
        {
            **row,
            "prompt": " ".join([row["prompt"]] * (1 + index % 4)),
            "chosen_probability": 0.05 + 0.9 * (index % 7) / 7,
        }
        for index, row in enumerate(pairs(75))
    ]
    return Runs([tiny_model(), tiny_language_model()], rows, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def alone(runs: Runs) -> dict[str, Any]:
    return runs("alone", [sys.executable], HEADS, [CROSS_ENTROPY, LOG_CONFIDENCE], [[32, 1, None]])


def check(found: dict[str, Any], alone: dict[str, Any], expected: set[str]) -> None:
    assert set(found) == expected
    for name, steps in found.items():
        head, loss, *_ = name.split()
        reference = alone[f"{head} {loss} 1x32x1 None"]
        assert len(reference) == 6
        torch.testing.assert_close(torch.tensor(steps), torch.tensor(reference), rtol=1e-4, atol=1e-5, msg=name)


def test_trajectory_is_the_same_on_two_processes(runs: Runs, alone: dict[str, Any]) -> None:
    splits = [[16, 1, None], [4, 4, None], [8, 2, BUDGET]]
    two = runs("ddp", launched("cpu_ddp"), HEADS, [CROSS_ENTROPY, LOG_CONFIDENCE], splits)
    names = itertools.product(HEADS, ("cross_entropy", "log_confidence"), splits)
    check(two, alone, {f"{head} {loss} 2x{m}x{a} {budget}" for head, loss, (m, a, budget) in names})
    for head in HEADS:
        assert alone[f"{head} cross_entropy 1x32x1 None"] != alone[f"{head} log_confidence 1x32x1 None"]


# Both engines communicate in every pass, so that ranks with unequal numbers of passes would wait for ever.
@pytest.mark.parametrize(
    ("engine", "head"), [("cpu_zero2", "reward"), ("cpu_zero3", "classification"), ("cpu_zero3_offload", "lm")]
)
def test_passes_of_a_budget_add_up_under_zero(runs: Runs, alone: dict[str, Any], engine: str, head: str) -> None:
    # What a launch leaves that was killed while DeepSpeed built its operation.
    Path(cpp_extension._get_build_directory("deepspeed_shm_comm", False), "lock").touch()
    two = runs(engine, launched(engine, runs.folder), [head], [LOG_CONFIDENCE], [[8, 2, BUDGET]])
    check(two, alone, {f"{head} log_confidence 2x8x2 {BUDGET}"})


def test_ranks_whose_batches_have_other_numbers_of_candidates(tiny_model: Callable[..., str], tmp_path: Path) -> None:
    """They log the same names, and neither waits for what the other does not send."""
    (tmp_path / "script.py").write_text(MIXED, encoding="utf-8")
    launch = [*launched("cpu_ddp"), str(tmp_path / "script.py"), str(tmp_path), tiny_model()]
    done = subprocess.run(launch, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    logs, evaluation = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    # Those of the rank that has pairs.
    assert all("min_reward" in log and 0 <= log["accuracy"] <= 1 for log in logs)
    assert "eval_accuracy" in evaluation and "eval_min_reward" not in evaluation
