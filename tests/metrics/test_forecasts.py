"""Scores as probabilities: against scipy and arithmetic, ragged, tied, excluded, in any order."""

import math

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import entropy

from w2s_rm.errors import DataError
from w2s_rm.metrics.forecasts import forecasts

INF = float("inf")


def ragged(n: int, seed: int = 0) -> tuple[list[list[float]], list[int]]:
    rng = np.random.default_rng(seed)
    scores = [(3 * rng.normal(size=rng.integers(2, 6))).tolist() for _ in range(n)]
    return scores, [int(rng.integers(len(row))) for row in scores]


def test_ragged_rows_as_scipy_has_them() -> None:
    scores, gold = ragged(50)
    said = forecasts(scores, gold)
    logs = [log_softmax(row) for row in scores]
    assert said.loss_B == pytest.approx([-row[k] for row, k in zip(logs, gold, strict=True)], abs=1e-12)
    # The negative log-likelihood is the relative entropy of the right candidate to what is said.
    right = [np.eye(len(row))[k] for row, k in zip(logs, gold, strict=True)]
    assert said.loss_B == pytest.approx([entropy(y, np.exp(row)) for y, row in zip(right, logs, strict=True)])
    assert said.brier_B == pytest.approx([((np.exp(row) - y) ** 2).sum() for y, row in zip(right, logs, strict=True)])
    assert said.confidence_B == pytest.approx([math.exp(max(row)) for row in logs])


def test_two_candidates_by_hand() -> None:
    said = forecasts([[math.log(3), 0.0], [0.0, 0.0]], [1, 0])
    assert said.loss_B == pytest.approx([math.log(4), math.log(2)])
    # 2 * (3/4)^2, 2 * (1/2)^2
    assert said.brier_B == pytest.approx([1.125, 0.5])
    assert said.confidence_B == pytest.approx([0.75, 0.5])
    assert said.credit_B.tolist() == [0.0, 0.5] and said.tied_B.tolist() == [False, True]


def test_neither_order_nor_a_constant_matters() -> None:
    scores, gold = ragged(30)
    said = forecasts(scores, gold)
    last = [len(row) - 1 for row in scores]
    turned = forecasts(
        [[7.0 + s for s in row[::-1]] for row in scores], [n - k for n, k in zip(last, gold, strict=True)]
    )
    backwards = forecasts(scores[::-1], gold[::-1])
    for name in ("loss_B", "brier_B", "confidence_B", "credit_B"):
        assert getattr(turned, name) == pytest.approx(getattr(said, name), abs=1e-12)
        assert getattr(backwards, name).tolist() == getattr(said, name)[::-1].tolist()


def test_far_apart_scores_keep_what_probabilities_lose() -> None:
    said = forecasts([[-3000.0, -4000.0]], [1])
    assert said.loss_B.tolist() == [1000.0] and said.brier_B.tolist() == [2.0]
    assert said.tempered(1000.0).loss_B == pytest.approx([1 + math.log1p(math.exp(-1))])


def test_probabilities_are_taken_as_they_are() -> None:
    said = forecasts([[0.8, 0.2], [1.0, 0.0], [0.5, 0.5]], [0, 1, 1], probabilities=True)
    assert said.loss_B == pytest.approx([-math.log(0.8), INF, math.log(2)])
    assert said.brier_B == pytest.approx([0.08, 2.0, 0.5])
    assert said.confidence_B == pytest.approx([0.8, 1.0, 0.5])
    with pytest.raises(DataError, match="'b' has no probabilities"):
        forecasts([[0.8, 0.2], [1.2, -0.2], [0.0, 0.0]], [0, 0, 0], ["a", "b", "c"], probabilities=True)


def test_infinite_scores() -> None:
    said = forecasts([[-INF, -INF], [-INF, 0.0], [INF, 1.0]], [0, 1, 1])
    assert said.loss_B == pytest.approx([math.log(2), 0.0, INF])
    assert said.credit_B.tolist() == [0.5, 1.0, 0.0]


def test_temperature_by_hand() -> None:
    said = forecasts([[math.log(4), 0.0], [0.0, math.log(9), 0.0]], [0, 1])
    # At T = 2 roots are taken: 2 : 1, and 1 : 3 : 1.
    assert said.tempered(2.0).confidence_B == pytest.approx([2 / 3, 3 / 5])
    assert said.tempered(np.array([2.0, 1.0])).confidence_B == pytest.approx([2 / 3, 9 / 11])
    assert said.tempered(2.0).credit_B is said.credit_B


@pytest.mark.parametrize(
    ("scores", "gold", "message"),
    [([], [], "no predictions"), ([[1.0, float("nan")]], [0], "NaN"), ([[1.0, 2.0]], [None], "no gold label")],
)
def test_bad_input_is_named(scores: list[list[float]], gold: list[int | None], message: str) -> None:
    with pytest.raises(DataError, match=message):
        forecasts(scores, gold)
