"""Passes within a budget of tokens: each example once, never more tokens than allowed, as few as can be."""

from __future__ import annotations

import random

import pytest

from w2s_rm.errors import DataError
from w2s_rm.training.token_budget import Footprint, deal, refuse_too_large, split


def draw(seed: int, packed: bool) -> tuple[Footprint, int]:
    """Draw examples and a budget that the largest of them fits into."""
    generator = random.Random(seed)
    size = generator.randint(1, 40)
    rows = [generator.choice([1, 2, 2, 2, 7]) for _ in range(size)]
    seen = Footprint(rows, [1 + int(generator.expovariate(0.05)) for _ in range(size)], packed)
    return seen, max(seen.tokens([index]) for index in range(size)) * generator.choice([1, 2, 5])


def test_tokens_are_counted_with_padding_unless_rows_are_filled_up() -> None:
    rows, lengths = [2, 2, 3], [10, 4, 1]
    assert Footprint(rows, lengths, packed=False).tokens([0, 1, 2]) == 7 * 10
    assert Footprint(rows, lengths, packed=False).tokens([2, 1]) == 5 * 4
    assert Footprint(rows, lengths, packed=True).tokens([0, 1, 2]) == 20 + 8 + 3
    assert Footprint(rows, lengths, packed=True).tokens([]) == Footprint(rows, lengths, packed=False).tokens([]) == 0


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("least", [1, 3, 100])
@pytest.mark.parametrize("seed", range(20))
def test_a_split_keeps_every_example_once_and_within_the_budget(seed: int, least: int, packed: bool) -> None:
    seen, budget = draw(seed, packed)
    size = len(seen.rows)
    passes = split(range(size), seen, budget, least)
    tokens = [seen.tokens(one) for one in passes]
    assert sorted(index for one in passes for index in one) == list(range(size))
    assert all(passes) and max(tokens) <= budget and tokens == sorted(tokens, reverse=True)
    assert len(passes) == max(min(least, size), len(split(range(size), seen, budget)))


def test_passes_are_filled_longest_first() -> None:
    # 60 + 30 + 10 and 60 + 40: one after the other, the 10 would open a third.
    assert split(range(5), Footprint([1] * 5, [10, 60, 30, 60, 40], packed=True), 100) == [[1, 4], [3, 2, 0]]
    # With padding 2 x 50, then 2 x 40; a third beside the 40 would make 3 x 40.
    assert split(range(5), Footprint([1] * 5, [10, 50, 40, 50, 10], packed=False), 100) == [[1, 3], [2, 0], [4]]
    assert split([], Footprint([], [], packed=True), 100) == []


@pytest.mark.parametrize("packed", [True, False])
def test_more_passes_than_needed_are_of_similar_size(packed: bool) -> None:
    seen = Footprint([1] * 16, [5] * 16, packed)
    sizes = {least: [len(one) for one in split(range(16), seen, 80, least)] for least in (1, 2, 4, 16, 17)}
    assert sizes == {1: [16], 2: [8, 8], 4: [4] * 4, 16: [1] * 16, 17: [1] * 16}


@pytest.mark.parametrize("seed", range(10))
def test_ranks_get_equal_counts_and_similar_tokens(seed: int) -> None:
    generator = random.Random(seed)
    size, micro_batches, ranks = generator.randint(20, 200), generator.randint(1, 4), generator.randint(1, 9)
    seen = Footprint([1] * size, [1 + int(generator.expovariate(0.02)) for _ in range(size)], packed=True)
    dealt = deal(range(size), micro_batches, ranks, seen)
    assert len(dealt) == micro_batches and all(len(one) == ranks for one in dealt)
    assert sorted(index for one in dealt for own in one for index in own) == list(range(size))
    for one in dealt:
        counts, tokens = [len(own) for own in one], [seen.tokens(own) for own in one]
        assert max(counts) - min(counts) <= 1
        # Turn by turn the ranks' lengths interleave, so that two differ by no more than about one example.
        assert max(tokens) - min(tokens) <= 2 * max(seen.lengths[index] for own in one for index in own)


def test_micro_batches_get_like_lengths() -> None:
    # Sorted 8 7 6 5 4 3 2 1: four to a micro-batch, there 8 5 and 7 6, then 4 1 and 3 2.
    seen = Footprint([2] * 8, [5, 1, 8, 3, 2, 7, 4, 6], packed=False)
    dealt = deal(range(8), 2, 2, seen)
    lengths = [[[seen.lengths[index] for index in own] for own in one] for one in dealt]
    assert lengths == [[[8, 5], [7, 6]], [[4, 1], [3, 2]]]
    assert deal([3], 1, 3, seen) == [[[3], [], []]]


def test_thousands_of_examples_are_split_at_once() -> None:
    generator = random.Random(0)
    lengths = [generator.randint(20, 1000) for _ in range(8192)]
    for packed in (True, False):
        passes = split(range(8192), Footprint([2] * 8192, lengths, packed), 8192)
        fed = sum(Footprint([2] * 8192, lengths, packed).tokens(one) for one in passes)
        assert fed > 0.9 * 8192 * len(passes)


def test_examples_above_the_budget_are_refused_by_name() -> None:
    seen = Footprint([2] * 14, [50, 51, *[60] * 11, 90], packed=False)
    ids = [f"pair{number}" for number in range(14)]
    refuse_too_large(seen, 180, ids)
    with pytest.raises(DataError) as raised:
        refuse_too_large(seen, 100, ids)
    message = str(raised.value)
    assert "max_tokens_per_batch is 100, and 13 of 14 examples" in message
    assert "'pair1' (102), 'pair2' (120)" in message and "'pair10' (120) and 3 more" in message
    assert "'pair0'" not in message and "'pair11'" not in message
    assert "set max_tokens_per_batch to 180 or more, or lower max_length" in message
