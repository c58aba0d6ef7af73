"""Training on frozen features from a recipe to its report, in all settings, and on several processes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from w2s_rm.data.examples import read_examples
from w2s_rm.errors import ConfigError
from w2s_rm.experiment.assemble_probe import assemble_probe
from w2s_rm.experiment.plan import Plan, make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.experiment.run import run_plan
from w2s_rm.features.store import read_features
from w2s_rm.integrations.export import Export
from w2s_rm.runs.folder import StageFolder
from w2s_rm.stages.features import Features

pytestmark = pytest.mark.slow

FACTS: dict[str, Any] = {"name": "facts", "n_entities": 20}
ENDGAMES: dict[str, Any] = {"name": "chess_endgames", "pieces": ["Q"]}
TASKS: dict[str, dict[str, Any]] = {
    "reward_modeling": {"task": {"name": "world_preference", "n_entities": 20}},
    "classification": {"task": {"name": "world_classification", "n_entities": 20}},
    "chess": {"task": {"name": "mate_in_one", "pieces": ["Q"]}, "head": "reward"},
}
SIZES = {"n_train": 200, "n_validation": 50, "n_test": 60}
METHODS = {
    "naive": {"loss": "cross_entropy"},
    "logconf": {"loss": {"name": "log_confidence", "max_weight": 0.5}},
    "confident": {"loss": "cross_entropy", "labels": [{"name": "keep_confident", "share": 0.5}]},
}


def write_recipe(folder: Path, setting: str) -> Path:
    corpus = ENDGAMES if setting == "chess" else FACTS
    models = {
        part: {
            "pretrain": {
                "corpus": corpus,
                "hidden_size": width,
                "num_hidden_layers": layers,
                "steps": steps,
                "batch_size": 64,
            }
        }
        for part, width, layers, steps in (("weak", 16, 1, 5), ("strong", 32, 3, 60))
    }
    models["weak"]["train"] = {"layer": 1}
    models["strong"]["train"] = {"layer": [1, 3]}
    train = {
        "on": "features",
        "pooling": "last",
        "l2": [0.1, 0.01],
        "learning_rate": 1e-2,
        "num_train_epochs": 5,
        "per_device_train_batch_size": 16,
        "max_length": 64,
        "bf16": False,
    }
    given = TASKS[setting]
    recipe = {"name": "tiny", **given, "task": {**given["task"], **SIZES}, **models, "methods": METHODS, "train": train}
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**recipe, "seeds": [0, 1]}, sort_keys=False), encoding="utf-8")
    return path


def planned(folder: Path, setting: str, *overrides: str) -> Plan:
    return make_plan(load_recipe(write_recipe(folder, setting), overrides), folder / "runs")


@pytest.mark.parametrize("setting", TASKS)
def test_from_a_recipe_to_its_report(setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("W2S_RM_CACHE", str(tmp_path / "cache"))
    drawn = setting == "classification"
    draws = ["task.draw=by_seed"] if drawn else []
    if setting == "reward_modeling":
        draws.append(
            "also_evaluate=[{name: world_preference, as: elsewhere, n_entities: 20, world_seed: 1, n_test: 40}]"
        )
    plan = planned(tmp_path, setting, *draws)
    run_plan(plan, lambda line: None)
    rows = json.loads((plan.run_folder / "report.json").read_text(encoding="utf-8"))
    assert [row["method"] for row in rows] == ["naive", "logconf", "confident"]
    for row in rows:
        assert row["setting"] == setting and row["n_test"] == 60 and row["seeds"] == [0, 1]
        assert all(0 <= row[f"{of}_accuracy"] <= 1 for of in ("weak", "student", "ceiling"))
        assert row["pgr"] is not None or row["gap"] == 0
        assert "cut_prompts (test)" in row["counts"]
    # The same for every seed, but where steps are taken in an order that the seed gives, or it draws other examples.
    same = rows[0]["per_seed"][0] == {**rows[0]["per_seed"][1], "seed": 0}
    assert same != drawn
    assert rows[2]["n_labelled"] == 50
    for stage in plan.stages:
        counts = StageFolder(stage.folder).manifest()["counts"]
        if stage.kind == "probe":
            choices = 2 if stage.part == "weak" else 4
            assert len(counts["path"]) == choices and all(one["steps"] > 0 for one in counts["path"])
        if stage.kind == "evaluate":
            chosen = [one for one in counts["path"] if (one["layer"], one["l2"]) == (counts["layer"], counts["l2"])]
            assert len(chosen) == 1 and 0 <= chosen[0]["accuracy"] <= 1
    if setting == "reward_modeling":
        found = json.loads((plan.run_folder / "transfer.json").read_text(encoding="utf-8"))
        tests = {(row["tested_on"], row["n_scored"], row["home"]) for row in found}
        assert tests == {("world_preference", 60, True), ("elsewhere", 40, False)} and len(found) == 2 * len(rows)
        assert [row["student_accuracy"] for row in found if row["home"]] == [row["student_accuracy"] for row in rows]
        assert all(0 <= row["ceiling_accuracy"] <= 1 for row in found)
    # Nothing is left to do, and a further method reads no features anew.
    again: list[str] = []
    run_plan(plan, again.append)
    assert all("done in" not in line for line in again)
    more = planned(tmp_path, setting, *draws, "methods.kl={loss: reverse_kl}")
    missing = {stage.kind for stage in more.stages if not stage.cached}
    assert missing == {"probe", "evaluate"}
    if drawn:
        # Of a stage whose features are those of all draws.
        student = next(stage.folder for stage in plan.stages if stage.kind == "probe" and stage.of == "student")
        assert (assemble_probe(student) / "model.safetensors").is_file()


def test_a_policy_against_what_was_trained_on_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("W2S_RM_CACHE", str(tmp_path / "cache"))
    answers = {"name": "answers", "n_entities": 20}
    policy = {
        "pretrain": {"corpus": answers, "hidden_size": 16, "num_hidden_layers": 1, "steps": 30, "batch_size": 64},
        "max_completion_length": 2,
        "evaluations": 1,
        "samples": 2,
        "train": {"max_steps": 2, "per_device_train_batch_size": 4, "bf16": False, "learning_rate": 1e-3},
        "methods": {"dpo": {}},
    }
    made = planned(
        tmp_path, "reward_modeling", f"policy={json.dumps(policy)}", "train.pooling=mean", "seeds=[0]", "task.n_test=20"
    )
    run_plan(made, lambda line: None)
    stages = {kind: [stage for stage in made.stages if stage.kind == kind] for kind in ("assemble", "policy")}
    assert len(stages["assemble"]) == len(stages["policy"]) == 5
    for stage in stages["assemble"]:
        assert StageFolder(stage.folder).manifest()["counts"]["reload_difference"] < 0.05
        assert "## Results\n\n| " in (stage.folder / "model" / "README.md").read_text(encoding="utf-8")
    rows = json.loads((made.run_folder / "policy.json").read_text(encoding="utf-8"))
    assert {row["method"] for row in rows} == {"naive", "logconf", "confident"}
    # Its model is a linear one, and a folder of what was made of it is a model.
    with pytest.raises(ConfigError, match=r"is a linear model on features.*run w2s-rm assemble .*/stages/probe-"):
        Export(made.run_folder, of="student", method="naive").preferences()
    student = next(stage for stage in stages["assemble"] if stage.method == "naive")
    exported = Export(made.run_folder, split="test", model=student.model.path).preferences()
    assert exported.counts["rows"] == 20


@pytest.mark.parametrize("launch", ["cpu_ddp", "cpu_zero3"])
def test_two_processes_make_the_shards_of_one(launch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("W2S_RM_CACHE", str(tmp_path / "cache"))
    size = "task.n_train=1200"
    alone = planned(tmp_path, "reward_modeling", size)
    together = make_plan(load_recipe(tmp_path / "tiny.yaml", [size, f"accelerate_config={launch}"]), tmp_path / "two")
    made = []
    for plan in (alone, together):
        for stage in plan.stages:
            if stage.kind in ("prepare", "pretrain") and not stage.cached:
                stage.write_config()
                stage.run(stage.arguments())
        reading = (stage for stage in plan.stages if isinstance(stage, Features) and stage.part == "strong")
        made.append(next(stage for stage in reading if stage.examples.path.endswith("relabel.parquet")))
    one, two = made
    assert one.hash == two.hash and one.folder != two.folder
    one.write_config()
    one.run(one.arguments())
    two.write_config()
    assert "accelerate.commands.launch" in two.command()
    run = subprocess.run(two.command(), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    ids = [example.id for example in read_examples(Path(one.examples.path))]
    for column in one.columns:
        ours, theirs = (read_features(stage.folder / "shards", column, ids) for stage in made)
        assert ours.counts == theirs.counts
        torch.testing.assert_close(ours.values_FD, theirs.values_FD, rtol=0, atol=1e-2)
    assert StageFolder(two.folder).manifest()["counts"]["shards"] == 3
