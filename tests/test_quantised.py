"""Adapters on quantised bases, with the real bitsandbytes; on a GPU where there is one.

`make` installs it into a folder of its own: where it can be imported, all that imports peft imports it, and is slower.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from training_helpers import stage_folders

pytestmark = pytest.mark.slow

APART = Path(sys.prefix) / "quantising"
ADAPTER = {"use_peft": True, "lora_r": 8, "lora_target_modules": ["all-linear"], "dtype": "bfloat16"}
TASKS: dict[str, dict[str, Any]] = {
    "reward_modeling": {"name": "world_preference", "n_entities": 16, "n_train": 120, "n_test": 60},
    "classification": {"name": "world_classification", "n_entities": 16, "n_train": 120, "n_test": 60},
    "chess": {"name": "mate_in_one", "pieces": ["Q"], "n_train": 120, "n_test": 60},
}
TRAIN = {
    "num_train_epochs": 1,
    "per_device_train_batch_size": 16,
    "per_device_eval_batch_size": 60,
    "learning_rate": 1e-2,
    "max_length": 128,
    "bf16": True,
    "gradient_checkpointing": True,
}


@pytest.mark.parametrize(
    ("setting", "bits"),
    [("reward_modeling", "load_in_4bit"), ("classification", "load_in_8bit"), ("chess", "load_in_4bit")],
)
def test_from_a_recipe_to_its_report(setting: str, bits: str, tmp_path: Path) -> None:
    """The adapter is merged into the dequantised base, and the folder scores as the merged model does."""
    if importlib.util.find_spec("bitsandbytes") is None and not (APART / "bitsandbytes").is_dir():
        pytest.skip("bitsandbytes is not installed")
    corpus = {"name": "chess_endgames", "pieces": ["Q"]} if setting == "chess" else {"name": "facts", "n_entities": 16}
    sizes = {"corpus": corpus, "num_hidden_layers": 2, "batch_size": 32}
    recipe = {
        "name": "quantised",
        "task": TASKS[setting],
        "weak": {"pretrain": {**sizes, "hidden_size": 32, "steps": 10}},
        "strong": {"pretrain": {**sizes, "hidden_size": 64, "steps": 40}, **ADAPTER, bits: True},
        "methods": {"naive": {"loss": "cross_entropy"}},
        "train": TRAIN,
        "seeds": [0],
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    place, cache = os.environ.get("PYTHONPATH"), str(tmp_path / "cache")
    found = os.pathsep.join([str(APART), *([place] if place else [])])
    process = subprocess.run(
        [sys.executable, "-m", "w2s_rm.cli", "run", str(tmp_path / "recipe.yaml"), "--runs", str(tmp_path / "runs")],
        env={**os.environ, "PYTHONPATH": found, "W2S_RM_CACHE": cache},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout + process.stderr[-3000:]
    (row,) = json.loads((tmp_path / "runs" / "quantised" / "report.json").read_text(encoding="utf-8"))
    assert row["student_accuracy"] is not None and row["ceiling_accuracy"] is not None
    for role in ("student", "ceiling"):
        (folder,) = stage_folders(tmp_path / "runs", role)
        counts = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["counts"]
        assert counts["adapter_difference"] <= 5e-2 and counts["reload_difference"] <= 5e-2
        # Of the adapter alone nothing is quantised; what is saved is an ordinary folder.
        saved = json.loads((folder / "model" / "config.json").read_text(encoding="utf-8"))
        assert "quantization_config" not in saved and saved["dtype"] == "bfloat16"
