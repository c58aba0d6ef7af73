"""Agreement: split by whether the supervisor is right, ties as expectations."""

import pytest

from w2s_rm.errors import DataError
from w2s_rm.metrics.agreement import Agreement, agreement, imitated, mean_agreement
from w2s_rm.types import Predictions


def predictions(picks: str, gold: list[int | None]) -> Predictions:
    """One letter for each example: `0` or `1` chooses that candidate, `t` ties."""
    scores = {"0": (1.0, 0.0), "1": (0.0, 1.0), "t": (1.0, 1.0)}
    return Predictions(tuple(f"e{i}" for i in range(len(picks))), tuple(scores[p] for p in picks), tuple(gold))


def test_split_by_hand() -> None:
    gold: list[int | None] = [0, 0, 0, 0, 0]
    # The supervisor is right on e0, e1, e2 and the student follows on two; wrong on e3, e4 and it follows on one.
    result = agreement(predictions("00110", gold), predictions("00011", gold))
    assert result == Agreement(overall=3 / 5, when_right=pytest.approx(2 / 3), when_wrong=1 / 2)


def test_a_tied_supervisor_is_half_right_and_half_wrong() -> None:
    gold: list[int | None] = [0, 0]
    # e0: supervisor ties, student right: agrees with probability 1/2, and always where the supervisor falls on gold.
    # e1: supervisor wrong, student wrong.
    result = agreement(predictions("01", gold), predictions("t1", gold))
    assert result == Agreement(overall=0.75, when_right=1.0, when_wrong=pytest.approx(1 / 1.5))


def test_order_of_ids_does_not_matter() -> None:
    student = Predictions(("a", "b"), ((1.0, 0.0), (0.0, 1.0)), (0, 0))
    supervisor = Predictions(("b", "a"), ((0.0, 1.0), (1.0, 0.0)), (0, 0))
    assert agreement(student, supervisor) == Agreement(1.0, 1.0, 1.0)


def test_parts_without_examples_are_none() -> None:
    assert agreement(predictions("01", [None, None]), predictions("00", [None, None])) == Agreement(0.5, None, None)
    assert agreement(predictions("01", [0, 0]), predictions("00", [0, 0])) == Agreement(0.5, 0.5, None)


def test_examples_without_gold_count_only_in_the_whole() -> None:
    assert agreement(predictions("010", [0, None, 0]), predictions("000", [0, None, 0])) == Agreement(
        pytest.approx(2 / 3), 1.0, None
    )


def test_mean_over_seeds_skips_missing_parts() -> None:
    mean = mean_agreement([Agreement(0.5, 0.5, None), Agreement(1.0, 1.0, 0.25)])
    assert mean == Agreement(0.75, 0.75, 0.25)


def test_other_number_of_candidates_is_named() -> None:
    student = Predictions(("a",), ((1.0, 0.0, 0.0),), (0,))
    with pytest.raises(DataError, match="'a' has another number of candidates"):
        agreement(student, Predictions(("a",), ((1.0, 0.0),), (0,)))


def test_other_ids_are_named() -> None:
    with pytest.raises(DataError, match="supervisor: .*\n.*missing: 'e1'"):
        agreement(predictions("01", [0, 0]), predictions("0", [0]))
    with pytest.raises(DataError):
        mean_agreement([])


def test_what_is_imitated_adds_up_to_the_agreement_where_the_supervisor_is_wrong() -> None:
    student = Predictions(("a", "b", "c"), ((0.0, 1.0), (1.0, 0.0), (0.0, 1.0)), (1, 1, 0))
    supervisor = Predictions(("c", "a", "b"), ((0.0, 1.0), (1.0, 0.0), (0.5, 0.5)), (0, 1, 1))
    wrong, same = imitated(student, supervisor)
    # a: wrong, and the student is right; b: a tie, half wrong, which the student is wholly; c: both wrong.
    assert wrong.tolist() == [1.0, 0.5, 1.0] and same.tolist() == [0.0, 0.5, 1.0]
    assert same.sum() / wrong.sum() == agreement(student, supervisor).when_wrong
    with pytest.raises(DataError, match="example 'b' has no gold label; whether its supervisor is wrong"):
        imitated(Predictions(student.ids, student.scores, (1, None, 0)), supervisor)


@pytest.mark.parametrize("index", [-1, 2])
def test_gold_that_is_no_candidate_is_refused(index: int) -> None:
    both = Predictions(("a", "b"), ((0.0, 1.0), (1.0, 0.0)), (0, index))
    with pytest.raises(DataError, match="'b' has a gold label that is not one of its candidates"):
        agreement(both, both)
