"""Solutions in steps, with the arithmetic written out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from w2s_rm.errors import DataError
from w2s_rm.metrics.process import (
    REDUCTIONS,
    chain_scores,
    choose,
    finds_first_mistake,
    first_mistake,
    margins,
    solutions_of,
)
from w2s_rm.types import Step


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def test_margins_are_log_odds_of_right() -> None:
    assert margins([[1.0, 3.5], [2.0, -1.0]]).tolist() == [2.5, -3.0]
    assert margins([[0.2, 0.8]], probabilities=True)[0] == pytest.approx(math.log(4))
    assert margins([[0.0, 1.0], [1.0, 0.0]], probabilities=True).tolist() == [math.inf, -math.inf]
    with pytest.raises(DataError, match="two scores, of wrong and of right"):
        margins([[1.0, 2.0, 3.0]])


def test_reductions() -> None:
    # Two solutions, their steps mixed: probabilities of right .9, .4, .8 and .6, .7.
    margins_B = np.array([logit(p) for p in (0.9, 0.6, 0.4, 0.7, 0.8)])
    solutions = [(0, 2, 4), (1, 3)]
    expected = {
        "minimum": [logit(0.4), logit(0.6)],
        "product": [math.log(0.9 * 0.4 * 0.8), math.log(0.6 * 0.7)],
        # The first stumbles at its second of three steps, the other nowhere.
        "first_mistake": [1 / 3, 1.0],
        "last": [logit(0.8), logit(0.7)],
    }
    assert set(REDUCTIONS) == set(expected)
    for reduction, values in expected.items():
        assert chain_scores(margins_B, solutions, reduction).tolist() == pytest.approx(values)


def test_a_product_does_not_underflow() -> None:
    margins_B = np.full(4000, -5.0)
    expected = 4000 * -math.log1p(math.exp(5.0))
    assert chain_scores(margins_B, [range(4000)], "product")[0] == pytest.approx(expected)
    assert chain_scores(np.array([-math.inf, 1.0]), [(0, 1)], "product")[0] == -math.inf


def test_solutions_without_steps_and_unknown_reductions() -> None:
    with pytest.raises(DataError, match="a solution has no steps"):
        chain_scores(np.zeros(2), [(0, 1), ()], "minimum")
    with pytest.raises(DataError, match="unknown reduction 'minimun'.*'minimum'"):
        chain_scores(np.zeros(2), [(0, 1)], "minimun")


def test_the_first_mistake() -> None:
    assert first_mistake(np.array([1.0, -0.1, 2.0, -3.0])) == 1
    assert first_mistake(np.array([1.0, 0.0])) == 2
    margins_B, labels_B = np.array([1.0, -1.0, 1.0, 1.0, 1.0, -1.0]), np.array([1, 0, 1, 1, 0, 0])
    # Found; none there and none seen; seen one step late.
    found = finds_first_mistake(margins_B, labels_B, [(0, 1), (2, 3), (3, 4, 5)])
    assert found.tolist() == [1.0, 1.0, 0.0]


def test_choosing_the_right_solution() -> None:
    scores_C = np.array([1.0, 2.0, 0.5, 0.5, 0.5, 9.0, 9.0, 3.0, 1.0])
    right_C = np.array([0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, math.nan])
    problems = ["a", "a", "b", "b", "b", "all right", "all right", "one unknown", "one unknown"]
    chosen = choose(scores_C, right_C, problems)
    # a: the higher one is right. b: three tie, one of them is right. Of the others nothing can be chosen, or said.
    assert chosen.problems == ("a", "b")
    assert chosen.credits_P.tolist() == pytest.approx([1.0, 1 / 3])
    assert chosen.chance_P.tolist() == pytest.approx([1 / 2, 1 / 3])
    assert choose(scores_C[5:7], right_C[5:7], problems[5:7]).problems == ()
    with pytest.raises(DataError, match="example 'a' has a NaN score"):
        choose(np.array([math.nan, 1.0]), right_C[:2], problems[:2])


def test_choosing_agrees_with_drawing() -> None:
    rng = np.random.default_rng(0)
    scores_C, right_C = rng.integers(0, 3, 12).astype(float), np.array([1.0, 0.0, 1.0, 0.0] * 3)
    problems = [f"p{number // 4}" for number in range(12)]
    # Ties broken by a number drawn for each solution, again and again.
    hits = 0.0
    for _ in range(4000):
        broken_C = scores_C + rng.random(12) / 2
        hits += sum(right_C[at + int(broken_C[at : at + 4].argmax())] for at in (0, 4, 8)) / 3
    assert choose(scores_C, right_C, problems).credits_P.mean() == pytest.approx(hits / 4000, abs=0.02)


def test_steps_are_put_together_and_torn_solutions_left_out() -> None:
    def step(solution: str, number: int, last: bool, right: bool | None = True) -> Step:
        return Step(solution, number, last, (), right)

    known = {
        "s1": step("s", 1, True),
        "s0": step("s", 0, False),
        # Without its end, and without its beginning.
        "t0": step("t", 0, False),
        "u1": step("u", 1, True),
        "v0": step("v", 0, True, None),
    }
    ids = ["s1", "t0", "u1", "v0", "s0", "other"]
    found = solutions_of(ids, known, ["p", "p", "p", "q", "p", "o"])
    assert found.steps == ((4, 0), (3,)) and found.problems == ("p", "q")
    assert found.right_C[0] == 1 and math.isnan(found.right_C[1])


def test_a_margin_that_is_nan_is_no_right_step() -> None:
    margins_B = np.array([1.0, math.nan])
    for call in (
        lambda: first_mistake(margins_B),
        lambda: chain_scores(margins_B, [(0, 1)], "first_mistake"),
        lambda: finds_first_mistake(margins_B, np.array([1, 1]), [(0, 1)]),
    ):
        with pytest.raises(DataError, match="the margin of a step is NaN"):
            call()
    # Other solutions are not concerned.
    assert finds_first_mistake(margins_B, np.array([1, 1]), [(0,)]).tolist() == [1.0]
    for reduction in ("minimum", "last"):
        assert np.isnan(chain_scores(margins_B, [(0, 1)], reduction)).all()


@pytest.mark.parametrize(
    ("scores", "right", "problems"),
    [([1.0, 2.0, 3.0], [1.0, 0.0], "pp"), ([1.0, 2.0], [1.0, 0.0, 1.0], "ppp"), ([1.0, 2.0], [1.0, 0.0], "ppp")],
)
def test_each_solution_has_a_score_a_truth_and_a_problem(
    scores: list[float], right: list[float], problems: str
) -> None:
    with pytest.raises(DataError, match=rf"{len(scores)} scores, {len(right)} truths and {len(problems)} problems"):
        choose(np.array(scores), np.array(right), list(problems))
