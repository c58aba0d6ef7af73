"""`recipes/methods`: each label transform, preparation and supervisor that a world has, in each setting, in small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from w2s_rm import catalog
from w2s_rm.cli import main
from w2s_rm.experiment.plan import make_plan
from w2s_rm.experiment.recipe import load_recipe

ROOT = Path(__file__).parents[1] / "recipes" / "methods"
SMALL = {
    "reward_modeling": "task={name: world_preference, n_train: 240, n_validation: 60, n_test: 60}",
    "classification": "task={name: world_classification, n_train: 240, n_validation: 60, n_test: 60}",
    "chess": "task={name: mate_in_one, n_examples: 400, n_train: 240, n_validation: 60, n_test: 60}",
}
SIZES = ["weak.pretrain.steps=3", "models.medium.pretrain.steps=3", "strong.pretrain.steps=3", "seeds=[0]"]
# Models of three steps may say one class of everything, or agree on hardly anything, and transforms refuse such labels.
KNOWING = "{name: simulated, accuracy: 0.8}"
SECOND = "{name: simulated, accuracy: 0.9}"
TRANSFORMS = ("harden", "temperature", "balance", "keep_confident", "agree")
# Of solutions in steps, as recipes/process has them.
_STEPWISE = {"outcome", "keep_solutions"}
WITHOUT = {
    # Of exchangeable candidates there is no mean label to balance; under `lm` there is no head to train first.
    "reward_modeling": {"balance", *_STEPWISE},
    "classification": _STEPWISE,
    "chess": {"balance", "head_first", *_STEPWISE},
}


def named(setting: str, kind: str) -> set[str]:
    """The components of a kind that the methods of a recipe name, inner supervisors included."""

    def walk(value: Any) -> set[str]:
        if isinstance(value, dict):
            return {value.get("name")} & known | {name for inner in value.values() for name in walk(inner)}
        return {name for inner in value for name in walk(inner)} if isinstance(value, list | tuple) else set()

    known = set(catalog.names(kind))
    fields = {"supervisors": ("supervisor", "labels"), "labels": ("labels",), "preparations": ("before",)}[kind]
    methods = load_recipe(ROOT / f"{setting}.yaml", ()).methods.values()
    return {name for method in methods for field in fields for name in walk(getattr(method, field))}


@pytest.mark.parametrize("setting", list(WITHOUT))
def test_every_component_has_a_method(setting: str) -> None:
    for kind in ("labels", "preparations"):
        assert named(setting, kind) == set(catalog.names(kind)) - WITHOUT[setting], kind
    # What is trained elsewhere or stands in a file is no part of a world, debaters have read texts of their own, and
    # who is against the truth belongs to recipes/questions/deception.yaml.
    others = {"trained", "file", "debate", "opposed"}
    assert named(setting, "supervisors") == set(catalog.names("supervisors")) - others


@pytest.mark.parametrize("name", ["world_chains", "big_bench_mistake_features"])
def test_solutions_are_supervised_by_steps_and_by_outcome(name: str) -> None:
    methods = load_recipe(ROOT.parent / "process" / f"{name}.yaml", ()).methods.values()
    used = [entry if isinstance(entry, str) else entry["name"] for method in methods for entry in method.labels]
    assert set(used) == _STEPWISE and any(not method.labels for method in methods)


@pytest.mark.slow
@pytest.mark.parametrize("setting", list(WITHOUT))
def test_all_methods_run(setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("W2S_RM_CACHE", str(tmp_path / "cache"))
    methods = load_recipe(ROOT / f"{setting}.yaml", ()).methods
    overrides = [SMALL[setting], *SIZES, f"methods.agree.labels=[{{name: agree, supervisor: {SECOND}}}]"]
    overrides += [f"methods.{name}.supervisor={KNOWING}" for name in TRANSFORMS if name in methods]
    assert main(["run", str(ROOT / f"{setting}.yaml"), *overrides, "--runs", str(tmp_path / "runs")]) == 0
    recipe = load_recipe(ROOT / f"{setting}.yaml", overrides)
    rows = json.loads((tmp_path / "runs" / recipe.name / "report.json").read_text(encoding="utf-8"))
    assert [row["method"] for row in rows] == list(recipe.methods)
    for row in rows:
        assert all(0 <= row[f"{of}_accuracy"] <= 1 for of in ("weak", "student", "ceiling")), row["method"]
        assert row["n_labelled"] > 0 and row["reliable"] is not None, row["method"]
    labelled, weak = ({row["method"]: row[field] for row in rows} for field in ("n_labelled", "weak_accuracy"))
    # 120 examples are labelled, half of which `keep_confident` keeps; 60 are tested, simulations are as right as asked.
    whole = {name: number for name, number in labelled.items() if name not in ("keep_confident", "agree")}
    assert set(whole.values()) == {120} and labelled["keep_confident"] == 60 and 0 < labelled["agree"] < 120
    for name, method in recipe.methods.items():
        if method.supervisor is not None and method.supervisor["name"] == "simulated":
            assert abs(weak[name] - method.supervisor["accuracy"]) < 1 / 60, name
    prepared = {name for name, method in recipe.methods.items() if method.before or method.model != "strong"}
    assert {row["method"] for row in rows if row["plain_ceiling_accuracy"] is not None} == prepared
    assert all(stage.cached for stage in make_plan(recipe, tmp_path / "runs").stages)
