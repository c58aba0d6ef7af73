"""The weak model, or another of the recipe's, trained on the truth."""

from __future__ import annotations

from typing import Any


def test_it_is_what_methods_without_a_supervisor_have(bench: Any) -> None:
    assert bench.added("model") == []


def test_another_model_is_trained_on_the_weak_split(bench: Any) -> None:
    assert bench.added("model", model="medium") == ["weak own seed 0", "evaluate weak own seed 0", "relabel own seed 0"]
    trained = bench.only(bench.own("model", model="medium"), kind="train", of="weak", method="own")
    assert trained.config()["model_name_or_path"].endswith("models/medium")
    assert trained.config()["examples"].endswith("examples/weak.parquet")
    assert "labels" not in trained.config()


def test_an_unknown_model_is_refused_with_the_nearest_name(bench: Any) -> None:
    assert "no model 'medum' in this recipe; did you mean 'medium'?" in bench.refused("model", model="medum")


def test_a_file_of_labels_is_no_model(bench: Any) -> None:
    labels = f"weak={{labels: {bench.recipe.parent / 'labels.jsonl'}}}"
    assert "weak is a file of labels in this recipe and no model" in bench.refused("model", labels)
