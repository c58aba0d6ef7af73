"""Recipes that tune: which trials they have, by what each choice is made, and who takes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from w2s_rm.errors import ConfigError
from w2s_rm.experiment.open_route import open_route
from w2s_rm.experiment.plan import Plan, make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.experiment.run import to_check
from w2s_rm.experiment.tuning import trials, tuning_lines
from w2s_rm.runs.hub import repository
from w2s_rm.stages.assemble import Assemble
from w2s_rm.stages.choice import Choice
from w2s_rm.stages.evaluate import Evaluate
from w2s_rm.stages.finetune import Finetune
from w2s_rm.stages.policy import Policy
from w2s_rm.stages.probe import Probe
from w2s_rm.stages.relabel import Relabel
from w2s_rm.stages.train import Train

# What the shared recipe fixes is tuned here.
FREE = ("train.learning_rate=null", "weak.train=null", "methods.logconf.loss.max_weight=null", "seeds=[0]")
TUNED = (*FREE, "task.n_validation=500", "tune.learning_rate=[1e-5, 3e-5]", "tune.num_train_epochs=[1, 2]")
WEIGHTS = "tune.loss.max_weight=[0.25, 0.5, 0.75]"


@pytest.fixture
def plan(recipe_file: Path) -> Callable[..., Plan]:
    def make(*overrides: str) -> Plan:
        return make_plan(load_recipe(recipe_file, overrides), recipe_file.parent / "runs")

    return make


def found(plan: Plan, kind: type, **wanted: Any) -> list[Any]:
    return [
        stage
        for stage in plan.stages
        if isinstance(stage, kind) and all(getattr(stage, name) == value for name, value in wanted.items())
    ]


def chosen(plan: Plan, of: str, **wanted: Any) -> Choice:
    (choice,) = found(plan, Choice, of=of, **wanted)
    return choice


def test_trials_are_all_combinations_of_what_concerns_them() -> None:
    tune = {"learning_rate": (1e-5, 3e-5), "loss.max_weight": (0.25, 0.5)}
    made = trials(tune, {"name": "log_confidence"})
    assert [(trial.train, trial.loss) for trial in made] == [
        ({"learning_rate": 1e-5}, {"max_weight": 0.25}),
        ({"learning_rate": 1e-5}, {"max_weight": 0.5}),
        ({"learning_rate": 3e-5}, {"max_weight": 0.25}),
        ({"learning_rate": 3e-5}, {"max_weight": 0.5}),
    ]
    assert str(made[0]) == "learning_rate 1e-05, loss.max_weight 0.25"
    assert [trial.values for trial in trials(tune, {"name": "cross_entropy"})] == [
        {"learning_rate": 1e-5},
        {"learning_rate": 3e-5},
    ]
    assert [trial.values for trial in trials({}, {"name": "log_confidence"})] == [{}]


def test_an_equal_number_for_weak_model_student_and_ceiling(plan: Callable[..., Plan]) -> None:
    made = plan(*TUNED)
    assert Counter(stage.kind for stage in made.stages) == {
        "prepare": 1,
        "train": 4 * 4,
        "choice": 4,
        "relabel": 2,
        "evaluate": 4 * 4 + 4,
    }
    for of, method in (("weak", None), ("student", "naive"), ("student", "logconf"), ("ceiling", None)):
        choice = chosen(made, of, method=method)
        assert [trial.maker.options["learning_rate"] for trial in choice.trials] == [1e-5, 1e-5, 3e-5, 3e-5]  # type: ignore[union-attr]
        assert [values["num_train_epochs"] for values in choice.values] == [1, 2, 1, 2]
        assert all(trial.maker.of == "intermediate" for trial in choice.trials)  # type: ignore[union-attr]
        # Of all trials the validation split is scored, of the chosen one the test split.
        scored = [scores.maker for scores in choice.scores]
        assert [stage.model_name_or_path.path for stage in scored] == [trial.path for trial in choice.trials]  # type: ignore[union-attr]
        assert all(Path(stage.examples.path).stem == "validation" for stage in scored)  # type: ignore[union-attr]
        (tested,) = found(made, Evaluate, of=of, method=method)
        assert tested.model_name_or_path is not None and tested.model_name_or_path.maker.folder == choice.folder
        assert Path(tested.examples.path).stem == "test"
    assert tuning_lines(made) == [
        "tuned: 4 trials for weak, student naive, student logconf, ceiling; chosen on 500 validation examples",
        "  these show a difference of 2.8 points, between trials that choose differently on 10 %",
    ]
    assert tuning_lines(plan("seeds=[0]")) == []


def test_by_truth_what_was_trained_on_truth_and_by_labels_what_was_trained_on_labels(plan: Callable[..., Plan]) -> None:
    made = plan(*TUNED)
    weak = chosen(made, "weak")
    assert weak.labels is None and chosen(made, "ceiling").labels is None
    student = chosen(made, "student", method="naive")
    assert student.labels is not None
    labelling = student.labels.maker
    assert isinstance(labelling, Relabel) and Path(labelling.examples.path).stem == "validation"
    # The weak model that labels is the one that was chosen.
    assert labelling.model_name_or_path is not None and labelling.model_name_or_path.path == weak.model.path
    assert {stage.model_name_or_path.path for stage in found(made, Relabel)} == {weak.model.path}
    assert Path(weak.model.path).parent.name.startswith("choice-")


def test_a_field_of_a_loss_is_tuned_where_the_loss_has_it(plan: Callable[..., Plan]) -> None:
    made = plan(*TUNED, WEIGHTS)
    assert len(chosen(made, "student", method="logconf").trials) == 12
    assert len(chosen(made, "student", method="naive").trials) == 4
    weights = [trial.maker.loss["max_weight"] for trial in chosen(made, "student", method="logconf").trials]  # type: ignore[union-attr]
    assert weights == [0.25, 0.5, 0.75] * 4
    assert tuning_lines(made)[0] == (
        "tuned: 4 trials for weak, student naive, ceiling; 12 trials for student logconf; chosen on 500 validation "
        "examples"
    )
    few = tuning_lines(plan(*TUNED, "task.n_validation=100"))
    assert few[1].startswith("! few to choose by: 100 examples show a difference of 6.2 points")


def test_a_model_that_is_not_tuned_counts_as_one_trial(plan: Callable[..., Plan]) -> None:
    # Only one loss has the field: weak model, ceiling and the other student are trained once.
    made = plan(*FREE, "task.n_validation=500", WEIGHTS)
    assert tuning_lines(made)[0] == (
        "tuned: 1 trial for weak, student naive, ceiling; 3 trials for student logconf; chosen on 500 validation "
        "examples"
    )


def test_lists_of_a_part_stand_in_place_of_the_common_ones(plan: Callable[..., Plan]) -> None:
    made = plan(*TUNED, "weak.tune={learning_rate: [1e-3, 1e-2]}")
    assert [values["learning_rate"] for values in chosen(made, "weak").values] == [1e-3, 1e-3, 1e-2, 1e-2]
    assert [values["learning_rate"] for values in chosen(made, "ceiling").values] == [1e-5, 1e-5, 3e-5, 3e-5]


def test_a_trial_is_the_training_that_a_recipe_without_tune_would_have(plan: Callable[..., Plan]) -> None:
    made = plan(*TUNED)
    alone = plan(*FREE, "task.n_validation=500", "train.learning_rate=3e-5", "train.num_train_epochs=2")
    for of in ("weak", "ceiling"):
        (training,) = found(alone, Train, of=of)
        assert training.model.path == chosen(made, of).trials[3].path
    # A student is another one as soon as its supervisor is.
    (student,) = found(alone, Train, of="student", method="naive")
    assert student.model.path not in [trial.path for trial in chosen(made, "student", method="naive").trials]


def test_each_seed_chooses_for_itself(plan: Callable[..., Plan]) -> None:
    made = plan(*TUNED, "seeds=[0, 1]")
    choices = found(made, Choice, of="ceiling")
    assert [choice.seed for choice in choices] == [0, 1] and choices[0].folder != choices[1].folder
    drawn = plan(*TUNED, "seeds=[0, 1]", "task.draw=by_seed")
    validations = {Path(choice.examples.path).parents[1] for choice in found(drawn, Choice, of="ceiling")}
    assert len(validations) == 2


def test_names_tell_trials_apart(plan: Callable[..., Plan]) -> None:
    made = plan(*TUNED)
    titles = [stage.title for stage in made.stages if stage.kind in ("train", "choice")]
    assert len(set(titles)) == len(titles)
    student = chosen(made, "student", method="naive")
    first = student.trials[0].maker
    assert student.title == "student naive seed 0"
    assert first is not None
    assert first.title == "naive student trial 1 of 4 (learning_rate 1e-05, num_train_epochs 1) seed 0"
    assert student.scores[1].maker.title == "evaluate naive student trial 2 of 4 seed 0"  # type: ignore[union-attr]
    names = [stage.run_name for stage in found(made, Train)]
    assert len(set(names)) == len(names) and not any(" " in name for name in names)


def test_the_order_of_values_decides_between_equals(plan: Callable[..., Plan]) -> None:
    turned = plan(*FREE, "task.n_validation=500", "tune.learning_rate=[3e-5, 1e-5]")
    straight = plan(*FREE, "task.n_validation=500", "tune.learning_rate=[1e-5, 3e-5]")
    one, other = chosen(straight, "weak"), chosen(turned, "weak")
    assert {trial.path for trial in one.trials} == {trial.path for trial in other.trials}
    assert one.hash != other.hash


def test_through_chains_rounds_ensembles_and_preparations(plan: Callable[..., Plan], recipe_file: Path) -> None:
    folder = recipe_file.parent / "models"
    medium = (
        f"models.medium={{model_name_or_path: {folder}/weak, train: {{model_init_kwargs: {{num_hidden_layers: 1}}}}}}"
    )
    made = plan(
        *FREE,
        "task.n_validation=500",
        "task.n_train=400",
        "tune.learning_rate=[1e-5, 3e-5]",
        medium,
        "methods={twice: {loss: cross_entropy, rounds: 2}, "
        "folds: {loss: cross_entropy, supervisor: {name: ensemble, folds: 2}}, "
        "texts: {loss: cross_entropy, before: [{name: generative, train: {learning_rate: 1e-6}}]}}",
    )
    first, second = found(made, Choice, method="twice", of="intermediate"), chosen(made, "student", method="twice")
    assert len(first) == 1 and first[0].note == "round 1"
    # The second round is chosen by what the first, itself a choice, says of the validation split.
    assert second.labels is not None and second.labels.maker is not None
    assert second.labels.maker.references["model_name_or_path"].path == first[0].model.path
    assert len(found(made, Choice, method="folds", of="intermediate")) == 2
    # Both trials start from the texts that were read once, at a rate of their own.
    assert len(found(made, Finetune)) == 1
    texts = chosen(made, "student", method="texts")
    assert [trial.maker.options["learning_rate"] for trial in texts.trials] == [1e-5, 3e-5]  # type: ignore[union-attr]
    assert chosen(made, "ceiling", method="texts").labels is None
    assert tuning_lines(made)[0].startswith("tuned: 2 trials for weak, intermediate twice round 1, student twice, ")


def test_models_and_policies_take_the_choice(plan: Callable[..., Plan]) -> None:
    policy = "policy={model_name_or_path: PATH, max_completion_length: 4, methods: {dpo: {}}}"
    with pytest.raises(ConfigError, match="cannot judge what a policy writes"):
        plan(*TUNED, policy)
    task = "task={name: world_preference, n_train: 8, n_test: 4, n_validation: 500}"
    models = [f"{part}={{pretrain: {{hidden_size: 16}}}}" for part in ("weak", "strong")]
    policy = (
        "policy={pretrain: {hidden_size: 16, corpus: {name: answers}}, max_completion_length: 4, methods: {dpo: {}}}"
    )
    made = plan(*FREE, task, *models, policy, "tune.learning_rate=[1e-5, 3e-5]", "methods.logconf=null")
    for of in ("weak", "student", "ceiling"):
        (optimised,) = found(made, Policy, of=of)
        assert optimised.reward_model.path == chosen(made, of).model.path


def test_losses_on_features_are_tuned_and_what_computes_the_same_is_one_trial(plan: Callable[..., Plan]) -> None:
    features = ("train.on=features", "train.layer=1", "train.l2=0.1", *FREE, "task.n_validation=500")
    made = plan(*features, WEIGHTS, "tune.learning_rate=[1e-3, 1e-2]")
    # Cross-entropy has one minimum, which no learning rate changes.
    (choice,) = found(made, Choice)
    assert (choice.of, choice.method, len(choice.trials)) == ("student", "logconf", 6)
    assert {trial.maker.kind for trial in choice.trials} == {"probe"}
    assert Path(choice.model.path).name == "probe.safetensors"
    assert len(found(made, Probe, of="student", method="naive")) == 1
    (tested,) = found(made, Evaluate, of="student", method="logconf")
    assert tested.features is not None and tested.model_name_or_path.path == choice.model.path
    # All trials read the same features of the validation split.
    assert len({scores.maker.features.path for scores in choice.scores}) == 1
    with pytest.raises(
        ConfigError, match=r"tune: chooses nothing: with all values of learning_rate every model is the"
    ):
        plan(*features, "methods.logconf=null", "tune.learning_rate=[1e-3, 1e-2]")


def test_a_policy_against_a_choice_on_features(plan: Callable[..., Plan]) -> None:
    task = "task={name: world_preference, n_train: 8, n_test: 4, n_validation: 500}"
    models = [f"{part}={{pretrain: {{hidden_size: 16, num_hidden_layers: 1}}}}" for part in ("weak", "strong")]
    policy = (
        "policy={pretrain: {hidden_size: 16, corpus: {name: answers}}, max_completion_length: 4, methods: {dpo: {}}}"
    )
    features = ("train.on=features", "train.layer=1", "train.l2=0.1")
    made = plan(*FREE, task, *models, policy, *features, WEIGHTS)
    choice = chosen(made, "student", method="logconf")
    (assembled,) = [stage for stage in found(made, Assemble) if stage.linear_model.path == choice.model.path]
    assert (assembled.of, assembled.method) == ("student", "logconf")


def test_only_what_was_chosen_goes_to_the_hub(plan: Callable[..., Plan]) -> None:
    made = plan(*TUNED, "train.push_to_hub=true", "train.hub_model_id=me/models")
    assert not any(stage.options.get("push_to_hub") for stage in found(made, Train))
    pushed = [stage.config() for stage in to_check(made) if stage.config().get("push_to_hub")]
    assert sorted(map(repository, pushed)) == [
        "me/models-small-ceiling-seed0",
        "me/models-small-student-logconf-seed0",
        "me/models-small-student-naive-seed0",
        "me/models-small-weak-seed0",
    ]
    # Where a model goes changes nothing in it.
    assert {stage.folder for stage in made.stages} == {stage.folder for stage in plan(*TUNED).stages}


def test_labels_that_say_nothing_of_the_validation_split_choose_nothing(
    recipe_file: Path,
) -> None:
    recipe = load_recipe(recipe_file, TUNED)
    route = open_route(recipe, recipe_file.parent / "runs")
    labels = route.relabel(route.train("weak", 0).model, seed=0)
    with pytest.raises(ConfigError, match="what labels the examples here does not label those"):
        route.train("student", 0, method="naive", labels=labels)
