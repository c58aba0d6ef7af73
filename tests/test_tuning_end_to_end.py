"""Tuning from a recipe to its report: trials are trained, validation chooses one, and all that follows takes it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from w2s_rm.cli import main
from w2s_rm.data.examples import read_examples
from w2s_rm.data.label_files import read_labels
from w2s_rm.data.predictions import read_predictions
from w2s_rm.experiment.plan import Plan, make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.experiment.run import run_plan
from w2s_rm.integrations.export import Export
from w2s_rm.integrations.rewards import reward_function
from w2s_rm.report import write_report
from w2s_rm.runs.folder import StageFolder
from w2s_rm.stages.choice import Choice
from w2s_rm.stages.evaluate import Evaluate

pytestmark = pytest.mark.slow

FACTS: dict[str, Any] = {"name": "facts", "n_entities": 20}
TRAIN: dict[str, Any] = {
    "num_train_epochs": 1,
    "per_device_train_batch_size": 25,
    "bf16": False,
    "gradient_checkpointing": False,
    "max_length": 64,
}


def write_recipe(folder: Path, train: dict[str, Any], tune: dict[str, Any]) -> Path:
    models: dict[str, Any] = {
        part: {
            "pretrain": {
                "corpus": FACTS, "hidden_size": width, "num_hidden_layers": 2, "steps": steps, "batch_size": 64,
            }
        }
        for part, width, steps in (("weak", 16, 30), ("strong", 32, 60))
    }  # fmt: skip
    recipe = {
        "name": "tiny",
        "task": {"name": "world_preference", "n_entities": 20, "n_train": 200, "n_validation": 60, "n_test": 60},
        **models,
        "methods": {"naive": {"loss": "cross_entropy"}, "logconf": {"loss": "log_confidence"}},
        "train": train,
        "tune": tune,
        "seeds": [0],
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


def mean_loss(scores: list[tuple[float, ...]], targets: list[tuple[float, ...]]) -> float:
    """By an optimizer that knows no derivative, at the temperature that it finds."""

    def at(steepness: float) -> float:
        return float(-(np.array(targets) * log_softmax(steepness * np.array(scores), axis=1)).sum(axis=1).mean())

    found = minimize_scalar(at, bounds=(0, 1000), method="bounded", options={"xatol": 1e-9})
    return min(float(found.fun), at(0.0))


def check_choices(plan: Plan) -> dict[str, dict[str, Any]]:
    """Every choice is that of the lowest loss, by the labels that its role may see; return the counts by title."""
    counts_of = {}
    for stage in plan.stages:
        if not isinstance(stage, Choice):
            continue
        counts = StageFolder(stage.folder).manifest()["counts"]
        examples = read_examples(Path(stage.examples.path))
        targets = [example.targets for example in examples]
        if stage.of == "student":
            assert stage.labels is not None
            by_id = {label.id: label.probabilities for label in read_labels(stage.labels.path)}
            targets = [by_id[example.id] for example in examples]
        assert counts["chosen_by"] == ("labels" if stage.of == "student" else "truth")
        assert counts["n_validation"] == len(examples) == 60
        losses = []
        for trial, scores in zip(counts["trials"], stage.scores, strict=True):
            predicted = read_predictions(Path(scores.path))
            assert predicted.ids == tuple(example.id for example in examples)
            losses.append(mean_loss(list(predicted.scores), targets))  # type: ignore[arg-type]
            assert trial["validation_loss"] == pytest.approx(losses[-1], abs=1e-6)
            right = [row.index(max(row)) == gold for row, gold in zip(predicted.scores, predicted.gold, strict=True)]
            assert trial["validation_accuracy"] == pytest.approx(np.mean(right))
        assert counts["chosen"] == losses.index(min(losses))
        # What follows loads it as if it were a training.
        chosen = Path(stage.trials[counts["chosen"]].path)
        weights = "" if chosen.is_file() else "model.safetensors"
        assert (Path(stage.model.path) / weights).samefile(chosen / weights)
        counts_of[stage.title] = counts
    return counts_of


def test_from_a_recipe_to_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("W2S_RM_CACHE", str(tmp_path / "cache"))
    recipe = write_recipe(tmp_path, TRAIN, {"learning_rate": [1e-4, 3e-3], "loss.max_weight": [0.25, 0.75]})
    plan = make_plan(load_recipe(recipe), tmp_path / "runs")
    main(["plan", str(recipe), "--runs", str(tmp_path / "runs")])
    said = capsys.readouterr().out
    assert "4 choices" in said
    assert "tuned: 2 trials for weak, student naive, ceiling; 4 trials for student logconf; chosen on 60 valid" in said
    assert "! few to choose by: 60 examples show a difference of 8.0 points" in said
    lines: list[str] = []
    run_plan(plan, lines.append)
    counts = check_choices(plan)
    assert set(counts) == {"weak seed 0", "student naive seed 0", "student logconf seed 0", "ceiling seed 0"}

    folder = plan.run_folder
    naive, _ = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert naive["student_accuracy"] is not None and "cut_prompts (weak)" in naive["counts"]
    rows = json.loads((folder / "tuning.json").read_text(encoding="utf-8"))
    assert len(rows) == 2 + 2 + 4 + 2 and sum(row["chosen"] for row in rows) == 4
    assert not [name for row in rows for name in row if "test" in name]
    with (folder / "tuning.csv").open(newline="", encoding="utf-8") as stream:
        assert next(csv.DictReader(stream))["values"] == "learning_rate 0.0001"
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "## Tuning" in report and "not all models were chosen from as many trials: 2 for" in report
    # Of the trials only the chosen ones are tested: as many evaluations of the test split as there are models.
    judged = [stage for stage in plan.stages if isinstance(stage, Evaluate)]
    tested = [stage for stage in judged if Path(stage.examples.path).stem == "test"]
    assert len(tested) == 4 and len(judged) == 4 + len(rows)

    # Nothing is left to do, and a further value trains what it adds and no more.
    again: list[str] = []
    run_plan(plan, again.append)
    assert all("done in" not in line for line in again)
    more = make_plan(load_recipe(recipe, ["tune.learning_rate=[1e-4,3e-3,1e-2]"]), tmp_path / "runs")
    trained = [stage for stage in more.stages if stage.kind == "train" and not stage.cached]
    weak = [stage for stage in trained if stage.part == "weak"]
    assert len(weak) == 1

    # Moved, the run's report and models are those that they were.
    shutil.move(tmp_path / "runs", tmp_path / "moved")
    write_report([tmp_path / "moved" / "tiny"], tmp_path / "out")
    for name in ("report.json", "tuning.json", "tuning.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "moved" / "tiny" / name).read_bytes()
    exported = Export(tmp_path / "moved" / "tiny", of="student", method="naive", split="test").preferences()
    assert exported.counts["rows"] == 60
    student = next(stage for stage in plan.stages if isinstance(stage, Choice) and stage.method == "naive")
    model = tmp_path / "moved" / "stages" / student.folder.name / "model"
    examples = read_examples(Path(str(student.examples.path).replace("/runs/", "/moved/")))[:5]
    rewards = reward_function(str(model))([e.prompt for e in examples], [e.candidates[0] for e in examples])
    taken = StageFolder(model.parent).manifest()["counts"]["chosen"]
    file = Path(student.scores[taken].path.replace("/runs/", "/moved/"))
    assert rewards == pytest.approx([row[0] for row in read_predictions(file).scores[:5]], abs=1e-5)
    card = (model / "README.md").read_text(encoding="utf-8")
    assert "of 2 trials, by the labels of 60 validation examples" in card and "## Results\n\n| " in card
    # Its labels are those of the weak trial that was chosen.
    weak = next(stage for stage in plan.stages if isinstance(stage, Choice) and stage.of == "weak")
    supervisor = Path(weak.trials[counts["weak seed 0"]["chosen"]].path).parent.name
    assert f"trained on the ground truth ({supervisor})" in card and "\n- student" in card.partition("\n---\n")[0]


def test_losses_on_frozen_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("W2S_RM_CACHE", str(tmp_path / "cache"))
    train = {"on": "features", "layer": [1, 2], "l2": 0.1, "num_train_epochs": 3, "bf16": False, "max_length": 64}
    recipe = write_recipe(tmp_path, train, {"loss.max_weight": [0.0, 0.9], "learning_rate": [1e-3, 1e-1]})
    plan = make_plan(load_recipe(recipe), tmp_path / "runs")
    run_plan(plan, lambda line: None)
    # With cross-entropy nothing is left to a learning rate: there is one training, and nothing to choose.
    counts = check_choices(plan)
    assert set(counts) == {"student logconf seed 0"}
    (only,) = counts.values()
    assert len(only["trials"]) == 4 and len(only["path"]) == 2
    rows = json.loads((plan.run_folder / "features.json").read_text(encoding="utf-8"))
    assert {row["method"] for row in rows} == {"naive", "logconf"}
