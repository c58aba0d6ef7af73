"""What needs a GPU, as a user runs it: each setting, features, policies, engines. Skipped where there is none.

Quantised bases run on CPUs, too: `tests/test_quantised.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from training_helpers import stage_folders

from benchmarks import invariance
from w2s_rm.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")]

ROOT = Path(__file__).resolve().parents[1]
FACTS: dict[str, Any] = {"name": "facts", "n_entities": 16}
TASKS: dict[str, dict[str, Any]] = {
    "reward_modeling": {"name": "world_preference", "n_entities": 16, "n_train": 400, "n_test": 200},
    "classification": {"name": "world_classification", "n_entities": 16, "n_train": 200, "n_test": 150},
    "chess": {"name": "mate_in_one", "pieces": ["Q"], "n_train": 200, "n_test": 100},
    "process": {"name": "world_chains", "n_entities": 16, "n_train": 200, "n_test": 100},
}


def run(setting: str, folder: Path, **more: Any) -> list[dict[str, Any]]:
    """Run a small recipe of a setting on the GPU, in bfloat16, and return the rows of its report."""
    corpus = {"name": "chess_endgames", "pieces": ["Q"]} if setting == "chess" else FACTS
    weak, strong = more.pop("weak", {}), more.pop("strong", {})
    sizes = {"corpus": corpus, "num_hidden_layers": 2, "batch_size": 64}
    recipe = {
        "name": "card",
        "task": TASKS[setting],
        "weak": {"pretrain": {**sizes, "hidden_size": 64, "steps": 60}, **weak},
        "strong": {"pretrain": {**sizes, "hidden_size": 128, "steps": 200}, **strong},
        "methods": {"naive": {"loss": "cross_entropy"}, "logconf": {"loss": "log_confidence"}},
        "seeds": [0],
        **more,
        "train": {
            "num_train_epochs": 1,
            "per_device_train_batch_size": 16,
            "per_device_eval_batch_size": 50,
            "learning_rate": 3e-4,
            "max_length": 128,
            "bf16": True,
            "gradient_checkpointing": True,
            **more.get("train", {}),
        },
    }
    (folder / "card.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("W2S_RM_CACHE", str(folder / "cache"))
        assert main(["run", str(folder / "card.yaml"), "--runs", str(folder / "runs")]) == 0
    rows: list[dict[str, Any]] = json.loads((folder / "runs" / "card" / "report.json").read_text(encoding="utf-8"))
    return rows


@pytest.mark.parametrize("setting", list(TASKS))
def test_a_run_of_each_setting(setting: str, tmp_path: Path) -> None:
    rows = run(setting, tmp_path)
    assert {row["method"] for row in rows} == {"naive", "logconf"}
    for row in rows:
        assert all(0 < row[f"{of}_accuracy"] <= 1 for of in ("weak", "student", "ceiling"))
    for folder in stage_folders(tmp_path / "runs", "student"):
        counts = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["counts"]
        assert counts["reload_difference"] < 5e-2


def test_features_in_bfloat16(tmp_path: Path) -> None:
    on = {"on": "features", "pooling": "last", "l2": [0.01, 0.1], "gradient_checkpointing": False}
    rows = run(
        "reward_modeling",
        tmp_path,
        task={**TASKS["reward_modeling"], "n_validation": 60},
        weak={"train": {"layer": 1}},
        strong={"train": {"layer": [1, 2]}},
        train=on,
        methods={"naive": {"loss": "cross_entropy"}},
    )
    assert 0.5 < rows[0]["ceiling_accuracy"] <= 1


def test_policies_of_each_trainer(tmp_path: Path) -> None:
    short = {"per_device_train_batch_size": 16, "max_steps": 4, "learning_rate": 1e-4}
    sampled = {**short, "num_generations": 4}
    methods = {
        "dpo": {"trainer": "dpo", "train": short},
        "rloo": {"trainer": "rloo", "train": sampled},
        "grpo": {"trainer": "grpo", "train": sampled},
    }
    policy = {
        "pretrain": {"corpus": {"name": "answers", "n_entities": 16}, "hidden_size": 64, "steps": 60},
        "max_completion_length": 2,
        "methods": methods,
        "train": {"bf16": True, "gradient_checkpointing": False},
    }
    task = {**TASKS["reward_modeling"], "n_validation": 100}
    run("reward_modeling", tmp_path, policy=policy, task=task, methods={"naive": {"loss": "cross_entropy"}})
    found = json.loads((tmp_path / "runs" / "card" / "policy.json").read_text(encoding="utf-8"))
    assert {row["trainer"] for row in found} == set(methods)


@pytest.mark.parametrize(
    "way",
    [
        "1x32, prompt once, 96 tokens a pass",
        "1x32, killed and resumed",
        "2x16",
        "ZeRO-3, 2x16",
        "LoRA, 1x32, prompt once, 96 tokens a pass",
        *(name for name, way in invariance.WAYS.items() if way.card),
    ],
)
def test_a_card_gives_the_same_in_every_way(way: str) -> None:
    """Beside the plain run on the card; two processes compute on CPUs."""
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.invariance", "--only", way], cwd=ROOT, capture_output=True, text=True
    )
    print(process.stdout)
    assert process.returncode == 0, process.stdout + process.stderr[-3000:]
