"""Accuracy on the surest share: by hand, with equal confidences, and its interval."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from w2s_rm.metrics.abstention import accuracy_answered, answered_interval
from w2s_rm.metrics.forecasts import Forecasts, forecasts
from w2s_rm.metrics.resampling import resampling


def test_by_hand() -> None:
    confidence, credit = np.array([0.6, 0.9, 0.7, 0.8]), np.array([0.0, 1.0, 0.0, 1.0])
    assert accuracy_answered(confidence, credit, [0.25, 0.5, 0.75, 1.0]) == pytest.approx([1, 1, 2 / 3, 0.5])
    # Three eighths of four are one and a half examples.
    assert accuracy_answered(confidence, credit, [0.625]) == pytest.approx([2 / 2.5])


def test_equal_confidences_count_in_part() -> None:
    confidence, credit = np.array([0.9, 0.7, 0.7, 0.7, 0.7]), np.array([1.0, 1.0, 0.0, 0.0, 0.0])
    # One is sure; of four alike, a quarter right, as many as are wanted.
    assert accuracy_answered(confidence, credit, [0.2, 0.6, 1.0]) == pytest.approx([1, (1 + 2 / 4) / 3, 0.4])
    for order in ([4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):
        found = accuracy_answered(confidence[order], credit[order], [0.6])
        assert found == pytest.approx([0.5])


def drawn(n: int, seed: int = 0) -> Forecasts:
    rng = np.random.default_rng(seed)
    z_N = 1.5 * rng.normal(size=n)
    return forecasts([[0.0, float(z)] for z in z_N], (rng.random(n) < 1 / (1 + np.exp(-z_N))).astype(int).tolist())


def test_as_sklearn_counts_the_surest_half() -> None:
    said = drawn(400)
    top = np.argsort(-said.confidence_B)[:200]
    expected = accuracy_score(np.ones(200), said.credit_B[top])
    found = answered_interval([said], [resampling([str(i) for i in range(400)])], 0.5)
    assert found.value == pytest.approx(expected) and found.low < expected < found.high
    # About the interval of 200 examples.
    half = 1.96 * math.sqrt(expected * (1 - expected) / 200)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.2)


def test_all_answered_is_accuracy() -> None:
    said = drawn(200)
    found = answered_interval([said] * 2, [resampling([str(i) for i in range(200)])] * 2, 1.0)
    assert found.value == pytest.approx(said.credit_B.mean())


def test_the_interval_covers() -> None:
    rng = np.random.default_rng(3)
    z_N = np.sort(np.abs(1.5 * rng.normal(size=200_000)))[100_000:]
    truth, groups = float((1 / (1 + np.exp(-z_N))).mean()), resampling([str(i) for i in range(400)])
    found = [answered_interval([drawn(400, seed)], [groups], 0.5) for seed in range(150)]
    assert sum(one.low <= truth <= one.high for one in found) >= 130


def test_a_half_that_is_all_right_is_bounded_by_its_groups() -> None:
    """Of 20 groups ten are answered: with t of nine degrees of freedom 2.262² / (10 + 2.262²) = 0.33850."""
    said = forecasts([[0.0, 1.0 + n] for n in range(20)], [1] * 20)
    found = answered_interval([said], [resampling([str(n) for n in range(20)])], 0.5)
    assert (found.low, found.value, found.high) == pytest.approx((1 - 0.33850, 1, 1), abs=1e-5)
