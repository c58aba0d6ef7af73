"""Several recipes in one file: all checked before one runs, one report over all of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from w2s_rm.cli import main
from w2s_rm.errors import ConfigError
from w2s_rm.experiment.suite import Suite, load_suite

MakeRecipe = Callable[[Path], Path]


@pytest.fixture
def suite_file(tmp_path: Path, make_recipe: MakeRecipe) -> Path:
    """A file of two recipes, `one/recipe.yaml` and `two/recipe.yaml`."""
    for name in ("one", "two"):
        recipe = make_recipe(tmp_path / name)
        recipe.write_text(
            recipe.read_text(encoding="utf-8").replace("name: small", f"name: {name}", 1), encoding="utf-8"
        )
    return write(tmp_path, {"name": "both", "recipes": ["one/recipe.yaml", "two/recipe.yaml"]})


def write(folder: Path, content: object) -> Path:
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def mistakes(path: Path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_suite(path, overrides)
    return str(caught.value)


def test_recipes_in_their_order_from_the_folder_of_the_file(suite_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    suite = load_suite(suite_file)
    assert suite.name == "both" and suite.joint
    assert [recipe.name for recipe in suite.recipes] == ["one", "two"]


def test_one_recipe_is_a_suite_of_itself(recipe_file: Path) -> None:
    suite = load_suite(recipe_file, ["seeds=[4]"])
    assert (suite.name, suite.joint) == ("small", False)
    assert [recipe.seeds for recipe in suite.recipes] == [(4,)]
    assert Suite("report", suite.recipes).joint


def test_overrides_go_to_every_recipe(suite_file: Path) -> None:
    suite = load_suite(suite_file, ["seeds=[7]", "train.learning_rate=2e-5", "task.n_test=3"])
    for recipe in suite.recipes:
        assert recipe.seeds == (7,) and recipe.train["learning_rate"] == 2e-5 and recipe.sizes["n_test"] == 3
    assert "command line: name=x: each recipe of a suite keeps its own name" in mistakes(suite_file, "name=x")


def test_mistakes_of_all_files_at_once(suite_file: Path) -> None:
    for name, wrong in (("one", "seedz: [0]"), ("two", "trian: {}")):
        file = suite_file.parent / name / "recipe.yaml"
        file.write_text(file.read_text(encoding="utf-8") + wrong + "\n", encoding="utf-8")
    content = {
        "name": "a/b",
        "recipes": ["one/recipe.yaml", "two/recipe.yaml", "three/recipe.yaml"],
        "recipe": 1,
        "task": {},
    }
    message = mistakes(write(suite_file.parent, content))
    for text in (
        "suite.yaml: a suite that cannot be run:",
        "recipe: unknown key; did you mean 'recipes'?",
        "task: unknown key; known: name, recipes, with",
        "name: 'a/b' cannot name a run",
        "one/recipe.yaml: 1 mistake:",
        "seedz: unknown key; did you mean 'seeds'?",
        "two/recipe.yaml: 1 mistake:",
        "trian: unknown key; did you mean 'train'?",
        "three/recipe.yaml: no such recipe",
    ):
        assert text in message, message


def test_values_that_replace_those_of_each_recipe(suite_file: Path) -> None:
    content = yaml.safe_load(suite_file.read_text())
    methods = {"other": {"loss": {"name": "product"}}}
    content["with"] = {"methods": methods, "train.learning_rate": 3e-5, "seeds": [4, 5]}
    suite = load_suite(write(suite_file.parent, content), ["seeds=[6]"])
    # They are other experiments than those of the recipes alone, which may share a folder of runs with them.
    assert [recipe.name for recipe in suite.recipes] == ["both_one", "both_two"]
    for recipe in suite.recipes:
        assert list(recipe.methods) == ["other"] and recipe.methods["other"].loss == {"name": "product"}
        assert recipe.train["learning_rate"] == 3e-5 and recipe.train["per_device_train_batch_size"] == 32
        assert recipe.seeds == (6,) and recipe.content["name"] == recipe.name


def test_a_mistake_in_them_is_said_where_it_stands(suite_file: Path) -> None:
    path = suite_file.parent / "suite.yaml"
    text = path.read_text() + "with:\n  methods:\n    other: {loss: {name: prodct}}\n  seeds.a: 1\n"
    path.write_text(text)
    found = mistakes(path)
    assert "suite.yaml: line 8: 'seeds.a': seeds is a value, it holds no keys" in found, found
    path.write_text(text.replace("  seeds.a: 1\n", ""))
    assert "suite.yaml: line 7: methods.other.loss.name: " in mistakes(path), mistakes(path)


@pytest.mark.parametrize("given", [[1], "seeds", {"name": "another"}])
def test_what_replaces_nothing_or_renames(suite_file: Path, given: object) -> None:
    content = {**yaml.safe_load(suite_file.read_text()), "with": given}
    assert "holds no keys and values (or a name" in mistakes(write(suite_file.parent, content))


@pytest.mark.parametrize("recipes", [None, [], "one/recipe.yaml", [1], {"one": "one/recipe.yaml"}])
def test_what_is_no_list_of_files(suite_file: Path, recipes: object) -> None:
    message = mistakes(write(suite_file.parent, {"name": "both", "recipes": recipes}))
    assert "is no list of recipe files" in message


def test_names_must_differ(suite_file: Path) -> None:
    folder = suite_file.parent
    twice = write(folder, {"name": "both", "recipes": ["one/recipe.yaml", "one/recipe.yaml"]})
    assert "recipes: 'one' names two runs" in mistakes(twice)
    # Its own report would overwrite that of its recipe.
    assert "recipes: 'two' names two runs" in mistakes(write(folder, {"name": "two", "recipes": ["two/recipe.yaml"]}))


def test_a_suite_in_a_suite_is_refused(suite_file: Path) -> None:
    outer = suite_file.parent / "outer.yaml"
    outer.write_text(yaml.safe_dump({"name": "outer", "recipes": ["suite.yaml"]}), encoding="utf-8")
    assert "suite.yaml: " in mistakes(outer) and "recipes: unknown key" in mistakes(outer)


def test_plan_shows_every_recipe_and_refuses_before_anything_is_written(
    suite_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = suite_file.parent / "runs"
    assert main(["plan", str(suite_file), "--runs", str(runs), "seeds=[0]"]) == 0
    shown = capsys.readouterr().out
    # Their data and models have the same content: every stage is shared, and stands here once.
    assert shown.count("  missing  one: ") == 10 and "  missing  two: " not in shown
    assert f"10 stages, 10 to run; report in {runs / 'both'}" in shown
    assert "1 prepare, 2 truths, 1 relabel, 2 students, 4 evaluate" in shown
    # What the last recipe lacks shows before the first one runs.
    (suite_file.parent / "two" / "pairs.jsonl").unlink()
    assert main(["run", str(suite_file), "--runs", str(runs)]) == 2
    assert "two/pairs.jsonl: no such file" in capsys.readouterr().err
    assert not runs.exists()


WORLD = {
    "task": {"name": "world_preference", "n_entities": 12, "n_train": 80, "n_test": 40},
    "weak": {"pretrain": {"corpus": {"name": "facts", "n_entities": 12}, "hidden_size": 16, "steps": 8}},
    "strong": {"pretrain": {"corpus": {"name": "facts", "n_entities": 12}, "hidden_size": 32, "steps": 12}},
    "train": {
        "per_device_train_batch_size": 20,
        "learning_rate": 1e-3,
        "max_length": 32,
        "bf16": False,
        "gradient_checkpointing": False,
    },
}


@pytest.mark.slow
def test_a_run_of_two_settings_gives_one_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("W2S_RM_CACHE", str(tmp_path / "cache"))
    for name in ("preference", "classification"):
        task = {**WORLD["task"], "name": f"world_{name}"}
        content = {"name": name, **WORLD, "task": task}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    suite = write(tmp_path, {"name": "joint", "recipes": ["preference.yaml", "classification.yaml"]})
    runs = tmp_path / "runs"
    assert main(["run", str(suite), "--runs", str(runs)]) == 0
    progress = capsys.readouterr()
    assert "preference:\n" in progress.err and "classification:\n" in progress.err
    # Both settings start from the same two pretrained models.
    assert progress.err.count("pretrain …") == 2 and progress.err.count("pretrain: cached") == 2
    assert progress.err.count("check of the data:") == 2
    rows = {name: json.loads((runs / name / "report.json").read_text()) for name in ("preference", "classification")}
    joint = json.loads((runs / "joint" / "report.json").read_text())
    assert joint == rows["preference"] + rows["classification"] and len(joint) == 2
    assert [row["setting"] for row in joint] == ["reward_modeling", "classification"]
    assert (runs / "joint" / "report.md").is_file() and (runs / "joint" / "plot.png").is_file()
    before = (runs / "joint" / "report.json").read_bytes()
    assert main(["run", str(suite), "--runs", str(runs)]) == 0
    again = capsys.readouterr().err
    assert " …" not in again and (runs / "joint" / "report.json").read_bytes() == before
