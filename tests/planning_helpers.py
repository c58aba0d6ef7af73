"""A recipe with its data and models, small enough to plan in no time. Nothing here loads a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

RECIPE = """\
name: small
task: {{name: preference, path: {folder}/pairs.jsonl, n_train: 8, n_test: 4}}
weak:
  model_name_or_path: {folder}/models/weak
  train: {{learning_rate: 1e-4}}
strong:
  model_name_or_path: {folder}/models/strong
methods:
  naive: {{loss: {{name: cross_entropy}}}}
  logconf: {{loss: {{name: log_confidence, max_weight: 0.5}}}}
train:
  per_device_train_batch_size: 32
  learning_rate: 1e-5
seeds: [0, 1]
"""
SHAPE = {
    "model_type": "llama",
    "vocab_size": 99,
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}


@pytest.fixture(scope="session")
def make_recipe() -> Callable[[Path], Path]:
    """Write a recipe, its data and two folders that look like models into a folder."""

    def make(folder: Path) -> Path:
        for name in ("weak", "strong"):
            (folder / "models" / name).mkdir(parents=True)
            (folder / "models" / name / "config.json").write_text(json.dumps(SHAPE), encoding="utf-8")
            (folder / "models" / name / "model.safetensors").write_text(f"weights of {name}", encoding="utf-8")
        rows = [{"prompt": f"p{n}", "chosen": f" good {n}", "rejected": f" bad {n}"} for n in range(60)]
        (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        (folder / "recipe.yaml").write_text(RECIPE.format(folder=folder), encoding="utf-8")
        return folder / "recipe.yaml"

    return make


@pytest.fixture
def recipe_file(tmp_path: Path, make_recipe: Callable[[Path], Path]) -> Path:
    """The recipe in the test's own folder."""
    return make_recipe(tmp_path)
