"""Mean ranks and wins over tasks: by hand, and how often their intervals hold what other tasks would give."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from w2s_rm.errors import DataError
from w2s_rm.metrics.intervals import Means, means_of
from w2s_rm.metrics.ranking import _places, rank


def known(*accuracies: float) -> Means:
    nothing = np.zeros((len(accuracies), len(accuracies)))
    return Means(np.array(accuracies), nothing, nothing, 3, 1_000, 1_000)


def test_by_hand() -> None:
    first, second, third = rank(
        [known(0.8, 0.7, 0.6), known(0.9, 0.7, 0.7), known(0.6, 0.7, 0.5), known(0.7, 0.7, 0.2)]
    )
    # Places 1 1 2 1.5, 2 2.5 1 1.5, 3 2.5 3 3; the last task is shared by two.
    assert [one.mean_rank.value for one in (first, second, third)] == [1.375, 1.75, 2.875]
    assert [one.wins.value for one in (first, second, third)] == [2.5, 1.5, 0]
    # Only tasks are drawn: no mean is beyond the best and the worst of them.
    assert (first.mean_rank.low, third.wins.low, third.wins.high) == (1, 0, 0) and first.mean_rank.high <= 2
    assert 0 <= second.wins.low < second.wins.value < second.wins.high <= 4


def test_places_are_scipys() -> None:
    table = np.random.default_rng(0).integers(0, 4, (50, 6)) / 4
    assert np.array_equal(_places(table), rankdata(-table, axis=1))


def test_a_lead_within_the_errors_is_not_one() -> None:
    rng = np.random.default_rng(1)
    close = means_of([(rng.random((3, 100)) < accuracy).astype(float) for accuracy in (0.70, 0.70, 0.2)])
    one, other, last = rank([close] * 4)
    assert one.mean_rank.low < 1.5 < one.mean_rank.high and one.mean_rank.low < other.mean_rank.high
    assert (last.mean_rank.low, last.mean_rank.value, last.mean_rank.high) == (3, 3, 3) and last.wins.high == 0


def test_intervals_hold_the_mean_rank_of_other_tasks() -> None:
    """Twelve tasks in which the better of two methods varies: 200 draws, a share of 0.95 has an error of 0.015."""
    rng, held = np.random.default_rng(2), 0
    for _ in range(200):
        lead_T = rng.normal(0.02, 0.04, 12)
        tasks = [
            means_of([(rng.random((1, 200)) < accuracy).astype(float) for accuracy in (0.7 + lead, 0.7)])
            for lead in lead_T
        ]
        # The first has rank 1 where its lead is above zero, in 69 % of all tasks: Φ(0.5).
        found = rank(tasks)[0].mean_rank
        held += found.low <= 2 - 0.6915 <= found.high
    assert held / 200 >= 0.92


def test_the_same_methods_everywhere() -> None:
    assert rank([known(0.7, 0.6)]) == rank([known(0.7, 0.6)])
    for tasks in ([], [known(0.7, 0.6), known(0.7)]):
        with pytest.raises(DataError, match="the same methods in each"):
            rank(tasks)


def test_equal_methods_share_ranks_and_wins() -> None:
    """Also where the sums that give their means are made in another order, and in each resample."""
    rights, n = ([1, 2, 3], [3, 2, 1]), 10
    one, other = (np.array([[1.0] * right + [0.0] * (n - right) for right in seeds]) for seeds in rights)
    means = means_of([one, other])
    assert means.values_M[0] != means.values_M[1]
    assert [(found.mean_rank.value, found.wins.value) for found in rank([means, means])] == [(1.5, 1.0)] * 2
    rng = np.random.default_rng(0)
    same, worse = ((rng.random((3, 200)) < accuracy).astype(float) for accuracy in (0.8, 0.4))
    first, second, last = rank([means_of([same, same, worse])] * 2)
    for found in (first, second):
        assert (found.mean_rank.low, found.mean_rank.value, found.mean_rank.high) == (1.5, 1.5, 1.5)
        assert (found.wins.low, found.wins.value, found.wins.high) == (1.0, 1.0, 1.0)
    assert last.mean_rank.value == 3
