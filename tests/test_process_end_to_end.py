"""Solutions in steps from a recipe to its report, trained and on frozen features; and what is left loads elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoModelForTokenClassification, AutoTokenizer

from w2s_rm.data.examples import read_examples
from w2s_rm.data.predictions import read_predictions
from w2s_rm.errors import ConfigError
from w2s_rm.experiment.assemble_probe import assemble_probe
from w2s_rm.experiment.plan import make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.experiment.run import run_plan
from w2s_rm.runs.folder import StageFolder
from w2s_rm.tasks.world_chains import SEPARATOR

WORLD = {"n_entities": 10, "n_steps": 3}
ON_FEATURES = {"on": "features", "pooling": "last", "layer": 1, "l2": 0.01, "max_length": 64, "bf16": False}
TRAINED = {
    "num_train_epochs": 1,
    "per_device_train_batch_size": 16,
    "learning_rate": 1e-3,
    "max_length": 64,
    "bf16": False,
    "gradient_checkpointing": False,
}


def write_recipe(folder: Path, train: dict[str, Any], **more: Any) -> Path:
    def model(width: int, steps: int) -> dict[str, Any]:
        sizes = {"hidden_size": width, "num_hidden_layers": 1, "steps": steps, "batch_size": 32}
        return {"pretrain": {"corpus": {"name": "chains", **WORLD}, **sizes}}

    recipe = {
        "name": "tiny",
        "task": {"name": "world_chains", **WORLD, "n_problems": 60, "n_train": 240, "n_test": 96},
        "weak": model(16, 3),
        "strong": model(32, 20),
        "methods": {
            "steps": {"loss": "cross_entropy"},
            "outcome": {"loss": "cross_entropy", "labels": ["outcome"]},
            "few": {"loss": "cross_entropy", "labels": [{"name": "keep_solutions", "share": 0.5}]},
        },
        "train": train,
        "seeds": [0],
        **more,
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


@pytest.mark.parametrize("train", [TRAINED, ON_FEATURES], ids=["trained", "features"])
def test_from_a_recipe_to_its_report(train: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("W2S_RM_CACHE", str(tmp_path / "cache"))
    # Models of a few steps may say one class of everything, which transforms refuse.
    supervisor = {"name": "simulated", "accuracy": 0.8}
    path = write_recipe(tmp_path, train)
    overrides = [f"methods.{name}.supervisor={json.dumps(supervisor)}" for name in ("steps", "outcome", "few")]
    plan = make_plan(load_recipe(path, overrides), tmp_path / "runs")
    run_plan(plan, lambda line: None)
    rows = json.loads((plan.run_folder / "report.json").read_text(encoding="utf-8"))
    # Whole problems of four solutions of three steps.
    n_labelled = {row["method"]: row["n_labelled"] for row in rows}
    assert n_labelled["steps"] % 12 == 0 and n_labelled["steps"] >= 120
    assert n_labelled["outcome"] == n_labelled["steps"] / 3 and n_labelled["few"] == n_labelled["steps"] / 2
    found = json.loads((plan.run_folder / "process.json").read_text(encoding="utf-8"))
    assert len(found) == 3 * 5 and {row["method"] for row in found} == set(n_labelled)
    chosen = [row for row in found if row["measure"].startswith("right solution chosen")]
    assert {row["n_scored"] for row in chosen} == {rows[0]["n_test"] / 12}
    assert {row["chance"] for row in chosen} == {0.25}
    kind = "features" if train is ON_FEATURES else "train"
    layouts = {StageFolder(s.folder).manifest()["counts"]["layout"] for s in plan.stages if s.kind == kind}
    assert layouts and all(layout.startswith("shared_prefix") for layout in layouts)
    student = next(s for s in plan.stages if s.kind in ("train", "probe") and s.of == "student")
    evaluated = next(s for s in plan.stages if s.kind == "evaluate" and s.of == "student")
    folder = assemble_probe(student.folder) if train is ON_FEATURES else student.folder / "model"
    prepared = next(s for s in plan.stages if s.kind == "prepare")
    assert_scores(folder, prepared.folder, evaluated.folder, 0.02 if train is ON_FEATURES else 1e-4)


def assert_scores(model: Path, prepared: Path, evaluated: Path, tolerance: float) -> None:
    """Plain transformers reads a whole solution, and finds at the ends of its steps what the run found."""
    loaded = AutoModelForTokenClassification.from_pretrained(model)
    assert loaded.config.id2label == {0: "wrong", 1: "right"}
    tokenizer = AutoTokenizer.from_pretrained(model)
    said = read_predictions(evaluated / "predictions.parquet")
    scores = dict(zip(said.ids, said.scores, strict=True))
    *_, last = read_examples(prepared / "examples" / "test.parquet")
    problem, *steps = str(last.prompt).replace(" ? ", " ?| ", 1).split("|")
    ids: list[int] = tokenizer(problem, add_special_tokens=False).input_ids
    for number, step in enumerate(steps[0].split(SEPARATOR.strip())[:-1]):
        ids += tokenizer(step + SEPARATOR, add_special_tokens=False).input_ids
        with torch.no_grad():
            logits = loaded(torch.tensor([ids])).logits[0, -1].tolist()
        name = f"{last.id.rpartition('-')[0]}-{number}"
        margin = scores[name][1] - scores[name][0]
        assert logits[1] - logits[0] == pytest.approx(margin, abs=tolerance * max(1.0, abs(margin)))


def test_what_does_not_fit_is_refused_before_anything_runs(tmp_path: Path) -> None:
    mean = write_recipe(tmp_path, {**ON_FEATURES, "pooling": "mean"})
    with pytest.raises(ConfigError, match="pooling mean: head steps reads a text at its end, where others go on"):
        make_plan(load_recipe(mean, ()), tmp_path / "runs")
    mistakes = "saliency={layer: 1, l2: 0.1, pooling: mean_candidate}"
    with pytest.raises(ConfigError, match="saliency.pooling: pooling mean_candidate: head steps reads"):
        make_plan(load_recipe(write_recipe(tmp_path, TRAINED), [mistakes]), tmp_path / "runs")
    no_steps = ["task={name: world_classification, n_entities: 10, n_train: 100, n_test: 20}"]
    facts = [f"{part}.pretrain.corpus={{name: facts, n_entities: 10}}" for part in ("weak", "strong")]
    with pytest.raises(ConfigError, match="labels: outcome: needs solutions in steps, and setting classification"):
        make_plan(load_recipe(write_recipe(tmp_path, TRAINED), [*no_steps, *facts]), tmp_path / "runs")
