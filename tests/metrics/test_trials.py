"""What trials are judged by: cross-entropy at the best temperature, and what a split of some size can show."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.stats import norm, ttest_rel

from w2s_rm.errors import DataError
from w2s_rm.metrics.trials import fitted_losses, paired_half_width, visible_difference


def made(seed: int, n: int = 300, k: int = 3, noise: float = 1.0) -> tuple[list[list[float]], list[list[float]]]:
    """Scores, and soft labels that follow them."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=(n, k))
    labels = np.exp(log_softmax(scores + noise * generator.normal(size=(n, k)), axis=1))
    return scores.tolist(), labels.tolist()


@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_an_optimizer_finds(seed: int) -> None:
    scores, targets = made(seed)

    def mean_loss(steepness: float) -> float:
        return float(-(np.array(targets) * log_softmax(steepness * np.array(scores), axis=1)).sum(axis=1).mean())

    found = minimize_scalar(mean_loss, bounds=(0, 50), method="bounded", options={"xatol": 1e-10})
    assert fitted_losses(scores, targets).mean() == pytest.approx(found.fun, abs=1e-9)
    expected = -(np.array(targets) * log_softmax(found.x * np.array(scores), axis=1)).sum(axis=1)
    np.testing.assert_allclose(fitted_losses(scores, targets), expected, atol=1e-5)


def test_how_sure_a_model_is_does_not_count() -> None:
    scores, targets = made(0)
    own = fitted_losses(scores, targets)
    for scale, shift in ((100.0, 0.0), (0.01, 5.0), (1e-12, 0.0)):
        moved = [[scale * score + shift for score in row] for row in scores]
        np.testing.assert_allclose(fitted_losses(moved, targets), own, rtol=1e-3)
    # As it would in plain cross-entropy.
    assert -(np.array(targets) * log_softmax(100 * np.array(scores), axis=1)).sum(axis=1).mean() > 5 * own.mean()


def test_what_says_nothing_of_the_labels_has_the_loss_of_guessing() -> None:
    scores, targets = made(0)
    opposite = [[-score for score in row] for row in scores]
    np.testing.assert_allclose(fitted_losses(opposite, targets), math.log(3))
    np.testing.assert_allclose(fitted_losses([[2.0, 2.0]] * 4, [[0.9, 0.1]] * 4), math.log(2))


def test_numbers_of_candidates_may_differ() -> None:
    # Both labels are right: log(1 + e^-a) and log(1 + 2 e^-a) go to 0.
    losses = fitted_losses([[1.0, 0.0], [0.0, 1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(losses, 0.0, atol=1e-12)
    third = [[1.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0]]
    losses = fitted_losses(third, [[1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0]])
    # The sum 2 log(1 + e^-a) + log(1 + 2 e^-a) + a is lowest, with x = e^-a, where 2x/(1 + x) + 2x/(1 + 2x) = 1, that
    # is, 4x^2 + x - 1 = 0.
    x = (-1 + math.sqrt(17)) / 8
    assert 2 * x / (1 + x) + 2 * x / (1 + 2 * x) == pytest.approx(1)
    np.testing.assert_allclose(losses, [math.log(1 + x), math.log(1 + 2 * x), math.log(1 + x) - math.log(x)])


def test_other_labels_than_scores_are_refused() -> None:
    for scores, targets in (([], []), ([[1.0, 0.0]], [[1.0, 0.0, 0.0]]), ([[1.0, 0.0]], [])):
        with pytest.raises(DataError, match="must have the same ones"):
            fitted_losses(scores, targets)


def test_the_half_width_is_that_of_a_paired_test() -> None:
    generator = np.random.default_rng(0)
    one, other = generator.random(5000), generator.random(5000)
    interval = ttest_rel(one, other).confidence_interval(0.95)
    assert paired_half_width(one, other) == pytest.approx((interval.high - interval.low) / 2, rel=1e-3)
    with pytest.raises(DataError, match="1 examples: trials are told apart by two or more"):
        paired_half_width(np.ones(1), np.zeros(1))


def test_examples_of_a_group_are_no_draws_of_their_own() -> None:
    """Four copies of each of 50 differences say as much as the 50."""
    generator = np.random.default_rng(1)
    one, other = generator.random(50), generator.random(50)
    alone = paired_half_width(one, other)
    groups = [f"g{n}" for n in range(50)] * 4
    assert paired_half_width(np.tile(one, 4), np.tile(other, 4), groups) == pytest.approx(alone)
    assert paired_half_width(np.tile(one, 4), np.tile(other, 4)) == pytest.approx(alone / 2, rel=0.01)
    # Of one group as far as an example may be.
    assert paired_half_width(one, other, ["g"] * 50) == np.abs(one - other).max()


def test_what_a_split_can_show() -> None:
    assert visible_difference(1000) == pytest.approx(norm.ppf(0.975) * math.sqrt(0.1 / 1000))
    # Measured: equally good trials that choose differently on a tenth of 500 examples.
    generator = np.random.default_rng(0)
    draws = generator.choice([-1, 0, 1], p=[0.05, 0.9, 0.05], size=(4000, 500)).mean(axis=1)
    assert np.quantile(np.abs(draws), 0.95) == pytest.approx(visible_difference(500), abs=0.002)
