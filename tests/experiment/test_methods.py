"""What a method plans: its supervisor, the transforms of its labels, its preparations, its rounds and its controls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from w2s_rm import catalog
from w2s_rm.errors import ConfigError
from w2s_rm.experiment.plan import Plan, make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.roles import CEILING, LABELS, STUDENT
from w2s_rm.stages import Stage

BATCH = "train.per_device_train_batch_size=4"


def plan_of(recipe: Path, *overrides: str, **own: Any) -> Plan:
    """Plan `naive`, and beside it `own` with such keys."""
    given = {"loss": "log_confidence", **own}
    methods = f"methods={json.dumps({'naive': {'loss': 'cross_entropy'}, 'own': given})}"
    return make_plan(load_recipe(recipe, [BATCH, "seeds=[0]", methods, *overrides]), recipe.parent / "runs")


def refused(recipe: Path, **own: Any) -> str:
    """The message with which a method, written into the file, is refused; it names the line."""
    text = recipe.read_text(encoding="utf-8")
    path = recipe.with_name("refused.yaml")
    path.write_text(text.replace("  logconf: ", f"  own: {json.dumps({'loss': 'cross_entropy', **own})}\n  logconf: "))
    lines = path.read_text(encoding="utf-8").splitlines()
    (line,) = [number for number, words in enumerate(lines, start=1) if words.startswith("  own: ")]
    with pytest.raises(ConfigError) as caught:
        make_plan(load_recipe(path, [BATCH]), path.parent / "runs")
    message = str(caught.value)
    assert f"line {line}: methods.own" in message
    return message


def found(plan: Plan, **wanted: Any) -> list[Stage]:
    return [one for one in plan.stages if all(getattr(one, name) == value for name, value in wanted.items())]


def only(plan: Plan, **wanted: Any) -> Any:
    (stage,) = found(plan, **wanted)
    return stage


TWO = {"supervisor": {"name": "ensemble", "seeds": 2}}


@pytest.mark.parametrize(
    "own",
    [
        {},
        TWO,
        {"labels": ["harden"]},
        {"rounds": 3},
        {"labels": ["harden", "shuffle"], "rounds": 3},
        {**TWO, "labels": ["harden"], "rounds": 2},
        {"supervisor": {"name": "simulated", "accuracy": 0.9}, "rounds": 2},
    ],
)
def test_reports_find_the_labels_that_the_student_is_trained_on(recipe_file: Path, own: dict[str, Any]) -> None:
    plan = plan_of(recipe_file, **own)
    for method in ("naive", "own"):
        student = only(plan, kind="train", of=STUDENT, method=method)
        labels = plan.record().find(None, LABELS, method, 0)
        assert labels is not None and labels.folder == Path(student.labels.path).parent
    assert [one.method for one in found(plan, of=LABELS)].count("own") == bool(own)


@pytest.mark.parametrize("own", [{}, TWO, {"labels": ["harden"], "rounds": 2}, {"model": "weak"}])
def test_no_work_stands_twice(recipe_file: Path, own: dict[str, Any]) -> None:
    stages = [one for one in plan_of(recipe_file, **own).stages if not one.judges]
    assert len({one.folder for one in stages}) == len(stages)


def test_transforms_stand_between_labels_and_student(recipe_file: Path) -> None:
    plan = plan_of(recipe_file, labels=["harden", {"name": "keep_confident", "share": 0.9}])
    transform = only(plan, kind="transform")
    assert transform.labels.identity == only(plan, kind="relabel", of=LABELS).weak_labels.identity
    student = only(plan, kind="train", of=STUDENT, method="own")
    assert student.labels.maker.hash == student.examples.maker.hash == transform.hash
    assert transform.at_least == 4, "a batch"
    smaller = plan_of(recipe_file, labels=["harden"], train={"per_device_train_batch_size": 2})
    assert only(smaller, kind="transform").at_least == 2, "that of the method's own students"
    assert not transform.loads_model


def test_the_order_and_options_of_transforms_count(recipe_file: Path) -> None:
    def hash_of(labels: list[Any]) -> str:
        plan = plan_of(recipe_file, "task.n_train=16", labels=labels)
        return str(only(plan, kind="transform").hash)

    lists = [["harden", "shuffle"], ["shuffle", "harden"], ["shuffle"], [{"name": "keep_confident", "share": 0.5}]]
    lists += [[{"name": "keep_confident", "share": 0.6}]]
    assert len(set(map(hash_of, lists))) == len(lists)
    # However it is written: what is left to the default is the same work, and so is a whole number with a point.
    assert hash_of(["keep_confident"]) == hash_of([{"name": "keep_confident", "share": 0.5, "balanced": False}])
    values = ([{"name": "temperature", "value": value}] for value in (2, 2.0))
    assert len(set(map(hash_of, values))) == 1


def test_equal_work_written_otherwise_is_one_stage(recipe_file: Path) -> None:
    def hash_of(loss: Any, epochs: float) -> str:
        plan = plan_of(recipe_file, loss=loss, train={"num_train_epochs": epochs})
        return str(only(plan, kind="train", of=STUDENT, method="own").hash)

    assert hash_of("log_confidence", 2) == hash_of({"name": "log_confidence", "max_weight": 0.5}, 2.0)
    assert hash_of("log_confidence", 2) != hash_of({"name": "log_confidence", "max_weight": 0.6}, 2)
    assert hash_of("log_confidence", 2) != hash_of("log_confidence", 2.5)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([{"name": "keep_confident", "share": 0.001}], "of 8 labels 1 are left at most, fewer than a batch of 4; keep"),
        ([{"name": "keep_confident", "share": 0.6}] * 2, "of 8 labels 3 are left at most"),
        (["harden", {"name": "keep_confident", "share": 0.3}], "of 8 labels 2 are left at most"),
    ],
)
def test_transforms_that_leave_less_than_a_batch(recipe_file: Path, labels: list[Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_of(recipe_file, "task.n_train=16", labels=labels)
    # Of each class the share is rounded by itself: how many that leaves, only the labels tell.
    with pytest.raises(ConfigError, match="keep_confident: needs fixed classes"):
        plan_of(recipe_file, labels=[{"name": "keep_confident", "share": 0.001, "balanced": True}])


def test_of_solutions_only_the_data_tell_how_many_steps_there_are(recipe_file: Path) -> None:
    """They are taken whole, so that a split may hold more than was asked for."""
    task = "task={name: world_chains, n_train: 12, n_test: 8}"
    assert len(
        found(plan_of(recipe_file, task, "train.per_device_train_batch_size=8", labels=["outcome"]), kind="transform")
    )
    with pytest.raises(ConfigError, match="of 6 labels 6 are left at most, fewer than a batch of 8"):
        plan_of(recipe_file, "task.n_train=12", "train.per_device_train_batch_size=8", labels=["harden"])


def test_transforms_that_do_not_fit_are_named_all_at_once(recipe_file: Path) -> None:
    labels = ["temperature", "balance", {"name": "keep_confident", "balanced": True}, "outcome"]
    message = refused(recipe_file, labels=labels)
    for name, text in (
        ("temperature", "is fitted to labels of validation examples with ground truth, and there are none"),
        ("balance", "needs fixed classes, and the candidates of this task have no fixed meaning"),
        ("keep_confident", "needs fixed classes"),
        ("outcome", "needs solutions in steps, and setting reward_modeling has none"),
    ):
        assert f"labels: {name}: {text}" in message


def test_a_balance_that_never_works(recipe_file: Path) -> None:
    task = "task={name: world_classification, n_train: 24, n_test: 8}"
    with pytest.raises(ConfigError, match="prior has 3 shares, the task 2 classes"):
        plan_of(recipe_file, task, labels=[{"name": "balance", "prior": [0.2, 0.3, 0.5]}])
    with pytest.raises(ConfigError, match="stands behind harden, and no shift of classes changes a hard label"):
        plan_of(recipe_file, task, labels=["harden", "shuffle", "balance"])
    plan_of(recipe_file, task, labels=["balance", "harden"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"name": "simulated", "accuracy": 0.8}, {"name": "simulated", "accuracy": 0.8, "confidence": 0.9}),
        ({"name": "simulated", "accuracy": 1}, {"name": "simulated", "accuracy": 1.0}),
        ({"name": "ensemble", "models": ["weak", "medium"]}, {"name": "ensemble", "models": ["medium", "weak"]}),
        ({"name": "model"}, {"name": "model", "model": "copy"}),
    ],
)
def test_a_supervisor_agrees_with_itself_however_it_is_written(recipe_file: Path, one: Any, other: Any) -> None:
    folder = recipe_file.parent / "models"
    models = {
        "medium": {"model_name_or_path": f"{folder}/strong", "train": {"learning_rate": 1e-4}},
        "copy": {"model_name_or_path": f"{folder}/weak", "train": {"learning_rate": 1e-4, "num_train_epochs": 3.0}},
    }
    more = (f"models={json.dumps(models)}", "train.num_train_epochs=3")
    with pytest.raises(ConfigError, match="the second supervisor is the first one, and always agrees"):
        plan_of(recipe_file, *more, supervisor=one, labels=[{"name": "agree", "supervisor": other}])
    if one.get("name") == "model":
        with pytest.raises(ConfigError, match="ensemble: weak and copy are one model, trained alike, and always agree"):
            plan_of(recipe_file, *more, supervisor={"name": "ensemble", "models": ["weak", "copy"]})


def test_transforms_and_preparations_of_ones_own(recipe_file: Path) -> None:
    """A file beside the recipe is one more of its kind; its content counts, and on a card stands its name alone."""
    root, folder = Path(catalog.__file__).parent, recipe_file.parent
    for kind, name in (("labels", "harden"), ("preparations", "freeze")):
        source = (root / kind / f"{name}.py").read_text(encoding="utf-8")
        (folder / f"own_{name}.py").write_text(
            source.replace(f"class {name.capitalize()}", f"class Own{name.capitalize()}")
        )
    before = [{"name": str(folder / "own_freeze.py"), "layers": 1}]
    plan = plan_of(recipe_file, labels=[str(folder / "own_harden.py")], before=before)
    transform = only(plan, kind="transform")
    student = only(plan, kind="train", of=STUDENT, method="own")
    assert student.labels.maker.hash == transform.hash and student.trainable_layers == 1
    assert transform.describe(transform.config(), lambda path: "labels", "") == "labels, then own_harden"
    with (folder / "own_harden.py").open("a", encoding="utf-8") as stream:
        stream.write("# Changed.\n")
    again = plan_of(recipe_file, labels=[str(folder / "own_harden.py")], before=before)
    assert only(again, kind="transform").hash != transform.hash


def test_all_methods_that_cannot_be_planned_are_named_at_once(recipe_file: Path) -> None:
    methods = {
        "fine": {"loss": "cross_entropy"},
        "steps": {"loss": "cross_entropy", "labels": ["outcome"]},
        "again": {"loss": "cross_entropy", "labels": ["outcome"]},
        "few": {"loss": "cross_entropy", "labels": [{"name": "keep_confident", "share": 0.1}]},
    }
    recipe = load_recipe(recipe_file, [BATCH, f"methods={json.dumps(methods)}"])
    with pytest.raises(ConfigError) as caught:
        make_plan(recipe, recipe_file.parent / "runs")
    message = str(caught.value)
    assert message.startswith("recipe small cannot be planned:")
    assert (
        "methods.steps: labels: outcome: needs solutions in steps" in message and "methods.few: labels: of" in message
    )
    assert "methods.again" not in message and message.count("\n") == 2


def test_a_file_of_labels_is_no_model(recipe_file: Path) -> None:
    (recipe_file.parent / "labels.jsonl").write_text("{}\n", encoding="utf-8")
    weak = f"weak={{labels: {recipe_file.parent}/labels.jsonl}}"
    with pytest.raises(ConfigError, match="weak is a file of labels in this recipe and no model; name one of its"):
        plan_of(recipe_file, weak, supervisor={"name": "ensemble", "seeds": 2})


def test_hundreds_of_rounds_are_planned(recipe_file: Path) -> None:
    assert len(found(plan_of(recipe_file, rounds=700), kind="train", method="own")) == 700


@pytest.mark.parametrize("before", [["generative", "generative"], [{"name": "freeze", "layers": 1}] * 2])
def test_a_preparation_stands_once(recipe_file: Path, before: list[Any]) -> None:
    assert "stands twice; leave one of them out" in refused(recipe_file, before=before)


def test_a_preparation_trains_the_model_of_its_part(recipe_file: Path) -> None:
    wrong = [{"name": "generative", "train": {"model_name_or_path": "someone/else"}}]
    assert "model_name_or_path: unknown option" in refused(recipe_file, before=wrong)
    for option, value in (("per_device_train_batch_size", 0), ("max_length", -4), ("learning_rate", -1e-4)):
        message = refused(recipe_file, before=[{"name": "head_first", "train": {option: value}}])
        assert f"before.0.train.{option}: is {value}" in message


def test_a_temperature_is_fitted_on_labels_of_the_validation_split(recipe_file: Path) -> None:
    plan = plan_of(recipe_file, "task.n_validation=4", labels=["temperature"])
    transform = only(plan, kind="transform")
    assert transform.validation.maker.examples.path == transform.validation_examples.path
    assert transform.validation_examples.path.endswith("validation.parquet")
    assert transform.validation.maker.model_name_or_path == transform.labels.maker.model_name_or_path
    assert only(plan_of(recipe_file, labels=[{"name": "temperature", "value": 2}]), kind="transform").validation is None


def test_agreement_is_with_the_labels_of_the_same_split(recipe_file: Path) -> None:
    transform = only(
        plan_of(recipe_file, labels=[{"name": "agree", "supervisor": TWO["supervisor"]}]), kind="transform"
    )
    assert transform.other.maker.kind == "combine"
    assert transform.other.maker.examples == transform.examples


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"labels": [{"name": "agree", "supervisor": {"name": "model"}}]}, "the second supervisor is the first one"),
        (
            {**TWO, "labels": [{"name": "agree", "supervisor": TWO["supervisor"]}]},
            "the second supervisor is the first one",
        ),
        (
            {
                "labels": [
                    {"name": "agree", "supervisor": {"name": "model", "model": name}} for name in ("strong", "weak")
                ]
            },
            "agree stands twice",
        ),
        ({"labels": [{"name": "agree", "supervisor": {"name": "modle"}}]}, "did you mean 'model'?"),
        ({"labels": ["temperature"]}, "set task.n_validation"),
        ({"labels": ["balance"]}, "needs fixed classes"),
        ({"labels": ["hardn"]}, "no label transform 'hardn'; did you mean 'harden'?"),
        ({"labels": "harden"}, "'harden' is no list"),
        ({"before": [{"name": "freeze", "layers": -1}]}, "layers: is -1; use 0 or more"),
        ({"before": [{"name": "freeze", "layers": 2}]}, "layers: is 2, and the model has 1; use 1 or fewer"),
        ({"before": [{"name": "head_first", "train": {"learning_rat": 1}}]}, "did you mean 'learning_rate'?"),
        ({"before": [{"name": "head_first", "train": {"seed": 1}}]}, "seed: is set by seeds"),
        ({"before": [{"name": "head_first", "train": {"learning_rate": "much"}}]}, "learning_rate: 'much' is no float"),
        ({"before": [{"name": "generative", "train": {"packin": True}}]}, "did you mean 'packing'?"),
        ({"before": ["generatve"]}, "did you mean 'generative'?"),
        ({"rounds": 0}, "0 is no number of rounds"),
        ({"rounds": 1.5}, "1.5 is no number of rounds"),
        ({"rounds": True}, "True is no number of rounds"),
        ({"model": "wek"}, "'wek' is no part of the recipe; did you mean 'weak'?"),
        ({"supervisor": "modle"}, "no supervisor 'modle'; did you mean 'model'?"),
        ({"supervisor": 3}, "3 is no supervisor; write its name, or name and options"),
        ({"supervisr": "model"}, "did you mean 'supervisor'?"),
    ],
)
def test_bad_input_is_refused_with_the_line(recipe_file: Path, own: dict[str, Any], message: str) -> None:
    assert message in refused(recipe_file, **own)


def test_without_ground_truth_nothing_is_trained_on_it(recipe_file: Path) -> None:
    folder = recipe_file.parent
    columns = "response_a_column: chosen, response_b_column: rejected"
    task = f"task={{name: preference, path: {folder}/pairs.jsonl, n_validation: 4, {columns}}}"
    given = (task, "weak.trained=true")
    agree = {"name": "agree", "supervisor": {"name": "model", "model": "strong"}}
    for own, message in (
        ({"supervisor": {"name": "mixture", "n_true": 3}}, "has no ground truth"),
        (TWO, "has no ground truth"),
        ({"labels": [agree]}, "agree: the task has no ground truth, which the second supervisor needs"),
        ({"labels": ["temperature"]}, "validation examples with ground truth"),
    ):
        with pytest.raises(ConfigError, match=message):
            plan_of(recipe_file, *given, **own)  # type: ignore[arg-type]
    agree["supervisor"] = {"name": "trained", "model": "strong"}
    plan = plan_of(recipe_file, *given, labels=[agree])
    assert {one.of for one in plan.stages if one.trains} == {STUDENT}
    assert not found(plan, of="weak")


def test_each_round_is_labelled_by_the_student_before(recipe_file: Path) -> None:
    plan = plan_of(recipe_file, rounds=3)
    student = only(plan, kind="train", of=STUDENT, method="own")
    rounds = [student]
    while rounds[0].labels.maker.model_name_or_path.maker.labels is not None:
        rounds.insert(0, rounds[0].labels.maker.model_name_or_path.maker)
    assert [(one.of, one.note) for one in rounds] == [
        ("intermediate", "round 1"),
        ("intermediate", "round 2"),
        (STUDENT, None),
    ]
    assert len({one.examples for one in rounds}) == 1
    assert len({one.model_name_or_path for one in rounds}) == 1, "each begins afresh"
    once = only(plan_of(recipe_file), kind="train", of=STUDENT, method="own")
    assert rounds[0].hash == once.hash
    assert only(plan, kind="evaluate", of=STUDENT, method="own").model_name_or_path.maker is student


def test_transforms_are_applied_in_each_round(recipe_file: Path) -> None:
    plan = plan_of(recipe_file, rounds=2, labels=["harden"])
    assert [one.labels.maker.note for one in found(plan, kind="transform")] == [None, "by own"]


def test_the_weak_model_as_its_own_student(recipe_file: Path) -> None:
    plan = plan_of(recipe_file, model="weak")
    student, ceiling = (only(plan, kind="train", of=of, method="own") for of in (STUDENT, CEILING))
    weak = only(plan, kind="train", of="weak")
    for one in (student, ceiling):
        assert one.part == "weak"
        assert one.model_name_or_path == weak.model_name_or_path
        assert one.options["learning_rate"] == weak.options["learning_rate"]
        assert one.examples.path.endswith("relabel.parquet")
    assert only(plan, kind="evaluate", of=STUDENT, method="own").part == "weak"


@pytest.mark.parametrize("own", [{"before": [{"name": "freeze", "layers": 1}]}, {"model": "weak"}])
def test_a_report_divides_by_the_methods_own_ceiling(recipe_file: Path, own: dict[str, Any]) -> None:
    plan = plan_of(recipe_file, **own)
    own_ceiling, common = (plan.record().find("evaluate", CEILING, method, 0) for method in ("own", "naive"))
    assert own_ceiling is not None and own_ceiling.method == "own"
    assert common is not None and common.method is None and common.folder != own_ceiling.folder
    student = only(plan, kind="train", of=STUDENT, method="own")
    judged = only(plan, kind="evaluate", of=CEILING, method="own").model_name_or_path.maker
    assert judged.labels is None and judged.loss == {"name": "cross_entropy"}
    assert (judged.part, judged.trainable_layers) == (student.part, student.trainable_layers)


@pytest.mark.parametrize("own", [{}, TWO, {"labels": ["harden"]}, {"rounds": 2}])
def test_other_methods_share_the_common_ceiling(recipe_file: Path, own: dict[str, Any]) -> None:
    assert [one.method for one in found(plan_of(recipe_file, **own), of=CEILING)] == [None, None]
