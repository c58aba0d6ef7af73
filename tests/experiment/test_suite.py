"""Several recipes in one file: all checked before one runs, one report over all of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from w2s_rm.cli import main
from w2s_rm.errors import ConfigError
from w2s_rm.experiment.suite import Suite, load_suite, load_suites

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
        "task: unknown key; known: findings, name, recipes, with",
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


def test_entries_with_a_name_and_values_of_their_own(suite_file: Path) -> None:
    recipes = [
        {"recipe": "one/recipe.yaml", "name": "slow", "with": {"train.learning_rate": 1e-6}},
        {"recipe": "one/recipe.yaml", "name": "fast", "with": {"train.learning_rate": 1e-3, "seeds": [3]}},
        {"recipe": "one/recipe.yaml", "name": "again"},
        "two/recipe.yaml",
    ]
    path = write(suite_file.parent, {"name": "both", "recipes": recipes})
    suite = load_suite(path)
    assert [recipe.name for recipe in suite.recipes] == ["both_slow", "both_fast", "both_again", "two"]
    assert [recipe.train["learning_rate"] for recipe in suite.recipes] == [1e-6, 1e-3, 1e-5, 1e-5]
    # What stands at an entry comes after what stands at all of them, and what a command says after both.
    path = write(suite_file.parent, {"name": "both", "recipes": recipes, "with": {"seeds": [5], "train.max_length": 9}})
    suite = load_suite(path, ["train.max_length=8"])
    assert [recipe.seeds for recipe in suite.recipes] == [(5,), (3,), (5,), (5,)]
    assert {recipe.train["max_length"] for recipe in suite.recipes} == {8}
    assert [recipe.name for recipe in suite.recipes] == ["both_slow", "both_fast", "both_again", "both_two"]


def test_mistakes_in_an_entry(suite_file: Path) -> None:
    path = suite_file.parent / "suite.yaml"
    path.write_text(
        "name: both\nrecipes:\n- {recipe: one/recipe.yaml, wiht: {}}\n- {recipe: one/recipe.yaml, with: {seeds: [1]}}\n"
        "- {name: a b, recipe: one/recipe.yaml}\n- {name: x}\n- {recipe: one/recipe.yaml, name: y, with: {name: z}}\n"
        "- recipe: one/recipe.yaml\n  name: w\n  with:\n    seedz: [1]\n"
    )
    message = mistakes(path)
    for text in (
        "line 3: recipes.0.wiht: unknown key; did you mean 'with'?",
        "line 4: recipes.1: with with it is another experiment than its recipe; give it a name",
        "line 5: recipes.2.name: 'a b' cannot name a run; use letters, digits and _",
        "line 6: recipes.3.recipe: None is no path of a recipe",
        "line 7: recipes.4.with: holds no keys and values (or a name, which stands beside it)",
        "suite.yaml: line 11: seedz: unknown key; did you mean 'seeds'?",
    ):
        assert text in message, message


FINDINGS = [
    {"finding": "Students win.", "hypothesis": {"name": "students_beat_supervisors", "runs": ["first", "two"]}},
    {
        "finding": "Confidence helps.",
        "hypothesis": {"name": "gain_grows_with_gap", "large": "first", "small": "two", "method": "logconf"},
        "note": "A note.",
    },
]
ENTRIES = [{"recipe": "one/recipe.yaml", "name": "first"}, "two/recipe.yaml"]


def test_what_a_suite_asks(suite_file: Path) -> None:
    assert load_suite(suite_file).asked is None
    suite = load_suite(write(suite_file.parent, {"name": "both", "recipes": ENTRIES, "findings": FINDINGS}))
    assert suite.asked is not None and suite.asked.runs == {"first": "both_first", "two": "two"}
    assert [question.finding for question in suite.asked.questions] == ["Students win.", "Confidence helps."]
    assert [question.note for question in suite.asked.questions] == [None, "A note."]


@pytest.mark.parametrize(
    ("finding", "message"),
    [
        ("Students win.", "findings.0: 'Students win.' is no mapping with finding and hypothesis"),
        ({"finding": 1, "hypothesis": "errors_matter"}, "findings.0.finding: 1 is no sentence"),
        ({"finding": " ", "hypothesis": "errors_matter"}, "findings.0.finding: ' ' is no sentence"),
        (
            {"finding": "a", "hypothesis": {"name": "students_beat_supervisors", "runs": []}},
            "findings.0.hypothesis.runs: is empty; name runs",
        ),
        ({"finding": "a", "hypothesis": None}, "findings.0.hypothesis: None is no hypothesis; write its name"),
        ({"finding": "a", "hypothesis": "x", "note": 1}, "findings.0.note: 1 is no text"),
        ({**FINDINGS[0], "hypotesis": 1}, "findings.0.hypotesis: unknown key; did you mean 'hypothesis'?"),
        (
            {"finding": "a", "hypothesis": {"name": "errors_mater"}},
            "findings.0.hypothesis.name: no hypothesis 'errors_mater'; did you mean 'errors_matter'?",
        ),
        (
            {"finding": "a", "hypothesis": {"name": "pgr_is_below", "run": "two"}},
            "findings.0.hypothesis.other: is missing; hypothesis pgr_is_below needs it",
        ),
        (
            {"finding": "a", "hypothesis": {"name": "pgr_is_below", "run": "two", "other": "frist"}},
            "findings.0.hypothesis: no run 'frist' in this suite; did you mean 'first'?",
        ),
        (
            {"finding": "a", "hypothesis": {"name": "pgr_is_below", "run": "two", "other": "first", "method": "niave"}},
            "findings.0.hypothesis: run 'two' has no method 'niave'; did you mean 'naive'?",
        ),
    ],
)
def test_a_finding_that_cannot_be_tested_is_refused(suite_file: Path, finding: object, message: str) -> None:
    content = {"name": "both", "recipes": ENTRIES, "findings": [finding]}
    assert f"line 7: {message}" in (found := mistakes(write(suite_file.parent, content))), found


SALIENT = {"name": "mistakes_are_salient", "runs": ["two", "first"]}
PEAK = {"name": "accuracy_peaks_early", "runs": ["two"], "method": "logconf"}


@pytest.mark.parametrize(
    ("hypothesis", "message", "mended"),
    [
        (
            SALIENT,
            "run 'two' does not look for its supervisors' mistakes; set saliency",
            {"saliency": {"layer": 1, "l2": 0.1}},
        ),
        (
            PEAK,
            "run 'two' does not evaluate the students of 'logconf' on their way; set train.evaluations",
            {"train.evaluations": 2, "task.n_validation": 4},
        ),
        (
            {"name": "untrained_beats_student", "run": "two"},
            "run 'two' has head reward, with which nothing is scored before a training; set head: lm",
            {
                "task": {"name": "world_classification", "n_train": 8, "n_test": 4},
                "head": "lm",
            },
        ),
        (
            {"name": "deception_exceeds_chance", "run": "two", "method": "logconf"},
            "run 'two' has no supervisor opposed in method 'logconf', whose aim would be against the truth",
            {"methods.logconf.supervisor": {"name": "opposed", "strength": 0.2, "supervisor": "model"}},
        ),
    ],
)
def test_what_runs_lack_is_said_before_they_run(
    suite_file: Path, hypothesis: object, message: str, mended: dict[str, object]
) -> None:
    content = {"name": "both", "recipes": ENTRIES, "findings": [{"finding": "a", "hypothesis": hypothesis}]}
    assert f"line 7: findings.0.hypothesis: {message}" in (found := mistakes(write(suite_file.parent, content))), found
    assert load_suite(write(suite_file.parent, {**content, "with": mended})).asked is not None


def test_evaluations_without_a_validation_split_tell_no_peak(suite_file: Path) -> None:
    findings = [{"finding": "a", "hypothesis": PEAK}]
    content = {"name": "both", "recipes": ENTRIES, "findings": findings, "with": {"train.evaluations": 2}}
    message = "run 'two' has no validation split, which chooses among evaluations; set task.n_validation"
    assert message in mistakes(write(suite_file.parent, content))


OWN_HYPOTHESIS = """
from dataclasses import dataclass

from w2s_rm.report.hypotheses import Need


@dataclass(frozen=True)
class Own:
    run: str
    task: str

    effect = "a number"
    is_ratio = False

    def students(self):
        return [(self.run, "naive")]

    def needs(self):
        return [Need("task", self.run, "naive", self.task)]

    def test(self, results):
        raise NotImplementedError
"""


def test_a_further_task_that_a_run_does_not_have(suite_file: Path) -> None:
    (suite_file.parent / "own.py").write_text(OWN_HYPOTHESIS, encoding="utf-8")
    hypothesis = {"name": f"{suite_file.parent}/own.py", "run": "two", "task": "othr"}
    content = {"name": "both", "recipes": ENTRIES, "findings": [{"finding": "a", "hypothesis": hypothesis}]}
    assert "run 'two' has no further task 'othr' (also_evaluate); there are none" in mistakes(
        write(suite_file.parent, content)
    )
    further = {"also_evaluate": [{"name": "preference", "path": "x", "as": "other"}]}
    message = mistakes(write(suite_file.parent, {**content, "with": further}))
    assert "has no further task 'othr' (also_evaluate); did you mean 'other'?" in message


def test_findings_need_runs_of_the_same_seeds(suite_file: Path) -> None:
    entries = [{**ENTRIES[0], "with": {"seeds": [1]}}, ENTRIES[1]]  # type: ignore[dict-item]
    content = {"name": "both", "recipes": entries, "findings": FINDINGS[:1]}
    assert "its runs have different seeds" in mistakes(write(suite_file.parent, content))
    for wrong in ([], {}, "none"):
        message = mistakes(write(suite_file.parent, {**content, "findings": wrong}))
        assert f"findings: {wrong!r} is no list of" in message


@pytest.mark.parametrize("recipes", [None, [], "one/recipe.yaml", [1], {"one": "one/recipe.yaml"}])
def test_what_is_no_list_of_files(suite_file: Path, recipes: object) -> None:
    message = mistakes(write(suite_file.parent, {"name": "both", "recipes": recipes}))
    assert "is no list of recipe files" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("name: 3", "line 1: name: 3 cannot name a run"),
        ("recipes: [3]", "line 2: recipes: [3] is no list of recipe files; give paths"),
        ("recipes: [one/recipe.yaml, thre.yaml]", "line 2: recipes.1: "),
        ("recipes: [one/recipe.yaml, one/recipe.yaml]", "line 2: recipes: 'one' names two runs; give one of them"),
        ("with: [a]", "line 3: with: ['a'] holds no keys and values"),
        ("findings: none", "line 3: findings: 'none' is no list of"),
        ("recipies: []", "line 3: recipies: unknown key; did you mean 'recipes'?"),
    ],
)
def test_a_mistake_of_the_suite_has_its_line(suite_file: Path, change: str, message: str) -> None:
    lines = {"name": "name: both", "recipes": "recipes: [one/recipe.yaml]", change.split(":")[0]: change}
    path = suite_file.parent / "suite.yaml"
    path.write_text("\n".join(lines.values()) + "\n", encoding="utf-8")
    assert f"  - {message}" in (found := mistakes(path)), found


def test_a_world_that_cannot_be_is_said_where_the_suite_says_so(tmp_path: Path) -> None:
    (tmp_path / "world.yaml").write_text(yaml.safe_dump({"name": "world", **WORLD}), encoding="utf-8")
    suite = write(tmp_path, {"name": "one", "recipes": ["world.yaml"], "with": {"task.n_entities": 1}})
    assert "suite.yaml: line 5: task.n_entities: is 1: set at least 3" in mistakes(suite)


def test_files_that_make_one_run_are_named(suite_file: Path) -> None:
    recipe = suite_file.parent / "one" / "recipe.yaml"
    other = suite_file.parent / "other.yaml"
    other.write_text(recipe.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_suites([recipe, other])
    assert f"{recipe} and {other}: 'one' names two runs; give one of them another name" in str(caught.value)


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


def test_plan_says_what_takes_from_verdicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "world.yaml").write_text(yaml.safe_dump({"name": "world", **WORLD}), encoding="utf-8")
    findings = [{"finding": "a", "hypothesis": {"name": "students_beat_supervisors", "runs": ["world"]}}]
    suite = write(tmp_path, {"name": "asks", "recipes": ["world.yaml"], "findings": findings})

    def said(*overrides: str) -> str:
        assert main(["plan", str(suite), "--runs", str(tmp_path / "runs"), *overrides]) == 0
        return capsys.readouterr().out

    by_seed = [f"{part}.pretrain.seed=by_seed" for part in ("weak", "strong")]
    two, three = said("seeds=[0, 1]"), said("seeds=[0, 1, 2]")
    assert "  ! The findings rest on 2 seeds" in two and "The findings rest on" not in three
    assert "  ! All seeds start from the same pretrained models" in two and "same pretrained models" in three
    assert "  ! " not in said("seeds=[0, 1, 2]", *by_seed)


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
