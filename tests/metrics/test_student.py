"""Student's t against scipy's."""

import pytest
from scipy import stats

from w2s_rm.metrics.student import LEAST_ERROR, quantile, two_sided


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 10, 99, 100, 1_999, 20_000])
def test_tails_and_quantiles_are_scipys(freedom: int) -> None:
    for distance in (0.0, 0.3, 1.0, 2.5, 6.0):
        assert two_sided(distance, freedom) == pytest.approx(2 * stats.t.sf(distance, freedom), abs=1e-12)
    for error in (0.9, 0.5, 0.05, 0.01, 1e-4, 1e-6):
        assert quantile(error, freedom) == pytest.approx(stats.t.isf(error / 2, freedom), rel=1e-8)
    assert quantile(LEAST_ERROR, freedom) == pytest.approx(stats.t.isf(LEAST_ERROR / 2, freedom), rel=1e-4)
    assert quantile(1.0, freedom) == 0
