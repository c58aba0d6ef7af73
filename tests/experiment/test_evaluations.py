"""Recipes with `evaluations`: what their trainings read besides, what stays as it was, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from w2s_rm.errors import ConfigError
from w2s_rm.experiment.plan import Plan, make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.roles import STUDENT, TRAINED
from w2s_rm.stages.train import Train

BATCHES = ("train.per_device_train_batch_size=1", "train.num_train_epochs=2")
VALIDATION = "task.n_validation=4"


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
