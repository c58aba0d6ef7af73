"""Pairing: same examples in one order for all models, otherwise an error with the first few ids."""

import pytest

from w2s_rm.errors import DataError
from w2s_rm.metrics.pairing import aligned, paired_correctness, paired_exact_matches, with_gold
from w2s_rm.types import Predictions

RIGHT, WRONG = (1.0, 0.0), (0.0, 1.0)


def test_credits_follow_the_first_order() -> None:
    weak = Predictions(("a", "b", "c"), (RIGHT, WRONG, WRONG), (0, 0, 0))
    student = Predictions(("c", "a", "b"), (RIGHT, WRONG, WRONG), (0, 0, 0))
    credits = paired_correctness({"weak": [weak], "student": [student]})
    assert credits["weak"].tolist() == [[1, 0, 0]]
    assert credits["student"].tolist() == [[0, 0, 1]]


def test_seeds_become_rows() -> None:
    one = Predictions(("a",), (RIGHT,), (0,))
    two = Predictions(("a",), (WRONG,), (0,))
    assert paired_correctness({"weak": [one, two]})["weak"].tolist() == [[1], [0]]


def test_missing_and_surplus_ids_are_named_together() -> None:
    weak = Predictions(("a", "b"), (RIGHT, RIGHT), (0, 0))
    student = Predictions(("b", "x"), (RIGHT, RIGHT), (0, 0))
    with pytest.raises(DataError) as caught:
        paired_correctness({"weak": [weak], "student": [student]})
    assert "student (seed number 0)" in str(caught.value)
    assert "1 test ids are missing: 'a'" in str(caught.value)
    assert "1 ids are not in the test set: 'x'" in str(caught.value)


def test_only_the_first_few_ids_are_named() -> None:
    ids = tuple(f"e{i}" for i in range(9))
    many = Predictions(ids, (RIGHT,) * 9, (0,) * 9)
    with pytest.raises(DataError, match="8 test ids are missing: 'e1', 'e2', 'e3', 'e4', 'e5', …"):
        aligned(Predictions(("e0",), (RIGHT,), (0,)), many.ids, name="weak")


def test_repeated_ids_are_named() -> None:
    twice = Predictions(("a", "a"), (RIGHT, RIGHT), (0, 0))
    with pytest.raises(DataError, match="1 ids occur more than once: 'a'"):
        paired_correctness({"weak": [twice]})


def test_missing_gold_is_named() -> None:
    with pytest.raises(DataError, match="'b' has no gold"):
        paired_correctness({"weak": [Predictions(("a", "b"), (RIGHT, RIGHT), (0, None))]})


def test_changed_gold_is_named() -> None:
    weak = Predictions(("a", "b"), (RIGHT, RIGHT), (0, 0))
    student = Predictions(("a", "b"), (RIGHT, RIGHT), (0, 1))
    with pytest.raises(DataError, match="gold labels are not those .* 'b'"):
        paired_correctness({"weak": [weak], "student": [student]})


def test_unequal_or_no_seeds() -> None:
    one = Predictions(("a",), (RIGHT,), (0,))
    with pytest.raises(DataError, match="weak has 1, student has 2"):
        paired_correctness({"weak": [one], "student": [one, one]})
    with pytest.raises(DataError, match="weak has 0"):
        paired_correctness({"weak": []})


def test_empty_predictions() -> None:
    with pytest.raises(DataError, match="no test ids"):
        paired_correctness({"weak": [Predictions((), (), ())]})


def test_with_gold_keeps_rows_together() -> None:
    some = Predictions(("a", "b", "c"), (RIGHT, WRONG, RIGHT), (0, None, 1))
    assert with_gold(some) == Predictions(("a", "c"), (RIGHT, RIGHT), (0, 1))


def test_greedy_answers_move_with_their_examples() -> None:
    some = Predictions(("a", "b", "c"), (RIGHT, WRONG, RIGHT), (0, None, 1), (1, -1, 0))
    assert with_gold(some).greedy == (1, 0)
    assert aligned(some, ("c", "a", "b"), name="weak").greedy == (0, 1, -1)


def test_exact_matches_follow_the_first_order_whatever_the_scores() -> None:
    weak = Predictions(("a", "b", "c"), (WRONG, WRONG, RIGHT), (0, 0, 0), (0, 1, -1))
    student = Predictions(("c", "a", "b"), (RIGHT, WRONG, WRONG), (0, 0, 0), (0, -1, 0))
    matches = paired_exact_matches({"weak": [weak], "student": [student]})
    assert matches["weak"].tolist() == [[1, 0, 0]]
    assert matches["student"].tolist() == [[0, 1, 1]]


def test_greedy_answers_that_cannot_be() -> None:
    outside = Predictions(("a", "b"), (RIGHT, (1.0, 0.0, 0.0)), (0, 0), (2, 2))
    with pytest.raises(DataError, match="1 of 2 .*\n.*'a' has a greedy answer that is neither"):
        paired_exact_matches({"weak": [outside]})
    with pytest.raises(DataError, match="without greedy answers"):
        paired_exact_matches({"weak": [Predictions(("a",), (RIGHT,), (0,))]})
