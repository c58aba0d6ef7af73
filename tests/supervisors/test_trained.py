"""A model that is a reward model already."""

from __future__ import annotations

from typing import Any


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
