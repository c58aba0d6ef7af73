"""Intervals that hold together, and p-values adjusted for their number."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from w2s_rm.errors import DataError
from w2s_rm.metrics.intervals import means_of
from w2s_rm.metrics.simultaneous import correlations, holm, holm_errors, joint_error


def equal(count: int, correlation: float) -> np.ndarray:
    return np.full((count, count), correlation) + (1 - correlation) * np.eye(count)


@pytest.mark.parametrize("count", [1, 2, 20])
def test_independent_estimates_share_the_error(count: int) -> None:
    # All of n hold with (1 - x)^n = 0.95; drawn together or as families of one.
    expected = 1 - 0.95 ** (1 / count)
    assert joint_error([np.eye(count)]) == pytest.approx(expected, rel=0.05)
    assert joint_error([np.eye(1)] * count) == pytest.approx(expected, rel=1e-9)


def test_estimates_that_go_together_cost_nothing() -> None:
    signs = np.array([1.0, -1, 1])
    assert joint_error([np.outer(signs, signs)]) == pytest.approx(0.05, rel=0.05)


def test_correlated_estimates_are_those_of_dunnett() -> None:
    """Three methods beside one, equally noisy: correlations of one half, as in comparisons with a control."""
    error = joint_error([equal(3, 0.5)])
    # P(all three |Z| below c) by conditioning on what they share.
    c, shared = stats.norm.isf(error / 2), np.linspace(-8, 8, 4_001)
    inside = (stats.norm.cdf(c * 2**0.5 - shared) - stats.norm.cdf(-c * 2**0.5 - shared)) ** 3
    assert np.trapezoid(inside * stats.norm.pdf(shared), shared) == pytest.approx(0.95, abs=0.003)
    assert 0.05 / 3 < error < 0.05


def test_families_are_independent_in_any_order() -> None:
    families = [equal(3, 0.5), np.eye(1), equal(2, 0.9)]
    together = joint_error(families)
    assert together == joint_error(families[::-1]) == joint_error([*families, np.zeros((0, 0))])
    assert together < min(joint_error([family]) for family in families)


def test_no_estimates_leave_the_error_as_it_is() -> None:
    assert joint_error([]) == pytest.approx(0.05) and joint_error([np.zeros((0, 0))]) == pytest.approx(0.05)


def test_correlations_are_those_of_simulated_estimates() -> None:
    rng = np.random.default_rng(0)
    weights = np.array([[-1.0, 1, 0], [-1, 0, 1]])
    estimates, expected = [], []
    for _ in range(400):
        hard_N = rng.random(80)
        tables = [(0.5 * hard_N + 0.5 * rng.random((3, 80)) < 0.4).astype(float) for _ in range(3)]
        means = means_of(tables)
        estimates.append(weights @ means.values_M)
        expected.append(correlations(means, weights)[0, 1])
    assert np.mean(expected) == pytest.approx(np.corrcoef(np.array(estimates).T)[0, 1], abs=0.12)
    assert np.diag(correlations(means, weights)) == pytest.approx([1, 1])


def test_holm_by_hand() -> None:
    # In order 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, each at least what came before; then back into their places.
    assert holm([0.02, 0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.06, 0.04, 0.06])
    assert holm([0.6, 0.9, 0.001]) == pytest.approx([1.0, 1.0, 0.003])
    assert holm([0.2]) == [0.2] and holm([]) == []
    for wrong in ([1.1], [-0.1], [float("nan")]):
        with pytest.raises(DataError, match="lie in"):
            holm(wrong)


def test_holm_claims_what_the_step_down_procedure_claims() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        p_values = (rng.random(6) ** 3).tolist()
        claimed, left = set(), sorted(range(6), key=lambda place: p_values[place])
        while left and p_values[left[0]] <= 0.05 / len(left):
            claimed.add(left.pop(0))
        assert {place for place, p in enumerate(holm(p_values)) if p <= 0.05} == claimed


@pytest.mark.parametrize(
    ("p_values", "divided_by"),
    [
        # 0.01 passes 0.05 / 3, 0.02 passes 0.05 / 2, 0.04 passes 0.05.
        ([0.04, 0.01, 0.02], [1, 3, 2]),
        # 0.03 does not pass 0.05 / 2, and what follows is held against the same.
        ([0.04, 0.01, 0.03], [2, 3, 2]),
        ([0.5, 0.9, 0.2], [3, 3, 3]),
        ([0.001], [1]),
    ],
)
def test_each_is_held_against_what_holm_holds_it_against(p_values: list[float], divided_by: list[int]) -> None:
    errors = holm_errors(p_values)
    assert errors == pytest.approx([0.05 / number for number in divided_by])
    assert [p <= error for p, error in zip(p_values, errors, strict=True)] == [p <= 0.05 for p in holm(p_values)]
