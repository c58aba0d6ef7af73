"""Exact match of greedy answers."""

import pytest

from w2s_rm.errors import DataError
from w2s_rm.metrics.exact_match import exact_matches, no_candidate_share


def test_gold_that_is_no_candidate_is_refused() -> None:
    """Else what wrote none of the candidates would be right."""
    with pytest.raises(DataError, match="has a gold label that is not one of its candidates"):
        exact_matches([-1], [-1])


def test_by_hand() -> None:
    greedy, gold = [2, 0, -1, 1, -1], [2, 1, 0, 1, 3]
    assert exact_matches(greedy, gold).tolist() == [1, 0, 0, 1, 0]
    assert no_candidate_share(greedy) == 0.4


def test_unusable_answers_are_named() -> None:
    with pytest.raises(DataError, match="2 greedy answers but 1 gold labels"):
        exact_matches([0, 1], [0])
    with pytest.raises(DataError, match="'b' has no gold label"):
        exact_matches([0, 1], [0, None], ["a", "b"])
    with pytest.raises(DataError, match="row 1 has a greedy answer that is neither .* nor -1"):
        exact_matches([0, -2], [0, 0])
    with pytest.raises(DataError, match="'b' has a greedy answer"):
        no_candidate_share([0, -2], ["a", "b"])
    with pytest.raises(DataError, match="no greedy answers"):
        no_candidate_share([])
