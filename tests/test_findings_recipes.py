"""The suites that state findings, `recipes/findings.yaml` and `recipes/questions`, each in small, from nothing on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from w2s_rm.cli import main
from w2s_rm.experiment.suite import Suite, load_suite

ROOT = Path(__file__).parents[1] / "recipes"
SUITES = [ROOT / "findings.yaml", *sorted((ROOT / "questions").glob("*.yaml"))]
SMALL = [
    "seeds=[0]",
    "task.n_examples=700",
    "task.n_train=160",
    "task.n_validation=40",
    "task.n_test=60",
]


def small(path: Path) -> list[str]:
    """A suite with little of everything; a grid names its models, all others have a weak and a strong one."""
    names = list(yaml.safe_load(path.read_text(encoding="utf-8")).get("models") or {})
    others = set.intersection(*(set(recipe.models()) for recipe in load_suite(path).recipes)) - {"weak", "strong"}
    parts = [f"models.{name}" for name in names] or ["weak", "strong", *(f"models.{name}" for name in sorted(others))]
    # Its steps are fewer than the evaluations that the recipe asks for.
    few = ["methods.naive.train.evaluations=2"] if path.stem == "findings" else []
    return [*(f"{part}.pretrain.steps=3" for part in parts), *SMALL, *few]


def stated(suite: Suite) -> list[str]:
    assert suite.asked is not None
    return [question.finding for question in suite.asked.questions]


def test_the_findings_of_the_paper_are_eight() -> None:
    suite = load_suite(ROOT / "findings.yaml")
    assert suite.asked is not None and len(suite.asked.questions) == 8
    assert len({str(question.hypothesis["name"]) for question in suite.asked.questions}) == 8


def test_the_documents_state_what_is_tested() -> None:
    text = (ROOT.parent / "docs" / "questions.md").read_text(encoding="utf-8")
    for finding in stated(load_suite(ROOT / "findings.yaml")):
        assert f" | {finding.removesuffix('.')}" in text, finding
    # What no test can show, absence, is not stated: a large gap is set beside a small one.
    assert not any(" not at " in finding for finding in stated(load_suite(ROOT / "findings.yaml")))


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_every_seed_has_models_of_its_own(path: Path) -> None:
    for recipe in load_suite(path).recipes:
        assert len(recipe.seeds) >= 3
        for spec in recipe.models().values():
            assert spec.pretrain is not None and spec.pretrain["seed"] == "by_seed", recipe.name


@pytest.mark.slow
@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_in_small(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("W2S_RM_CACHE", str(tmp_path / "cache"))
    runs, suite = tmp_path / "runs", load_suite(path, small(path))
    assert main(["run", str(path), *small(path), "--runs", str(runs)]) == 0
    folder = runs / suite.name
    found = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    assert [row["finding"] for row in found] == stated(suite)
    for row in found:
        assert row["verdict"] in ("shown", "not shown", "opposite") and row["n_seeds"] == 1 and row["panel"]["series"]
        assert row["recipe"].startswith(f"{suite.name}_")
    assert "rest on one seed" in (folder / "report.md").read_text(encoding="utf-8")
    before = {name: (folder / name).read_bytes() for name in ("findings.json", "findings.md", "findings.png")}
    # From the files alone, without models.
    assert main(["report", str(folder), "--output", str(tmp_path / "again")]) == 0
    assert {name: (tmp_path / "again" / name).read_bytes() for name in before} == before
