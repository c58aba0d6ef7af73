"""Models from small to large, each labels what the next is trained on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from planning_helpers import SHAPE


def test_fresh_parts_of_the_weak_split(bench: Any) -> None:
    assert bench.added("chain", models=["medium"]) == [
        "portion",
        "portion",
        "own weak seed 0",
        "relabel for medium seed 0",
        "weak own medium seed 0",
        "evaluate weak own seed 0",
        "relabel own medium seed 0",
    ]
    plan = bench.own("chain", models=["medium"])
    first, last = (bench.only(plan, kind="train", of=of, method="own") for of in ("intermediate", "weak"))
    parts = [one.examples.maker for one in (first, last)]
    assert [(one.number, one.parts, one.without) for one in parts] == [(0, 2, False), (1, 2, False)]
    assert first.labels is None and first.part == "weak"
    assert last.part == "medium"
    assert last.labels.maker.model_name_or_path.maker.hash == first.hash
    assert last.labels.maker.examples == last.examples, "labelled is what the next is trained on"


def test_the_same_split_begins_with_the_plain_weak_model(bench: Any) -> None:
    assert bench.added("chain", models=["medium"], fresh=False) == [
        "weak own medium seed 0",
        "evaluate weak own seed 0",
        "relabel own medium seed 0",
    ]
    plan = bench.own("chain", models=["medium"], fresh=False)
    last = bench.only(plan, kind="train", of="weak", method="own")
    assert last.labels.identity == bench.only(plan, kind="relabel", of="labels", method=None).weak_labels.identity


def test_the_last_model_labels_for_the_student(bench: Any) -> None:
    plan = bench.own("chain", models=["medium"])
    labels = bench.only(plan, of="labels", method="own")
    assert labels.model_name_or_path.maker.part == "medium"
    assert labels.examples.identity == bench.route().examples("relabel").identity


def test_with_three_models_there_are_three_parts(bench: Any) -> None:
    plan = bench.own("chain", models=["medium", "strong"])
    assert {one.parts for one in bench.some(plan, kind="portion")} == {3}
    assert [one.part for one in plan.stages if one.trains and one.method == "own" and one.of != "student"] == [
        "weak",
        "medium",
        "strong",
    ]


def test_a_part_holds_a_batch_of_each_link(bench: Any) -> None:
    wide = "models.medium.train={per_device_train_batch_size: 3, gradient_accumulation_steps: 100}"
    message = bench.refused("chain", wide, models=["medium"])
    assert "a chain divides the weak split" in message and "each smaller than 300" in message


def test_seeds_share_the_parts(bench: Any) -> None:
    plan = bench.own("chain", "seeds=[0, 1]", models=["medium"])
    assert len(list(bench.some(plan, kind="portion"))) == 2


@pytest.mark.parametrize("layers", [1, 4])
def test_sizes_that_do_not_grow_are_refused(bench: Any, layers: int) -> None:
    path = bench.recipe.parent / "models" / "medium" / "config.json"
    path.write_text(json.dumps({**SHAPE, "num_hidden_layers": layers}), encoding="utf-8")
    wrong = "medium is no larger than weak" if layers == 1 else "strong is no larger than medium"
    message = bench.refused("chain", models=["medium"])
    assert wrong in message and f"{64 * layers:,}" in message
    assert "put the models in order of size" in message


def test_on_features_only_the_layers_that_are_read_count(bench: Any) -> None:
    """One file is a small model and a large one, by the layers that are read of it."""
    weak = bench.recipe.parent / "models" / "weak"
    given = ("train.on=features", "train.l2=0.1", f"models.medium.model_name_or_path={weak}")
    read = (*given, "weak.train={layer: 0}", "strong.train={layer: 1}")
    plan = bench.own("chain", *read, "models.medium.train={layer: 1}", models=["medium"])
    assert bench.only(plan, kind="probe", of="weak", method="own").layers == [1]
    message = bench.refused("chain", *read, "models.medium.train={layer: 0}", models=["medium"])
    assert "medium is no larger than weak (layers x width²: 0 after 0)" in message


def test_a_model_of_unknown_size_is_taken_on_trust(bench: Any) -> None:
    plan = bench.own("chain", "models.medium.model_name_or_path=somebody/model", models=["medium"])
    assert bench.only(plan, kind="train", of="weak", method="own").part == "medium"


def test_parts_smaller_than_a_batch_are_refused(bench: Any) -> None:
    bench.own("chain", "task.n_train=16", models=["medium"])
    message = bench.refused("chain", "task.n_train=14", models=["medium"])
    assert "divides the weak split, 7 examples, into 2 parts, each smaller than 4; raise n_train" in message
    assert "set fresh: false" in message
    bench.own("chain", "task.n_train=14", models=["medium"], fresh=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "models: is missing"),
        ({"models": []}, "models: is empty"),
        ({"models": "medium"}, "models: 'medium' is no list"),
        ({"models": [2]}, "models: 2 in [2] is no str"),
        ({"models": ["weak"]}, "models: repeats one in weak -> weak"),
        ({"models": ["medium", "medium"]}, "models: repeats one in weak -> medium -> medium"),
        ({"models": ["strong", "medium"]}, "medium is no larger than strong"),
        ({"models": ["medum"]}, "no model 'medum' in this recipe; did you mean 'medium'?"),
        ({"models": ["medium"], "fresh": 1}, "fresh: 1 is no bool"),
    ],
)
def test_bad_input_is_refused_with_the_line(bench: Any, options: dict[str, Any], message: str) -> None:
    assert message in bench.refused("chain", **options)
