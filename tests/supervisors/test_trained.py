"""A model that is a reward model already."""

from __future__ import annotations

import json
from typing import Any

import pytest
from planning_helpers import SHAPE


def test_it_labels_as_it_is_and_for_all_seeds_alike(bench: Any) -> None:
    assert bench.added("trained", model="medium") == ["evaluate weak own seed 0", "relabel own seed 0"]
    both = bench.own("trained", "seeds=[0, 1]", model="medium").stages
    assert len({one.folder for one in both if one.kind == "relabel" and one.part == "medium"}) == 1


def test_its_layers_are_those_that_the_recipe_says(bench: Any) -> None:
    layers = "models.medium.train={model_init_kwargs: {num_hidden_layers: 1}}"
    plain, cut = (bench.own("trained", *more, model="medium") for more in ((), (layers,)))
    assert bench.only(plain, of="weak", method="own").hash != bench.only(cut, of="weak", method="own").hash


def test_an_unknown_model_is_refused(bench: Any) -> None:
    assert "no model 'stron' in this recipe; did you mean 'strong'?" in bench.refused("trained", model="stron")


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "GPT2LMHeadModel", "BertForMaskedLM", "LlamaModel"])
def test_a_model_without_a_head_would_label_at_random(bench: Any, architecture: str) -> None:
    path = bench.recipe.parent / "models" / "medium" / "config.json"
    path.write_text(json.dumps({**SHAPE, "num_hidden_layers": 2, "architectures": [architecture]}), encoding="utf-8")
    message = bench.refused("trained", model="medium")
    assert "medium is a language model, and head reward would be one of random weights on it; train it" in message
    own = ["LlamaForSequenceClassification", "InternLM2ForRewardModel"]
    for name in own:
        path.write_text(json.dumps({**SHAPE, "num_hidden_layers": 2, "architectures": [name]}), encoding="utf-8")
        bench.own("trained", model="medium")


def test_a_model_that_is_pretrained_here_has_no_head_either(bench: Any) -> None:
    given = ("models.medium={pretrain: {hidden_size: 16, num_hidden_layers: 1, steps: 10}}",)
    assert "train it (supervisor model)" in bench.refused("trained", *given, model="medium")
    task = "task={name: world_classification, n_train: 24, n_test: 8}"
    bench.own("trained", task, "head=lm", *given, model="medium")
