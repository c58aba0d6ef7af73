"""Values that YAML may hold for the options of all components: each is taken, or refused with its key."""

from __future__ import annotations

import dataclasses

import pytest

from w2s_rm import catalog, options


@pytest.mark.parametrize("kind", ["tasks", "corpora", "losses", "labels", "supervisors", "preparations", "hypotheses"])
def test_no_value_from_yaml_breaks_the_reading_of_an_option(kind: catalog.Kind) -> None:
    for name in catalog.names(kind):
        for option in dataclasses.fields(catalog.lookup(kind, name)):
            for value in (3, -1, 1.5, float("nan"), True, "x", ["x"], {"x": 1}, None):
                # It may be right or wrong, and anything but a mistake would be an error of Python's.
                options.mistakes(kind, {"name": name, option.name: value})


def test_a_word_of_a_few_may_be_anything_else() -> None:
    for name, option in (("world_preference", "noise_kind"), ("mate_in_one", "prompt"), ("reward_bench", "format")):
        given = {"name": name, option: 3}
        assert [str(mistake) for mistake in options.mistakes("tasks", given) if "is 3" in str(mistake)], name


@pytest.mark.parametrize("kind", ["tasks", "corpora"])
def test_a_seed_below_zero_is_refused_before_anything_runs(kind: catalog.Kind) -> None:
    seeded = [
        (name, option.name)
        for name in catalog.names(kind)
        for option in dataclasses.fields(catalog.lookup(kind, name))
        if "seed" in option.name
    ]
    assert len(seeded) >= 4
    for name, seed in seeded:
        wrong = [str(mistake) for mistake in options.mistakes(kind, {"name": name, seed: -1})]
        assert any("seed" in text and "is -1: set 0 or more" in text for text in wrong), (name, wrong)
