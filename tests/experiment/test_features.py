"""Recipes that train on features: which stages they have, what they share, and what is refused before anything runs."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from w2s_rm.errors import ConfigError
from w2s_rm.experiment.plan import Plan, make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.stages.features import Features
from w2s_rm.stages.policy import Policy
from w2s_rm.stages.portion import Portion
from w2s_rm.stages.probe import Probe
from w2s_rm.stages.saliency import Saliency

ON = "train.on=features"
ALL = (ON, "train.layer=1", "train.l2=0.1")
SEVERAL = (ON, "train.layer=[0, 1]", "train.l2=[0.1, 1]", "task.n_validation=50")


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


def test_features_are_read_once_for_all_methods_and_seeds(plan: Callable[..., Plan]) -> None:
    made = plan(*ALL)
    counts = Counter(stage.kind for stage in made.stages)
    # The weak model reads the splits weak, relabel and test, the strong one relabel and test; nothing is left to chance
    # but in the steps of log_confidence, so two seeds are one elsewhere.
    assert counts == {
        "prepare": 1,
        "features": 5,
        "probe": 1 + 1 + 2 + 1,
        "relabel": 2,
        "evaluate": 2 * 4,
    }
    read = found(made, Features)
    assert all(stage.columns == ["last.1"] for stage in read) and {stage.part for stage in read} == {"weak", "strong"}
    assert not any(stage.loads_model for stage in made.stages if stage.kind in ("probe", "relabel", "evaluate"))
    assert made.record().methods == ("naive", "logconf")


def test_the_sizes_of_a_run_are_those_of_the_layers_that_are_read(recipe_file: Path) -> None:
    world = "task={name: world_preference, n_entities: 16, n_train: 24, n_test: 10}"
    pretrained = "{pretrain: {hidden_size: 16, num_hidden_layers: 2, steps: 1, corpus: {name: facts, n_entities: 16}}}"
    given = [world, f"weak={pretrained}", f"strong={pretrained}"]

    def sizes(*overrides: str) -> tuple[int | None, int | None]:
        record = make_plan(load_recipe(recipe_file, [*given, *overrides]), recipe_file.parent / "runs").record()
        return record.weak_size, record.strong_size

    assert sizes() == (2 * 16**2, 2 * 16**2)
    assert sizes(ON, "train.l2=0.1", "weak.train={layer: 0}", "strong.train={layer: 1}") == (0, 16**2)


def test_what_several_seeds_draw_is_read_once(plan: Callable[..., Plan]) -> None:
    made = plan(*ALL, "task.draw=by_seed")
    prepared = {stage.sizes["draw"]: stage.folder for stage in made.stages if stage.kind == "prepare"}
    assert sorted(prepared) == [0, 1]
    read = found(made, Features)
    assert len(read) == 5
    for stage in read:
        given = [Path(examples.path) for examples in (stage.examples, *stage.other_examples)]
        (name,) = {path.stem for path in given}
        assert [path.parents[1] for path in given] == [prepared[seed] for seed in ((0,) if name == "test" else (0, 1))]
    # Other examples make other models, whatever a seed leaves to chance.
    assert len(found(made, Probe, of="weak")) == 2
    for seed in (0, 1):
        (student,) = found(made, Probe, of="student", method="naive", seed=seed)
        assert student.examples.maker.folder == prepared[seed]
    turned = plan(*ALL, "task.draw=by_seed", "seeds=[1, 0]")
    assert {stage.folder for stage in turned.stages} == {stage.folder for stage in made.stages}


def test_the_same_candidates_for_student_and_ceiling_chosen_by_their_own_labels(plan: Callable[..., Plan]) -> None:
    made = plan(*SEVERAL)
    roles = (("weak", None), ("student", "naive"), ("ceiling", None))
    (weak,), (student,), (ceiling,) = (found(made, Probe, of=of, method=method) for of, method in roles)
    for probe in (weak, student, ceiling):
        assert (probe.layers, probe.l2, probe.pooling) == ([0, 1], [1.0, 0.1], "last")
        assert Path(probe.validation_examples.path).name == "validation.parquet"
    assert weak.labels is weak.validation_labels is ceiling.validation_labels is None
    labelling = student.validation_labels.maker
    assert labelling.kind == "relabel" and labelling.examples.path == student.validation_examples.path
    assert labelling.model_name_or_path.maker is student.labels.maker.model_name_or_path.maker
    # What a transform leaves of the labels is trained on; the choice is by what the supervisor says.
    transformed = plan(*SEVERAL, "methods.naive.labels=[harden]", "train.per_device_train_batch_size=2")
    (student,) = found(transformed, Probe, of="student", method="naive", seed=0)
    assert student.labels.maker.kind == "transform" and student.validation_labels.maker.kind == "relabel"
    assert student.features.maker.examples.path.endswith("relabel.parquet") != student.examples.path.endswith(
        "relabel.parquet"
    )


def test_one_pass_reads_all_that_is_trained_on(plan: Callable[..., Plan], recipe_file: Path) -> None:
    folder = recipe_file.parent
    made = plan(
        *ALL, f"weak.model_name_or_path={folder}/models/strong", "weak.train.layer=0", "weak.train.pooling=mean"
    )
    # Weak and strong model are the same frozen one.
    assert len(found(made, Features)) == 3
    assert all(stage.columns == ["mean.0", "last.1"] for stage in found(made, Features))


def test_what_any_method_trains_on_is_read_with_the_rest(plan: Callable[..., Plan]) -> None:
    read = found(plan(*ALL, "methods.naive.train={on: features, layer: 0}"), Features)
    assert {(stage.part, tuple(stage.columns)) for stage in read} == {
        ("weak", ("last.1",)),
        ("strong", ("last.0", "last.1")),
    }


def test_one_model_that_reads_in_two_ways_is_read_for_each(plan: Callable[..., Plan], recipe_file: Path) -> None:
    strong = f"weak.model_name_or_path={recipe_file.parent}/models/strong"
    read = found(plan(*ALL, strong, "weak.train.max_length=9", "weak.train.layer=0"), Features)
    assert {(stage.part, tuple(stage.columns)) for stage in read} == {("weak", ("last.0",)), ("strong", ("last.1",))}


def test_parts_of_a_split_are_read_with_the_whole(plan: Callable[..., Plan]) -> None:
    made = plan(*ALL, "methods.naive.supervisor={name: ensemble, folds: 2}")
    assert found(made, Portion) and all(stage.examples.maker.kind == "prepare" for stage in found(made, Features))


def test_a_method_with_features_of_its_own_has_a_ceiling_of_its_own(plan: Callable[..., Plan]) -> None:
    made = plan(*ALL, "methods.naive.train={on: features, layer: 0}")
    ceilings = found(made, Probe, of="ceiling")
    assert {(stage.method, tuple(stage.layers)) for stage in ceilings} == {("naive", (0,)), (None, (1,))}
    fine_tuned = plan("methods.naive.train={on: features, layer: 0, l2: 1}")
    kinds = {(stage.of, stage.method): stage.kind for stage in fine_tuned.stages if stage.trains}
    assert kinds == {
        ("weak", None): "train",
        ("student", "naive"): "probe",
        ("ceiling", "naive"): "probe",
        ("student", "logconf"): "train",
        ("ceiling", None): "train",
    }


def test_a_chain_chooses_by_what_each_link_says(plan: Callable[..., Plan], recipe_file: Path) -> None:
    models = recipe_file.parent / "models"
    shutil.copytree(models / "weak", models / "medium")
    for name, width in (("weak", 4), ("medium", 6)):
        config = {**json.loads((models / name / "config.json").read_text(encoding="utf-8")), "hidden_size": width}
        (models / name / "config.json").write_text(json.dumps(config), encoding="utf-8")
    chain = "methods.naive.supervisor={name: chain, models: [medium], fresh: false}"
    made = plan(*SEVERAL, chain, f"models.medium.model_name_or_path={models}/medium")
    (link,) = found(made, Probe, of="weak", method="naive")
    said, trained_on = link.validation_labels.maker, link.labels.maker
    assert said.examples.path == link.validation_examples.path
    assert said.model_name_or_path.identity == trained_on.model_name_or_path.identity


def test_steps_in_batches_take_the_usual_options(plan: Callable[..., Plan]) -> None:
    made = plan(*ALL, "train.num_train_epochs=7")
    (weak,), (student, _) = found(made, Probe, of="weak"), found(made, Probe, of="student", method="logconf")
    assert weak.convex and not student.convex
    assert (student.learning_rate, student.num_train_epochs, student.batch_size) == (1e-5, 7.0, 32)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.layer=1"], "train: layer: only with on: features"),
        ([ON, "train.l2=0.1"], "train on features:\n  - layer: is missing"),
        (["train.on=feature"], "command line: train.on: is 'feature'; write features"),
        ([*ALL, "train.pooling=max"], "train.pooling: is 'max'; use last or mean or mean_candidate"),
        ([*ALL, "train.layer=-1"], "train.layer: is -1; use 0 .the embeddings. or more"),
        ([*ALL, "train.layer=[1, 1]"], "train.layer: is .1, 1.; .*none twice"),
        ([*ALL, "train.l2=-1"], "train.l2: is -1; use 0 or more"),
        ([*ALL, "saliency={layer: 1, l2: .inf}"], "saliency.l2: is inf; use 0 or more"),
        ([*ALL, "saliency={layer: 1, l2: [0.1, .nan]}"], r"saliency.l2: is \[0.1, nan\]; use 0 or more"),
        ([*ALL, "train.layer=one"], "train.layer: 'one' is no int or list"),
        ([*ALL, "train.layer=2"], "weak: layer 2: the model has 1; use 0 .the embeddings. to 1"),
        ([*ALL, "strong.train.layer=[0, 4, 3]", "task.n_validation=50"], "strong: layer 4, 3: the model has 1"),
        ([*ALL, "train.l2=[0.1, 1]"], "weak: several values of layer or l2 .*; set task.n_validation"),
        (
            [*ALL, "train.l2=[0.1, 1]", "task.n_validation=49"],
            "weak: task.n_validation is 49, and at least 50 are needed to choose one of several values of layer or l2: "
            "49 examples show a difference of 8.9 points .*, or give one value",
        ),
        ([*ALL, "strong.use_peft=true"], "strong: use_peft: on: features trains nothing in the model"),
        ([*ALL, "train.anchor_coefficient=1"], "weak: anchor_coefficient: in a frozen model nothing drifts"),
        (
            [*ALL, "methods.logconf.train={anchor_coefficient: 1.0}"],
            "line .*: methods.logconf: strong: anchor_coefficient: in a frozen model nothing drifts",
        ),
        ([*ALL, "methods.naive.before=[{name: freeze, layers: 1}]"], "on: features: freeze and head_first train"),
    ],
)
def test_what_cannot_be_is_refused_by_the_plan(overrides: list[str], message: str, plan: Callable[..., Plan]) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(*overrides)


def test_the_key_on_is_a_word_in_a_file_too(recipe_file: Path, plan: Callable[..., Plan]) -> None:
    text = recipe_file.read_text(encoding="utf-8").replace(
        "train:\n", "train:\n  on: features\n  layer: 1\n  l2: 1e-1\n"
    )
    recipe_file.write_text(text, encoding="utf-8")
    assert load_recipe(recipe_file).train["on"] == "features"
    assert found(plan(), Probe)


POLICY = """
name: policies
task: {name: world_preference, n_train: 20, n_validation: 4, n_test: 6}
weak: {pretrain: {hidden_size: 16, num_hidden_layers: 1}}
strong: {pretrain: {hidden_size: 32, num_hidden_layers: 2}}
methods:
  naive: {loss: cross_entropy}
  hard: {loss: cross_entropy, labels: [harden], train: {pooling: last}}
policy: {pretrain: {corpus: {name: answers}}, max_completion_length: 2, methods: {dpo: {}, rloo: {}}}
train: {on: features, layer: 1, l2: 0.1, pooling: mean, max_length: 64}
"""


def test_policies_are_optimised_against_models_that_read_texts(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(POLICY, encoding="utf-8")
    made = make_plan(load_recipe(tmp_path / "recipe.yaml"), tmp_path / "runs")
    counts = Counter(stage.kind for stage in made.stages)
    # Of the weak model, two students and the ceiling, whatever the number of ways; the ceiling of the other pooling has
    # no policy. Evaluations go on reading features.
    assert (counts["assemble"], counts["policy"], counts["probe"], counts["features"]) == (4, 8, 5, 5)
    assert not any(stage.loads_model for stage in made.stages if stage.kind == "evaluate")
    for policy in found(made, Policy):
        model = policy.reward_model.maker
        assert (model.of, model.method) == (policy.of, policy.method)
        probe = next(stage for stage in found(made, Probe) if stage.model.path == model.linear_model.path)
        assert (model.examples, model.features, model.labels) == (probe.examples, probe.features, probe.labels)
        assert model.model_name_or_path is probe.features.maker.model_name_or_path
        assert model.options["max_length"] == 64 and not model.distributed
    with pytest.raises(ConfigError, match="pooling mean_candidate: no model can be made of this linear model"):
        make_plan(load_recipe(tmp_path / "recipe.yaml", ["train.pooling=mean_candidate"]), tmp_path / "runs")


def test_heads_that_read_no_features_are_refused(tmp_path: Path) -> None:
    recipe = {
        "name": "chess",
        "task": {"name": "mate_in_one", "n_train": 20, "n_test": 4},
        "weak": {"pretrain": {"corpus": {"name": "chess_endgames"}, "hidden_size": 16, "num_hidden_layers": 1}},
        "strong": {"pretrain": {"corpus": {"name": "chess_endgames"}, "hidden_size": 32, "num_hidden_layers": 2}},
        "train": {"on": "features", "layer": 1, "l2": 0.1},
    }
    (tmp_path / "chess.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    with pytest.raises(ConfigError, match="on: features: head lm reads the probabilities of tokens.*set head: reward"):
        make_plan(load_recipe(tmp_path / "chess.yaml"), tmp_path / "runs")
    with pytest.raises(ConfigError, match="weak: layer 2: the model has 1"):
        make_plan(load_recipe(tmp_path / "chess.yaml", ["head=reward", "train.layer=2"]), tmp_path / "runs")
    made = make_plan(load_recipe(tmp_path / "chess.yaml", ["head=reward"]), tmp_path / "runs")
    assert found(made, Probe)


SALIENCY = "saliency={layer: [0, 1], l2: [0.1, 1]}"


def test_mistakes_are_looked_for_in_the_strong_model_as_it_was(plan: Callable[..., Plan]) -> None:
    made, without = plan(SALIENCY), plan()
    looked = found(made, Saliency)
    # Two seeds with a supervisor each, and what the strong model reads is the same for both.
    assert [(stage.of, stage.method, stage.seed) for stage in looked] == [("weak", None, 0), ("weak", None, 1)]
    assert len({stage.folder for stage in looked}) == 2
    read = found(made, Features)
    assert [Path(stage.examples.path).stem for stage in read] == ["relabel", "test"]
    assert all(stage.columns == ["last.0", "last.1"] and stage.part == "strong" for stage in read)
    for stage in looked:
        assert (
            stage.features.maker is read[0]
            and stage.test_features.maker is read[1]
            or (stage.features.maker.folder == read[0].folder and stage.test_features.maker.folder == read[1].folder)
        )
        assert stage.labels.maker.kind == "relabel" and stage.labels.maker.seed == stage.seed
        assert (stage.layers, stage.l2, stage.pooling) == ([0, 1], [1.0, 0.1], "last")
    # It changes nothing else.
    others = {stage.folder for stage in made.stages if not isinstance(stage, Saliency | Features)}
    assert others == {stage.folder for stage in without.stages}


def test_the_supervisor_of_a_method_has_mistakes_of_its_own(plan: Callable[..., Plan]) -> None:
    own = "methods.naive.supervisor={name: simulated, accuracy: 0.7}"
    looked = found(plan(SALIENCY, own, "seeds=[0]"), Saliency)
    assert [stage.method for stage in looked] == ["naive", None]


def test_one_pass_reads_what_is_trained_on_and_where_mistakes_are_looked_for(plan: Callable[..., Plan]) -> None:
    read = found(plan(*ALL, SALIENCY), Features, part="strong")
    assert [stage.columns for stage in read] == [["last.0", "last.1"]] * 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("saliency={layer: 3, l2: 0.1}", "command line: saliency.layer: layer 3: the strong model has 1"),
        ("saliency={layer: 1}", "saliency.l2: is missing; saliency needs it"),
        (
            "saliency={layer: 1, l2: 0.1, pool: mean}",
            "saliency.pool: unknown option of saliency; did you mean 'pooling'",
        ),
        ("saliency=yes", "saliency: True is no mapping"),
    ],
)
def test_what_cannot_be_looked_for_is_refused(plan: Callable[..., Plan], given: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(given)
    assert message in str(caught.value) and "methods." not in str(caught.value)
