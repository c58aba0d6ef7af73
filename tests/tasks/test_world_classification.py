"""The classification task of the world: answers judged by the ranks, classes balanced, a fact in one group."""

from collections import Counter, defaultdict

import pytest

from w2s_rm.errors import ConfigError
from w2s_rm.tasks.world_classification import WorldClassification

TASK = WorldClassification(world_seed=3, n_entities=10, n_attributes=2)


@pytest.fixture(scope="module")
def examples():
    return [TASK.to_example(row) for row in TASK.rows()]


def test_every_answer_to_every_question_once(examples):
    # 2 attributes x 45 pairs x up or down x either named first x either given as the answer.
    assert len(examples) == 720 == len({example.id for example in examples}) == len({e.prompt for e in examples})
    assert Counter(example.gold for example in examples) == {0: 360, 1: 360}
    assert {example.candidates for example in examples} == {(" honestly", " certainly")} == {TASK.classes}


def test_right_is_what_the_ranks_say(examples):
    for example in examples:
        _, _, relation, _, first, _, second, _, answer, end = example.prompt.split()
        direction, attribute = relation.split("_")
        ranks = TASK.world.ranks_AE[["size", "age"].index(attribute)]
        named = [int(first[1:]), int(second[1:])]
        right = (max if direction == "up" else min)(named, key=lambda entity: ranks[entity])
        assert example.gold == int(answer == f"E{right}") and end == "<eos>"


def test_all_wordings_of_a_fact_are_one_group(examples):
    prompts = defaultdict(set)
    for example in examples:
        words = example.prompt.split()
        prompts[example.group].add((words[2].split("_")[1], *sorted((words[4], words[6]))))
    assert len(prompts) == 90 and all(len(facts) == 1 for facts in prompts.values())


def test_fewer_examples_are_the_first_of_all(examples):
    few = WorldClassification(world_seed=3, n_entities=10, n_attributes=2, n_examples=50)
    assert [few.to_example(row) for row in few.rows()] == examples[:50]
    with pytest.raises(ConfigError, match="n_examples is 721, the world has 720 answers"):
        WorldClassification(n_entities=10, n_examples=721)


def test_the_version_follows_the_options():
    assert TASK.content_version() == WorldClassification(3, 10, 2).content_version()
    assert TASK.content_version() != WorldClassification(4, 10, 2).content_version()
