"""The world: hidden ranks, facts, questions."""

import numpy as np
import pytest

from w2s_rm.errors import ConfigError
from w2s_rm.testbed.world import World


def test_ranks_are_permutations_that_depend_on_the_seed_alone():
    ranks_AE = World(seed=3, n_entities=9, n_attributes=2).ranks_AE
    assert np.sort(ranks_AE, axis=1).tolist() == [list(range(9))] * 2
    assert ranks_AE[0].tolist() != ranks_AE[1].tolist()
    assert np.array_equal(ranks_AE, World(seed=3, n_entities=9, n_attributes=2).ranks_AE)
    assert not np.array_equal(ranks_AE, World(seed=4, n_entities=9, n_attributes=2).ranks_AE)


def test_every_fact_occurs_once_with_the_lower_rank_first():
    world = World(n_entities=5, n_attributes=2)
    facts = list(world.facts())
    assert world.n_facts() == len(facts) == 2 * 10
    assert len({(fact.attribute, frozenset(fact[1:])) for fact in facts}) == 20
    assert all(world.ranks_AE[a, low] < world.ranks_AE[a, high] for a, low, high in facts)


def test_asks_in_the_words_of_the_task():
    assert World(n_entities=5, n_attributes=2).question(1, True, 3, 4) == "which is down_age , E3 or E4 ?"


def test_all_wrong_options_are_named():
    with pytest.raises(ConfigError, match=r"(?s)n_entities is 2: set at least 3.*n_attributes is 9: set 1 to 8"):
        World(n_entities=2, n_attributes=9)
    with pytest.raises(ConfigError, match=r"(?s)world_seed is -1: set 0 or more.*n_entities is 1001: set at most 1000"):
        World(seed=-1, n_entities=1001)


def test_only_close_entities() -> None:
    world = World(seed=1, n_entities=9, n_attributes=2)
    for closest in (1, 3, 8, 20):
        facts = list(world.facts(closest))
        assert [world.apart(fact) <= closest for fact in facts] == [True] * world.n_facts(closest)
        assert facts == [fact for fact in world.facts() if world.apart(fact) <= closest]


def test_who_is_asked_for() -> None:
    world = World(seed=1, n_entities=9, n_attributes=2)
    for attribute, low, high in world.facts():
        for first, second in ((low, high), (high, low)):
            assert world.right_answer(world.question(attribute, False, first, second)) == high
            assert world.right_answer(world.question(attribute, True, first, second)) == low
