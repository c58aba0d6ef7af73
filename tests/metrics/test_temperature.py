"""The best temperature: against the transform that fits labels one by one, against scipy; honestly by halves."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from w2s_rm.data.label_files import WeakLabel
from w2s_rm.labels.temperature import fitted_temperature
from w2s_rm.metrics.forecasts import forecasts
from w2s_rm.metrics.temperature import best_temperature, cross_fitted

INF = float("inf")


def drawn(n: int, sharpness: float, seed: int = 0) -> tuple[list[list[float]], list[int]]:
    """Ragged scores, and right candidates drawn from their softmax at temperature `sharpness`."""
    rng = np.random.default_rng(seed)
    rows = [2 * rng.normal(size=rng.integers(2, 5)) for _ in range(n)]
    gold = [int((row / sharpness + rng.gumbel(size=len(row))).argmax()) for row in rows]
    return [row.tolist() for row in rows], gold


@pytest.mark.parametrize("sharpness", [0.2, 1.0, 6.0])
def test_as_scipy_and_the_transform_find_it(sharpness: float) -> None:
    scores, gold = drawn(400, sharpness)
    said = forecasts(scores, gold)
    found = best_temperature(said)
    assert found is not None
    best = minimize_scalar(lambda log_t: said.tempered(math.exp(log_t)).loss_B.mean(), bounds=(-4, 6), method="bounded")
    assert found == pytest.approx(math.exp(best.x), rel=1e-3)
    labels = []
    for place, (row, index) in enumerate(zip(scores, gold, strict=True)):
        total = math.fsum(map(math.exp, row))
        p = tuple(math.exp(s) / total for s in row)
        labels.append((WeakLabel(str(place), tuple(map(str, range(len(row)))), p, tuple(row)), index))
    assert found == pytest.approx(fitted_temperature(labels), rel=1e-9)


def test_by_hand_and_with_an_excluded_candidate() -> None:
    # Four say log-odds 2, three are right: best is log-odds ln 3 = 2 / T, whatever is excluded.
    scores, gold = [[2.0, 0.0, -INF]] * 4, [0, 0, 0, 1]
    assert best_temperature(forecasts(scores, gold)) == pytest.approx(2 / math.log(3), rel=1e-12)


@pytest.mark.parametrize(
    ("scores", "gold"),
    [
        ([[2.0, 0.0], [1.0, 0.0]], [0, 0]),  # all right: 0
        ([[2.0, 0.0], [1.0, 0.0]], [1, 1]),  # all wrong: infinite
        ([[2.0, 0.0]] * 2, [0, 1]),  # no better than chance
        ([[1.0, 1.0]] * 2, [0, 1]),  # all tied
        ([[2.0, 0.0], [2.0, -INF]], [1, 1]),  # impossible
    ],
)
def test_where_there_is_none(scores: list[list[float]], gold: list[int]) -> None:
    assert best_temperature(forecasts(scores, gold)) is None


def test_halves_are_judged_by_each_other() -> None:
    scores, gold = drawn(300, 1.0)
    # The second half says everything three times as sharply.
    second = np.arange(300) % 2 == 1
    said = forecasts([[s * (3 if late else 1) for s in row] for row, late in zip(scores, second, strict=True)], gold)
    tempered = cross_fitted(said, second)
    assert tempered is not None
    first, other = tempered.temperatures
    assert first == best_temperature(said, ~second) == pytest.approx(1.0, abs=0.3)
    assert other == best_temperature(said, second) == pytest.approx(3.0, abs=0.9)
    expected = np.where(second, said.tempered(first).loss_B, said.tempered(other).loss_B)
    assert tempered.said.loss_B.tolist() == expected.tolist()
    # What is fitted to itself would be better.
    assert tempered.said.loss_B.mean() > said.tempered(np.where(second, other, first)).loss_B.mean() + 0.01


def test_a_half_that_has_none_leaves_nothing() -> None:
    said = forecasts([[2.0, 0.0]] * 8, [0, 0, 0, 1, 0, 0, 0, 0])
    assert cross_fitted(said, np.arange(8) >= 4) is None
    assert cross_fitted(said, np.zeros(8, dtype=bool)) is None
