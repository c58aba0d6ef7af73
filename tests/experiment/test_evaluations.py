"""Recipes with `evaluations`: what their trainings read besides, what stays as it was, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from w2s_rm.errors import ConfigError
from w2s_rm.experiment.evaluation_route import _most_examples
from w2s_rm.experiment.plan import Plan, make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.programs.prepare import prepare
from w2s_rm.roles import STUDENT, TRAINED
from w2s_rm.stages.portion import Portion
from w2s_rm.stages.prepare import Prepare
from w2s_rm.stages.train import Train

BATCHES = ("train.per_device_train_batch_size=1", "train.num_train_epochs=2")
VALIDATION = "task.n_validation=50"


DROPPED = "train.dataloader_drop_last=true"


@pytest.fixture
def plan(recipe_file: Path) -> Callable[..., Plan]:
    def make(*overrides: str) -> Plan:
        return make_plan(load_recipe(recipe_file, overrides), recipe_file.parent / "runs")

    return make


def trained(plan: Plan) -> list[Train]:
    return [stage for stage in plan.stages if isinstance(stage, Train)]


def test_trainings_read_what_they_evaluate(plan: Callable[..., Plan]) -> None:
    evaluated = trained(plan(*BATCHES, VALIDATION, "train.evaluations=3", "train.keep=weak_validation"))
    assert {stage.of for stage in evaluated} == set(TRAINED)
    for stage in evaluated:
        assert stage.evaluations == 3 and stage.keep == "weak_validation"
        assert stage.options.keys() >= {"learning_rate"} and "evaluations" not in stage.options
        assert [Path(stage.inputs[name]).name for name in ("validation", "test")] == [
            "validation.parquet",
            "test.parquet",
        ]
        # Only a student has a supervisor: a model that is trained on the truth is stopped by the truth.
        assert (stage.validation_labels is not None) == (stage.of == STUDENT)


def test_weak_labels_of_the_validation_split_are_made_for_evaluations_alone(plan: Callable[..., Plan]) -> None:
    def labelled(made: Plan) -> list[str]:
        return [str(stage.note) for stage in made.stages if stage.kind == "relabel" and stage.note is not None]

    assert labelled(plan(*BATCHES, VALIDATION)) == []
    assert labelled(plan(*BATCHES, VALIDATION, "train.evaluations=2")) == ["validation"] * 2
    # Without such a split there is the test split to look at, and nobody to say where to stop.
    (first, *_) = trained(plan(*BATCHES, "train.evaluations=2"))
    assert first.validation is None and first.test is not None


def test_a_training_without_evaluations_keeps_its_folder(plan: Callable[..., Plan]) -> None:
    def contents(made: Plan) -> list[set[str]]:
        return [set(stage.content()) | set(stage.inputs) for stage in trained(made)]

    own = {"evaluations", "evaluation_spacing", "keep", "validation", "validation_labels", "test"}
    assert not any(own & names for names in contents(plan(*BATCHES, VALIDATION)))
    spaced = contents(plan(*BATCHES, VALIDATION, "train.evaluations=2", "train.evaluation_spacing=even"))
    assert all(names >= own - {"keep", "validation_labels"} and "keep" not in names for names in spaced)


def test_a_method_may_have_its_own(plan: Callable[..., Plan]) -> None:
    made = plan(*BATCHES, VALIDATION, "methods.naive.train.evaluations=2", "methods.naive.before=[head_first]")
    evaluated = [stage for stage in trained(made) if stage.evaluations is not None]
    # Not its ceiling, and not what prepares the student.
    assert {(stage.of, stage.method, stage.seed) for stage in evaluated} == {
        ("student", "naive", 0),
        ("student", "naive", 1),
    }


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.evaluations=0"], "command line: train.evaluations: is 0; use 1 or more"),
        (["train.evaluations=many"], "command line: train.evaluations: 'many' is no"),
        (["train.evaluations=2", "train.keep=best"], "train.keep: is 'best'; known: end, weak_validation"),
        (["train.evaluations=2", "train.evaluation_spacing=evn"], "did you mean 'even'"),
        (["strong.train.keep=end"], "command line: strong.train.keep: only with evaluations"),
        (["train.evaluations=2", "train.keep=weak_validation"], "train.keep: .* set task.n_validation"),
        (
            ["train.evaluations=2", "train.keep=weak_validation", "task.n_validation=49"],
            "train.keep: task.n_validation is 49, and at least 50 are needed to choose which model is saved: 49 "
            "examples show a difference of 8.9 points",
        ),
        (
            ["train.evaluations=2", "methods.naive.train={evaluations: null, keep: weak_validation}", VALIDATION],
            "methods.naive.train.keep: only with evaluations, which are null beside it",
        ),
        # A batch that is not full is left out: 4 examples are no batch of 3 twice, and none of 5 at all.
        (
            ["train.evaluations=2", "train.per_device_train_batch_size=3", "train.num_train_epochs=1", DROPPED],
            "train.evaluations: evaluations is 2, .* 1 step;",
        ),
        (
            ["train.evaluations=1", "train.per_device_train_batch_size=5", "train.num_train_epochs=1", DROPPED],
            "train.evaluations: evaluations is 1, and the training has no step; give it more examples",
        ),
        (
            ["train.evaluations=2", "strong.train.on=features", "strong.train.layer=1", "strong.train.l2=1"],
            "command line: train.evaluations: not with on: features",
        ),
        # 4 examples in each half: 8 steps of one, and one step of all.
        (["weak.train.evaluations=9", *BATCHES], "command line: weak.train.evaluations: evaluations is 9, .* 8 steps"),
        (["methods.naive.train.evaluations=2", "train.num_train_epochs=1"], "naive.train.evaluations: .* has 1 step;"),
        (["train.evaluations=6", "train.max_steps=5", *BATCHES], "train.evaluations: .* 5 steps; use 5 or fewer"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_line(plan: Callable[..., Plan], overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        plan(*overrides)
    # Student and ceiling have the same options: once is enough.
    lines = [line for line in str(caught.value).splitlines() if "evaluations is" in line]
    assert len(lines) == len(set(lines))


def test_as_many_as_there_are_steps_are_taken(plan: Callable[..., Plan]) -> None:
    assert all(stage.evaluations == 8 for stage in trained(plan("train.evaluations=8", *BATCHES)))


def test_null_switches_off_what_a_wider_place_says(plan: Callable[..., Plan]) -> None:
    wide = ("train.evaluations=3", "train.keep=weak_validation", "train.evaluation_spacing=even", VALIDATION, *BATCHES)
    made = plan(*wide, "methods.naive.train={evaluations: null}", "weak.train={evaluations: null, learning_rate: 1e-4}")
    assert {(stage.of, stage.method): stage.evaluations for stage in trained(made)} == {
        ("weak", None): None,
        ("student", "naive"): None,
        ("student", "logconf"): 3,
        ("ceiling", None): 3,
    }
    # The same folders as where nobody has spoken of evaluations.
    without = {stage.folder for stage in trained(plan(VALIDATION, *BATCHES))}
    own = [stage for stage in trained(made) if stage.evaluations is None]
    assert {stage.folder for stage in own} <= without
    # What is said of them in a place between is taken away as well, and a nearer place begins anew.
    (again, *_) = [
        stage
        for stage in trained(plan(*wide, "strong.train={evaluations: null}", "methods.naive.train.evaluations=2"))
        if stage.method == "naive"
    ]
    assert (again.evaluations, again.keep, again.evaluation_spacing) == (2, "end", "log")


@pytest.mark.parametrize(
    "weak", ["labels: {folder}/weak.jsonl", "trained: true, model_name_or_path: {folder}/models/weak"]
)
def test_options_may_be_parted_where_a_model_is_not_trained(recipe_file: Path, weak: str) -> None:
    """What is said for all concerns those that are trained: no file of labels, no model as it is given, no policy."""
    folder = recipe_file.parent
    rows = ({"prompt": f"p{n}", "chosen": f" good {n}", "rejected": f" bad {n}", "label": 0.5} for n in range(60))
    (folder / "weak.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    overrides = [f"weak={{{weak.format(folder=folder)}}}", "train.keep=weak_validation", "strong.train.evaluations=3"]
    recipe = load_recipe(recipe_file, [*overrides, VALIDATION, *BATCHES])
    assert recipe.strong.train["evaluations"] == 3


def test_options_may_be_parted_where_there_is_a_policy(plan: Callable[..., Plan]) -> None:
    task = "task={name: world_preference, n_train: 8, n_test: 4, n_validation: 500}"
    models = [f"{part}={{pretrain: {{hidden_size: 16}}, train: {{evaluations: 2}}}}" for part in ("weak", "strong")]
    policy = (
        "policy={pretrain: {hidden_size: 16, corpus: {name: answers}}, max_completion_length: 4, methods: {dpo: {}}}"
    )
    made = plan(task, *models, policy, "train.keep=weak_validation", *BATCHES)
    assert {stage.keep for stage in trained(made)} == {"weak_validation"}


@pytest.mark.parametrize(
    ("method", "most"),
    [
        # 400 examples in each half, in batches of one. Half of them by confidence, then a quarter of these.
        ("labels: [{name: keep_confident}, {name: keep_confident, share: 0.25}]", 50),
        # A training of two folds is of one: 200, and at the most 4 standard deviations, 56.6, more.
        ("supervisor: {name: ensemble, folds: 2}", 257),
    ],
)
def test_a_part_of_a_split_has_fewer_steps(plan: Callable[..., Plan], method: str, most: int) -> None:
    sizes = ("task.n_train=800", "train.per_device_train_batch_size=1", "train.num_train_epochs=1")
    own = f"methods.naive={{loss: cross_entropy, {method}}}"
    assert trained(plan(*sizes, own, f"train.evaluations={most}"))
    with pytest.raises(ConfigError, match=f"evaluations is {most + 1}, and the training has {most} steps"):
        plan(*sizes, own, f"train.evaluations={most + 1}")


def test_the_size_of_a_link_of_a_chain(plan: Callable[..., Plan], tmp_path: Path) -> None:
    (prepared,) = (stage for stage in plan("task.n_train=800").stages if isinstance(stage, Prepare))
    link = Portion(runs=tmp_path, examples=prepared.examples("weak"), number=1, parts=4)
    # A fourth of 400, and 4 times its root.
    assert _most_examples(link.taken) == 140
    assert _most_examples(dataclasses.replace(link, without=True).taken) == 370  # 300 + 4 * 17.3


def test_what_was_prepared_is_counted(plan: Callable[..., Plan]) -> None:
    all_there_are = ("task.n_train=null", "train.evaluations=40", "train.num_train_epochs=1", BATCHES[0])
    # 60 pairs, some for the test: not known before they are read.
    made = plan(*all_there_are)
    (prepared,) = (stage for stage in made.stages if isinstance(stage, Prepare))
    prepare(["--config", str(prepared.write_config()), "--output_dir", str(prepared.folder)])
    with pytest.raises(ConfigError, match=r"evaluations is 40, and the training has 2\d steps; use 2\d or fewer"):
        plan(*all_there_are)
