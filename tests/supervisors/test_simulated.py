"""A supervisor that is no model."""

from __future__ import annotations

from typing import Any

import pytest

RANDOM = {"accuracy": 0.75}


def test_random_errors_need_no_model(bench: Any) -> None:
    assert bench.added("simulated", **RANDOM) == ["simulate seed 0", "evaluate weak own seed 0", "simulate own seed 0"]
    labels = bench.only(bench.own("simulated", **RANDOM), of="labels", method="own")
    assert [needed.kind for needed in labels.needs] == ["prepare"]


@pytest.mark.parametrize("errors", ["hard", "adversarial"])
def test_errors_of_a_model_go_by_what_it_says_of_the_same_split(bench: Any, errors: str) -> None:
    plan = bench.own("simulated", **RANDOM, errors=errors)
    plain = bench.only(plan, kind="relabel", of="labels")
    simulated = bench.only(plan, kind="simulate", of="labels")
    assert simulated.difficulty.identity == plain.weak_labels.identity, "the weak model of all methods"
    for one in bench.some(plan, kind="simulate"):
        assert one.difficulty.maker.examples.path == one.examples.path
    other = bench.only(bench.own("simulated", **RANDOM, errors=errors, model="medium"), kind="simulate", of="labels")
    assert other.difficulty.maker.part == "medium"
    assert other.difficulty.maker.model_name_or_path.maker.of == "intermediate", "it supervises nobody"


@pytest.mark.parametrize(
    "more",
    [
        {"accuracy": 0.8},
        {"confidence": 0.9},
        {"errors": "systematic", "feature": "length"},
        {"errors": "clustered", "pattern": r"E\d+"},
    ],
)
def test_each_option_changes_labels_and_what_follows(bench: Any, more: dict[str, Any]) -> None:
    assert bench.changed("simulated", RANDOM, {**RANDOM, **more}) == {"simulate", "train", "evaluate"}


def test_the_seed_counts(bench: Any) -> None:
    plan = bench.own("simulated", "seeds=[0, 1]", **RANDOM)
    assert len({one.hash for one in bench.some(plan, kind="simulate", of="labels")}) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "accuracy: is missing"),
        ({"accuracy": 1.2}, "accuracy: is 1.2; use a share from 0 to 1"),
        ({"accuracy": -0.1}, "accuracy: is -0.1; use a share from 0 to 1"),
        ({"accuracy": float("nan")}, "accuracy: is nan; use a share from 0 to 1"),
        ({"accuracy": "high"}, "accuracy: 'high' is no float"),
        ({"accuracy": True}, "accuracy: True is no float"),
        ({**RANDOM, "confidence": 0}, "confidence: is 0; use a probability above 0, at most 1"),
        ({**RANDOM, "confidence": 1.5}, "confidence: is 1.5; use a probability above 0, at most 1"),
        ({"accuracy": 0}, "accuracy, which stands for confidence, is 0"),
        ({**RANDOM, "errors": "hrad"}, "errors: is 'hrad'; did you mean 'hard'?"),
        ({**RANDOM, "errors": "systematic"}, "feature: goes with errors: systematic, which needs it"),
        ({**RANDOM, "feature": "length"}, "feature: goes with errors: systematic, which needs it"),
        ({**RANDOM, "errors": "systematic", "feature": "lenght"}, "feature: is 'lenght'; did you mean 'length'?"),
        ({**RANDOM, "errors": "clustered"}, "pattern: goes with errors: clustered, which needs it"),
        ({**RANDOM, "pattern": "E"}, "pattern: goes with errors: clustered, which needs it"),
        ({**RANDOM, "errors": "clustered", "pattern": "["}, "pattern: is '[', no regular expression"),
        ({**RANDOM, "errors": "hard", "model": "medum"}, "no model 'medum' in this recipe; did you mean 'medium'?"),
        ({**RANDOM, "model": "medium"}, "model: goes with errors: hard or adversarial, and errors is random"),
    ],
)
def test_bad_input_is_refused_with_the_line(bench: Any, options: dict[str, Any], message: str) -> None:
    assert message in bench.refused("simulated", **options)


def test_with_classes_a_label_must_name_its_class(bench: Any) -> None:
    task = "task={name: world_classification, n_train: 24, n_test: 8}"
    assert "give a confidence above 0.5" in bench.refused("simulated", task, accuracy=0.4)
    bench.own("simulated", task, accuracy=0.4, confidence=0.6)
