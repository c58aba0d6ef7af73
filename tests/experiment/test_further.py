"""Further tasks of a recipe: what is planned for them, what stays as it is, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from w2s_rm.errors import ConfigError
from w2s_rm.experiment.further_route import form_problems
from w2s_rm.experiment.plan import Plan, make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.programs.prepare import prepare
from w2s_rm.stages import Stage

FEATURES = ("train.on=features", "train.layer=1", "train.l2=1.0")


def plan_of(recipe: Path, *overrides: str) -> Plan:
    return make_plan(load_recipe(recipe, overrides), recipe.parent / "runs")


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> Path:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder / name


@pytest.fixture
def other(recipe_file: Path) -> str:
    """Another task of comparisons, as an entry."""
    rows = [{"prompt": f"q{n}", "chosen": f" yes {n}", "rejected": f" no {n}"} for n in range(30)]
    return f"{{name: preference, as: other, path: {write(recipe_file.parent, 'other.jsonl', rows)}, n_test: 20}}"


def folders(plan: Plan) -> Counter[str]:
    return Counter(stage.folder.name for stage in plan.stages)


def on(plan: Plan, label: str | None) -> list[Stage]:
    return [stage for stage in plan.stages if stage.further == label]


@pytest.mark.parametrize(
    "more",
    [
        (),
        FEATURES,
        ("methods.team={loss: cross_entropy, supervisor: {name: ensemble, seeds: 2}}",),
        ("methods.team={loss: cross_entropy, supervisor: {name: simulated, accuracy: 0.8}}",),
        ("methods.again={loss: cross_entropy, rounds: 2, labels: [harden]}", "train.per_device_train_batch_size=2"),
        ("task={name: world_preference, n_test: 20}", "head=reward"),
    ],
    ids=["trained", "features", "ensemble", "simulated", "rounds", "world"],
)
def test_each_evaluation_is_planned_there_as_well_and_nothing_else_changes(
    recipe_file: Path, other: str, more: tuple[str, ...]
) -> None:
    before, after = plan_of(recipe_file, *more), plan_of(recipe_file, *more, f"also_evaluate=[{other}]")
    assert folders(after) & folders(before) == folders(before)
    assert [stage.folder for stage in on(after, None)] == [stage.folder for stage in before.stages]
    there = [
        (stage.of, stage.method, stage.seed, stage.part) for stage in on(after, "other") if stage.kind == "evaluate"
    ]
    assert there == [
        (stage.of, stage.method, stage.seed, stage.part) for stage in before.stages if stage.kind == "evaluate"
    ]
    # No training, and no labels to train on, is of the further task.
    assert not [stage for stage in on(after, "other") if stage.trains or stage.of == "labels"]
    reads = {Path(stage.config()["examples"]).parents[1] for stage in on(after, "other") if stage.kind != "prepare"}
    (prepared,) = (stage for stage in on(after, "other") if stage.kind == "prepare")
    assert reads == {prepared.folder} and prepared.config()["sizes"] == {"n_train": 0, "n_test": 20}


def test_the_models_there_are_those_of_the_own_task(recipe_file: Path, other: str) -> None:
    plan = plan_of(recipe_file, f"also_evaluate=[{other}]", "seeds=[5]")
    models: dict[tuple[str | None, str | None], set[str]] = {}
    for stage in plan.stages:
        if stage.kind == "evaluate":
            models.setdefault((stage.of, stage.method), set()).add(stage.inputs["model_name_or_path"])
    assert len(models) == 4 and all(len(found) == 1 for found in models.values())
    assert "evaluate student naive on other seed 5" in [stage.title for stage in plan.stages]


def test_probes_read_features_of_the_same_model_layer_and_pooling(recipe_file: Path, other: str) -> None:
    plan = plan_of(recipe_file, *FEATURES, "train.pooling=mean", f"also_evaluate=[{other}]")
    readings = [stage for stage in plan.stages if stage.kind == "features"]
    (there,) = (stage for stage in readings if stage.further == "other" and stage.part == "strong")
    (here,) = (
        stage
        for stage in readings
        if (stage.further, stage.part, Path(stage.config()["examples"]).stem) == (None, "strong", "test")
    )
    apart = ("examples", "other_examples", "inputs", "stage_hash")
    assert {k: v for k, v in there.config().items() if k not in apart} == {
        k: v for k, v in here.config().items() if k not in apart
    }
    judging = {
        stage.config()["features"] for stage in on(plan, "other") if stage.kind == "evaluate" and stage.of != "weak"
    }
    assert judging == {str(there.folder / "shards")}


def test_a_file_of_labels_says_nothing_of_other_tasks(recipe_file: Path, other: str) -> None:
    rows = [json.loads(line) for line in (recipe_file.parent / "pairs.jsonl").read_text().splitlines()]
    labels = write(recipe_file.parent, "labels.jsonl", [{**row, "chosen_probability": 0.9} for row in rows])
    recipe = load_recipe(recipe_file, [f"also_evaluate=[{other}]", f"weak={{labels: {labels}}}"])
    plan = make_plan(recipe, recipe_file.parent / "runs")
    judged = {(stage.of, stage.method) for stage in on(plan, "other") if stage.kind == "evaluate"}
    assert judged == {("student", "naive"), ("student", "logconf"), ("ceiling", None)}


def test_the_sizes_of_another_recipe_give_its_test_split(recipe_file: Path, other: str) -> None:
    home = f"{{name: preference, path: {recipe_file.parent}/other.jsonl, n_train: 8, n_test: 4}}"
    own = plan_of(recipe_file, f"task={home}")
    entry = other.replace("n_test: 20", "n_train: 8, n_test: 4")
    there = plan_of(recipe_file, f"also_evaluate=[{entry}]")
    (prepared,) = (stage for stage in there.stages if stage.kind == "prepare" and stage.further)
    assert prepared.folder == own.stages[0].folder


def test_the_record_says_which_task_is_which(recipe_file: Path, other: str) -> None:
    run = plan_of(recipe_file, "task.as=mine", f"also_evaluate=[{other}]").record()
    assert [(task.label, task.name) for task in run.tested] == [("mine", "preference"), ("other", "preference")]
    assert len({task.source for task in run.tested}) == 2 and run.task == "mine"
    home, there = (run.find("evaluate", "student", "naive", 1, further=label) for label in (None, "other"))
    assert home is not None and there is not None and home.folder != there.folder
    assert run.find("prepare", None, None, 0, further="other") != run.find("prepare", None, None, 0)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ("nothing", ["'nothing' is no list"]),
        ("[3]", ["also_evaluate.0: 3 is no task"]),
        ("[preferences]", ["also_evaluate.0", "did you mean 'preference'"]),
        ("[{other}, {other}]", ["also_evaluate.1: is called other as also_evaluate.0 is"]),
        ("[{own}]", ["also_evaluate.0: is called preference as task is; name it with as: …"]),
        ("[boolq]", ["also_evaluate.0: task boolq is of setting classification", "reward_modeling"]),
        ("[{wrong}]", ["also_evaluate.0.seperator", "did you mean 'separator'"]),
        ("[{few}]", ["also_evaluate.0.n_test: is 0; use at least 1"]),
        ("[{blank}]", ["also_evaluate.0.as: '' is no name"]),
        ("[{number}]", ["also_evaluate.0.as: 3 is no name"]),
    ],
)
def test_mistakes_in_a_recipe(recipe_file: Path, other: str, entries: str, words: list[str]) -> None:
    own = f"{{name: preference, path: {recipe_file.parent}/pairs.jsonl}}"
    names = {
        "{other}": other,
        "{own}": own,
        "{wrong}": other.replace("n_test", 'seperator: " ", n_test'),
        "{few}": other.replace("20", "0"),
        "{blank}": other.replace("as: other", 'as: ""'),
        "{number}": other.replace("as: other", "as: 3"),
    }
    for name, entry in names.items():
        entries = entries.replace(name, entry)
    with pytest.raises(ConfigError) as caught:
        load_recipe(recipe_file, [f"also_evaluate={entries}"])
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "command line: also_evaluate" in message and message.count("\n") == 1, message


def test_a_mistake_has_its_line(recipe_file: Path, other: str) -> None:
    text = recipe_file.read_text() + f"also_evaluate:\n  - {other}\n  - {other}\n"
    recipe_file.write_text(text)
    with pytest.raises(ConfigError, match=f"line {text.count(chr(10))}: also_evaluate.1"):
        load_recipe(recipe_file)


def test_a_word_that_goes_with_answers_makes_another_task_and_how_often_it_does_none(
    recipe_file: Path, other: str
) -> None:
    cued = other.replace("as: other", "as: cued, cue: ':'")
    plan_of(recipe_file, f"also_evaluate=[{other}, {cued}]")
    often = cued.replace("as: cued", "as: often, cue_agreement: 0.6")
    with pytest.raises(ConfigError, match=r"task often is cued under another name \(as\)"):
        plan_of(recipe_file, f"also_evaluate=[{cued}, {often}]")


def test_the_own_task_needs_something_to_train_on(recipe_file: Path) -> None:
    with pytest.raises(ConfigError, match="task.n_train: is 0, and weak model and student would be trained on nothing"):
        load_recipe(recipe_file, ["task.n_train=0"])


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ("[{own}]", ["also_evaluate.0: task mine is the recipe's own task"]),
        ("[{other}, {same}]", ["also_evaluate.1: task same is other under another name"]),
        # A default that is written out, and another number of the same examples, make no other task.
        ("[{spelled}]", ["also_evaluate.0: task mine is the recipe's own task"]),
        ("[{other}, {larger}]", ["also_evaluate.1: task same is other under another name (as), of whatever size"]),
        ("[{bare}]", ["also_evaluate.0: task other has no ground truth"]),
        ("[{lost}]", ["nowhere.jsonl: no such file"]),
    ],
)
def test_tasks_that_cannot_be_planned(recipe_file: Path, other: str, entries: str, words: list[str]) -> None:
    names = {
        "{own}": f"{{name: preference, as: mine, path: {recipe_file.parent}/pairs.jsonl, n_test: 3}}",
        "{spelled}": f"{{name: preference, as: mine, path: {recipe_file.parent}/pairs.jsonl, ties: error, n_test: 3}}",
        "{larger}": other.replace("as: other", "as: same").replace("n_test: 20", "ties: error, n_test: 10"),
        "{other}": other,
        "{same}": other.replace("as: other", "as: same"),
        "{bare}": other.replace("n_test", "response_a_column: chosen, response_b_column: rejected, n_test"),
        "{lost}": other.replace("other.jsonl", "nowhere.jsonl"),
    }
    for name, entry in names.items():
        entries = entries.replace(name, entry)
    with pytest.raises(ConfigError) as caught:
        plan_of(recipe_file, f"also_evaluate={entries}")
    assert all(word in str(caught.value) for word in words), str(caught.value)


CLASSES = "{{name: text_classification, as: {label}, path: {path}, class_names: [{names}], n_test: 4}}"


@pytest.mark.parametrize(
    ("head", "names", "refused"),
    [("classification", "bad, good", False), ("classification", "so, not so", True), ("lm", "so, not so", False)],
)
def test_classes_must_fit_a_head_that_has_an_output_for_each(
    recipe_file: Path, head: str, names: str, refused: bool
) -> None:
    rows = [{"text": f"text {n}", "label": n % 2} for n in range(60)]
    paths = [write(recipe_file.parent, f"{name}.jsonl", rows[start:]) for name, start in (("a", 0), ("b", 1))]
    own = CLASSES.format(label="own", path=paths[0], names="bad, good").replace("n_test", "n_train: 8, n_test")
    entry = CLASSES.format(label="there", path=paths[1], names=names)
    overrides = (f"task={own}", f"head={head}", f"also_evaluate=[{entry}]")
    if refused:
        with pytest.raises(ConfigError, match="has the classes ' so', ' not so', and models of head classification"):
            plan_of(recipe_file, *overrides)
        return
    plan = plan_of(recipe_file, *overrides)
    evaluations = [stage for stage in on(plan, "there") if stage.kind == "evaluate"]
    assert {tuple(stage.config()["classes"]) for stage in evaluations} == {
        tuple(f" {name}" for name in names.split(", "))
    }
    # With head lm the untrained student is scored there too.
    assert ("zero_shot" in {stage.of for stage in evaluations}) == (head == "lm")


@pytest.mark.parametrize(
    ("spoken_home", "more", "refused"),
    [(False, (), True), (True, (), False), (True, FEATURES, True)],
    ids=["conversations for text", "text for conversations", "text for features of conversations"],
)
def test_another_form_of_text_is_refused_before_anything_is_trained(
    recipe_file: Path, other: str, spoken_home: bool, more: tuple[str, ...], refused: bool
) -> None:
    home, there = recipe_file.parent / "pairs.jsonl", recipe_file.parent / "other.jsonl"
    target = home if spoken_home else there
    spoken = [
        {
            "prompt": [{"role": "user", "content": row["prompt"]}],
            **{key: [{"role": "assistant", "content": row[key].strip()}] for key in ("chosen", "rejected")},
        }
        for row in map(json.loads, target.read_text().splitlines())
    ]
    write(recipe_file.parent, target.name, spoken)
    plan = plan_of(recipe_file, *more, f"also_evaluate=[{other}]")
    assert form_problems(plan) == []
    for stage in plan.stages:
        if stage.kind == "prepare":
            stage.write_config()
            prepare(stage.arguments())
    problems = form_problems(plan)
    assert len(problems) == refused
    assert not refused or "also_evaluate: task other is" in problems[0]
