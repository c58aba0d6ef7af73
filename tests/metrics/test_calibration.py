"""Likelihood, Brier score and calibration error: against sklearn, by hand, and whether intervals cover."""

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from w2s_rm.metrics.calibration import (
    brier_score,
    calibration_error,
    equal_mass,
    expected_calibration_error,
    negative_log_likelihood,
)
from w2s_rm.metrics.forecasts import Forecasts, forecasts
from w2s_rm.metrics.resampling import resampling


def drawn(n: int, *, sharpness: float = 1.0, k: int = 2, seed: int = 0) -> tuple[list[list[float]], list[int]]:
    """Scores whose softmax, to the power of `1 / sharpness`, the right candidates are drawn from."""
    rng = np.random.default_rng(seed)
    true_NK = 1.5 * rng.normal(size=(n, k))
    gold = (true_NK + rng.gumbel(size=(n, k))).argmax(axis=1)
    return (sharpness * true_NK).tolist(), gold.tolist()


def test_as_sklearn_has_them() -> None:
    scores, gold = drawn(300, k=4)
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert negative_log_likelihood(scores, gold) == pytest.approx(log_loss(gold, probabilities))
    assert brier_score(scores, gold) == pytest.approx(brier_score_loss(gold, probabilities, scale_by_half=False))


def test_of_two_candidates_brier_is_twice_that_of_one() -> None:
    scores, gold = drawn(300)
    second = 1 / (1 + np.exp([first - second for first, second in scores]))
    assert brier_score(scores, gold) == pytest.approx(2 * brier_score_loss(gold, second))


@pytest.mark.parametrize("k", [2, 5])
def test_calibration_error_as_sklearn_bins_it(k: int) -> None:
    scores, gold = drawn(300, sharpness=2.0, k=k)
    said = forecasts(scores, gold)
    # 300 examples in 15 bins of 20: all weigh the same.
    accuracy, confidence = calibration_curve(said.credit_B, said.confidence_B, n_bins=15, strategy="quantile")
    expected = np.abs(accuracy - confidence).mean()
    assert expected_calibration_error(scores, gold) == pytest.approx(expected)
    assert expected > 0.05
    error = calibration_error([said], [resampling([str(i) for i in range(300)])])
    assert error.plain == pytest.approx(expected)
    assert error.confidence_M == pytest.approx(confidence)
    assert np.add(error.confidence_M, error.gap_M) == pytest.approx(accuracy)


def test_calibration_error_by_hand() -> None:
    # Two bins: confidences 0.6, 0.6 with one right, and 0.9, 0.9 with both right.
    scores = [[math.log(p / (1 - p)), 0.0] for p in (0.6, 0.9, 0.6, 0.9)]
    assert expected_calibration_error(scores, [0, 0, 1, 0], n_bins=2) == pytest.approx((0.1 + 0.1) / 2)
    # In one bin the gaps cancel: 0.75 is right on average.
    assert expected_calibration_error(scores, [0, 0, 1, 0], n_bins=1) == pytest.approx(0.0)


def test_bins_hold_equally_many_and_equal_values_together() -> None:
    values_B = np.random.default_rng(0).permutation(100).astype(float)
    bins_B = equal_mass(values_B, 7)
    assert set(np.bincount(bins_B)) == {14, 15} and bins_B.max() == 6
    assert (np.diff(bins_B[np.argsort(values_B)]) >= 0).all()
    assert equal_mass(np.array([0.5, 1.0, 1.0, 1.0, 1.0, 2.0]), 3).tolist() == [0, 1, 1, 1, 1, 2]
    assert equal_mass(np.full(5, 0.5), 15).tolist() == [7] * 5


@pytest.mark.parametrize("k", [2, 3])
def test_order_of_examples_and_candidates_does_not_matter(k: int) -> None:
    scores, gold = drawn(100, k=k)
    # Confidences that occur more than once.
    scores = [[round(s) for s in row] for row in scores]
    for measure in (negative_log_likelihood, brier_score, expected_calibration_error):
        expected = measure(scores, gold)
        assert measure(scores[::-1], gold[::-1]) == pytest.approx(expected)
        assert measure([row[::-1] for row in scores], [k - 1 - index for index in gold]) == pytest.approx(expected)


def test_confidence_of_two_is_at_least_one_half() -> None:
    scores, gold = drawn(500)
    error = calibration_error([forecasts(scores, gold)], [resampling([str(i) for i in range(500)])])
    assert min(error.confidence_M) >= 0.5


def test_one_class_only_and_all_alike() -> None:
    sure = forecasts([[5.0, 0.0]] * 40, [0] * 40)
    error = calibration_error([sure], [resampling([str(i) for i in range(40)])])
    gap = 1 - 1 / (1 + math.exp(-5))
    assert (error.plain, error.value, error.low, error.high) == pytest.approx((gap,) * 4)
    assert error.gap_M == pytest.approx([gap]) and error.error_M == pytest.approx([0.0])
    alike = calibration_error([forecasts([[1.0, 1.0]] * 40, [0, 1] * 20)], [resampling([str(i) for i in range(40)])])
    # Every choice is a tie, right by one half, and said with one half.
    assert (alike.plain, alike.high) == pytest.approx((0.0, 0.0))


def said_by(n_seeds: int, n: int, sharpness: float, rng: np.random.Generator) -> list[Forecasts]:
    z_N = 1.5 * rng.normal(size=n)
    gold = (rng.random(n) < 1 / (1 + np.exp(-z_N))).astype(int).tolist()
    return [forecasts([[0.0, float(s)] for s in sharpness * z_N], gold) for _ in range(n_seeds)]


def true_error(sharpness: float) -> float:
    z_N = 1.5 * np.random.default_rng(9).normal(size=100_000)
    return float(np.abs(1 / (1 + np.exp(-np.abs(sharpness * z_N))) - 1 / (1 + np.exp(-np.abs(z_N)))).mean())


@pytest.mark.parametrize("sharpness", [1.0, 1.5, 2.5])
def test_intervals_cover_what_the_plain_error_is_too_high_for(sharpness: float) -> None:
    rng, truth, groups = np.random.default_rng(5), true_error(sharpness), resampling([str(i) for i in range(600)])
    errors = [calibration_error(said_by(1, 600, sharpness, rng), [groups]) for _ in range(100)]
    plain, value = (np.mean([getattr(error, name) for error in errors]) for name in ("plain", "value"))
    assert truth < plain and abs(value - truth) < plain - truth
    covered = sum(error.low <= truth <= error.high for error in errors)
    # Of 100 intervals that cover 93 %, fewer than 84 do so once in a thousand times.
    assert covered >= 84
    if sharpness == 1.0:
        # Calibrated: all of it is noise, and an interval from 0 says so.
        assert plain == pytest.approx(np.mean([error.noise for error in errors]), rel=0.1)
        assert sum(error.low == 0 for error in errors) >= 90


def test_groups_that_repeat_an_example_add_nothing() -> None:
    rng = np.random.default_rng(1)
    (once,) = said_by(1, 200, 2.0, rng)
    rows = [(float(a), 0.0) for a in once.logs_F[0::2] - once.logs_F[1::2]]
    twice = forecasts(rows * 2, once.gold_B.tolist() * 2)
    names = [str(i) for i in range(200)]
    single = calibration_error([once], [resampling(names)])
    grouped = calibration_error([twice], [resampling(names * 2)])
    assert (grouped.plain, grouped.low, grouped.high) == pytest.approx((single.plain, single.low, single.high))
    alone = calibration_error([twice], [resampling([str(i) for i in range(400)])])
    assert alone.high - alone.low < 0.85 * (single.high - single.low)


@pytest.mark.parametrize("gap", [0.0, 0.04, 0.2])
def test_intervals_cover_where_all_are_equally_sure(gap: float) -> None:
    rng, groups, covered = np.random.default_rng(6), resampling([str(i) for i in range(400)]), 0
    for _ in range(100):
        right = (rng.random(400) < 0.7 + gap).astype(int).tolist()
        error = calibration_error([forecasts([[math.log(3 / 7), 0.0]] * 400, right)], [groups])
        covered += error.low <= gap <= error.high
    assert covered >= 84


def test_an_error_of_nothing_is_not_known_to_be_nothing() -> None:
    # Says three quarters, and exactly three quarters are right.
    said = forecasts([[math.log(3), 0.0]] * 400, ([0] * 3 + [1]) * 100)
    error = calibration_error([said], [resampling([str(i) for i in range(400)])])
    assert (error.plain, error.low) == pytest.approx((0.0, 0.0))
    assert error.high == pytest.approx(1.96 * math.sqrt(0.75 * 0.25 / 400), rel=0.15)
