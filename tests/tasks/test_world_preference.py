"""The embedded world as a preference task."""

import re

import pytest

from w2s_rm.errors import ConfigError
from w2s_rm.tasks.world_preference import WorldPreference


def examples(**options):
    task = WorldPreference(**options)
    return [task.to_example(row) for row in task.rows()]


def test_enough_distinct_examples_and_groups():
    made = examples()
    # 2 attributes x 48 * 47 / 2 pairs = 2,256 facts, each asked in 4 ways.
    assert len(made) == len({example.id for example in made}) == 9024
    assert len({(example.prompt, example.candidates) for example in made}) == 9024
    assert len({example.group for example in made}) == 2256


def test_gold_is_right_by_the_hidden_ranks():
    task = WorldPreference(n_entities=7, world_seed=2)
    for row in task.rows():
        example = task.to_example(row)
        direction, attribute, first, second = re.fullmatch(
            r"which is (up|down)_(size|age) , E(\d+) or E(\d+) \?", example.prompt
        ).groups()
        ranks_E = task.world.ranks_AE[["size", "age"].index(attribute)]
        best = (max if direction == "up" else min)((int(first), int(second)), key=lambda entity: ranks_E[entity])
        assert example.candidates[example.gold] == f" E{best}"
        assert sorted(example.candidates) == sorted((f" E{first}", f" E{second}"))


def test_a_group_is_one_fact():
    groups = {}
    for example in examples(n_entities=7):
        attribute = re.search(r"_(\w+)", example.prompt)[1]
        groups.setdefault(example.group, set()).add((attribute, frozenset(example.candidates)))
    assert len(groups) == 42
    assert {len(facts) for facts in groups.values()} == {1}


def test_position_and_direction_do_not_give_the_answer_away():
    made = examples(n_entities=7)
    first_is_right = [example.prompt.split()[4] == example.candidates[0].strip() for example in made]
    up = ["up_" in example.prompt for example in made]
    assert sum(first_is_right) == sum(up) == len(made) / 2
    assert sum(a == b for a, b in zip(first_is_right, up, strict=True)) == len(made) / 2


def test_fewer_examples_are_the_first_of_all():
    assert examples(n_examples=50) == examples()[:50]
    assert [row.place for row in WorldPreference(n_examples=2).rows()] == [
        "world_preference row 0",
        "world_preference row 1",
    ]


def test_content_version_follows_the_options():
    assert WorldPreference().content_version() == WorldPreference().content_version()
    others = [WorldPreference(world_seed=1), WorldPreference(n_entities=9), WorldPreference(n_examples=9)]
    assert len({task.content_version() for task in [WorldPreference(), *others]}) == 4
    assert examples(n_entities=7) != examples(n_entities=7, world_seed=1)


def test_example_row_is_one_that_the_task_generates():
    ours = WorldPreference.example_row
    made = next(row.values for row in WorldPreference().rows() if row.values["fact"] == ours["fact"])
    assert made.keys() == ours.keys()


def test_more_examples_than_questions():
    with pytest.raises(ConfigError, match="n_examples is 25, the world has 24 questions"):
        WorldPreference(n_entities=4, n_attributes=1, n_examples=25)
    with pytest.raises(ConfigError, match="n_examples is 0"):
        WorldPreference(n_examples=0)
