"""Several models, and one label of what they say."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from w2s_rm.types import content_hash


def test_of_seeds_the_first_member_is_the_plain_weak_model(bench: Any) -> None:
    assert bench.added("ensemble", seeds=2) == [
        "relabel member 0 test seed 0",
        f"own member 1 seed {int(content_hash('ensemble', 0, 1, length=8), 16)}",
        "relabel member 1 test seed 0",
        "combine seed 0",
        "evaluate weak own seed 0",
        "relabel member 1 seed 0",
        "combine own seed 0",
    ]
    combined = bench.only(bench.own("ensemble", seeds=2), kind="combine", of="labels")
    plain = bench.only(bench.plan(), kind="relabel", of="labels")
    assert combined.members[0].identity == plain.weak_labels.identity


@pytest.mark.parametrize("first", ["naive", "own"])
def test_a_shared_model_is_planned_as_the_weak_one(bench: Any, first: str) -> None:
    content = yaml.safe_load(bench.recipe.read_text(encoding="utf-8"))
    content["methods"] = dict(sorted(content["methods"].items(), key=lambda item: item[0] != first))
    bench.recipe.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    plan = bench.own("ensemble", seeds=2)
    assert next(iter(plan.recipe.methods)) == first
    weak = bench.only(plan, kind="train", of="weak")
    assert weak.title == "weak seed 0"
    assert [one.title for one in plan.stages if one.folder == weak.folder] == ["weak seed 0"]


def test_members_of_one_seed_are_not_those_of_another(bench: Any) -> None:
    plan = bench.own("ensemble", "seeds=[0, 1, 2]", seeds=3)
    members = [one for one in plan.stages if one.kind == "train" and one.of in ("weak", "intermediate")]
    assert len({one.hash for one in members}) == len(members) == 9


def test_of_models_each_is_trained_on_the_same_split(bench: Any) -> None:
    plan = bench.own("ensemble", models=["weak", "medium"])
    combined = bench.only(plan, kind="combine", of="labels")
    models = [labels.maker.model_name_or_path.maker for labels in combined.members]
    assert [one.part for one in models] == ["weak", "medium"]
    assert len({one.examples for one in models}) == 1
    assert models[0].hash == bench.only(plan, kind="train", of="weak").hash


def test_of_folds_each_is_trained_without_another_fold(bench: Any) -> None:
    plan = bench.own("ensemble", folds=3)
    combined = bench.only(plan, kind="combine", of="labels")
    folds = [labels.maker.model_name_or_path.maker.examples.maker for labels in combined.members]
    assert [(one.kind, one.number, one.parts, one.without) for one in folds] == [
        ("portion", number, 3, True) for number in range(3)
    ]
    assert {one.examples.path.rsplit("/", 1)[1] for one in folds} == {"weak.parquet"}


def test_how_changes_labels_and_what_follows_and_no_model(bench: Any) -> None:
    before, after = {"seeds": 2}, {"seeds": 2, "how": "vote"}
    assert bench.changed("ensemble", before, after) == {"combine", "train", "evaluate"}
    assert bench.changed("ensemble", before, {"seeds": 2, "how": "mean_log_odds"}) == set()
    one, other = (bench.own("ensemble", **options) for options in (before, after))
    models = [{s.hash for s in plan.stages if s.kind == "train" and s.of != "student"} for plan in (one, other)]
    assert models[0] == models[1]


def test_a_member_more_keeps_the_others(bench: Any) -> None:
    two, three = (
        {
            one.hash
            for one in bench.own("ensemble", seeds=n).stages
            if one.kind in ("train", "relabel") and one.of != "student"
        }
        for n in (2, 3)
    )
    assert two < three


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give one of models, seeds and folds"),
        ({"seeds": 2, "folds": 2}, "give one of models, seeds and folds, not seeds and folds"),
        ({"models": ["weak", "medium"], "seeds": 2}, "give one of models, seeds and folds, not models and seeds"),
        ({"seeds": 1}, "seeds: gives 1 members; an ensemble has two or more"),
        ({"folds": -3}, "folds: gives 0 members; an ensemble has two or more"),
        ({"models": ["weak"]}, "models: gives 1 members; an ensemble has two or more"),
        ({"models": ["weak", "medium", "weak"]}, "models: repeats a model (weak, medium, weak)"),
        ({"models": ["weak", 3]}, "models: 3 in ['weak', 3] is no str"),
        ({"models": ["weak", "medum"]}, "no model 'medum' in this recipe; did you mean 'medium'?"),
        ({"seeds": 2, "how": "votes"}, "how: is 'votes'; did you mean 'vote'?"),
        ({"seeds": True}, "seeds: True is no int"),
    ],
)
def test_bad_input_is_refused_with_the_line(bench: Any, options: dict[str, Any], message: str) -> None:
    assert message in bench.refused("ensemble", **options)


def test_folds_without_examples_are_refused(bench: Any) -> None:
    message = bench.refused("ensemble", folds=9)
    assert "an ensemble of folds divides the weak split" in message and "take fewer folds" in message
