"""Intervals that hold together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from w2s_rm.errors import DataError
from w2s_rm.metrics.simultaneous import simultaneous_intervals


def widths(samples_RC: np.ndarray) -> np.ndarray:
    """Half the width of each interval around 0, in standard deviations of its resamples."""
    intervals = simultaneous_intervals([0.0] * samples_RC.shape[1], samples_RC)
    return np.array([interval.high for interval in intervals]) / samples_RC.std(axis=0, ddof=1)


@pytest.mark.parametrize("count", [1, 2, 20])
def test_independent_estimates_have_the_factor_of_the_largest_of_normal_numbers(count: int) -> None:
    rng = np.random.default_rng(0)
    # On scales of their own, which do not matter.
    samples_RC = rng.standard_normal((40_000, count)) * rng.uniform(0.1, 10, count)
    # P(all of n are below c) = 0.95.
    expected = stats.norm.ppf((1 + 0.95 ** (1 / count)) / 2)
    assert widths(samples_RC) == pytest.approx([expected] * count, rel=0.01)


def test_estimates_that_go_together_cost_nothing() -> None:
    one_R = np.random.default_rng(0).standard_normal(40_000)
    samples_RC = np.stack([one_R, 3 * one_R, -one_R], axis=1)
    assert widths(samples_RC) == pytest.approx([1.96] * 3, rel=0.02)


def test_all_hold_in_as_many_resamples_as_asked_for() -> None:
    rng = np.random.default_rng(1)
    samples_RC = rng.standard_normal((9_999, 5)) @ rng.standard_normal((5, 7)) + np.arange(7)
    intervals = simultaneous_intervals(list(range(7)), samples_RC, confidence=0.9)
    inside_RC = np.stack(
        [(samples_RC[:, c] >= found.low) & (samples_RC[:, c] <= found.high) for c, found in enumerate(intervals)],
        axis=1,
    )
    assert inside_RC.all(axis=1).mean() == pytest.approx(0.9, abs=2e-4)
    assert [interval.value for interval in intervals] == list(range(7))


def test_what_never_changes_is_known_and_widens_nothing() -> None:
    one_R = np.random.default_rng(0).standard_normal(2_000)
    alone = simultaneous_intervals([0.0], one_R[:, None])
    both = simultaneous_intervals([0.0, 0.25], np.stack([one_R, np.full(2_000, 0.25)], axis=1))
    assert both[0] == alone[0] and (both[1].low, both[1].high) == (0.25, 0.25)


def test_no_comparisons_and_wrong_shapes() -> None:
    assert simultaneous_intervals([], np.zeros((10, 0))) == []
    for values, shape in (([0.0], (10, 2)), ([0.0], (1, 1)), ([0.0], (10,))):
        with pytest.raises(DataError, match="a table of resamples x estimates"):
            simultaneous_intervals(values, np.zeros(shape))
