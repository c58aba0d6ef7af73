"""Bootstrap over examples and seeds: against closed forms and a slow loop."""

import numpy as np
import pytest

from w2s_rm.errors import DataError
from w2s_rm.metrics.bootstrap import accuracy_interval, bootstrap_means, difference_interval, percentile_interval


def test_one_seed_spread_is_that_of_a_binomial() -> None:
    correct_SN = np.zeros((1, 400))
    correct_SN[0, :300] = 1
    means_R = bootstrap_means([correct_SN], n_resamples=20_000)[:, 0]
    assert means_R.mean() == pytest.approx(0.75, abs=0.001)
    assert means_R.std() == pytest.approx((0.75 * 0.25 / 400) ** 0.5, rel=0.02)


def test_seeds_are_resampled() -> None:
    # Two seeds, one all right and one all wrong: a resample holds the right one 0, 1 or 2 times out of 2.
    correct_SN = np.array([[1.0] * 50, [0.0] * 50])
    means_R = bootstrap_means([correct_SN], n_resamples=20_000)[:, 0]
    values, counts = np.unique(means_R, return_counts=True)
    assert values.tolist() == [0, 0.5, 1]
    assert (counts / 20_000).tolist() == pytest.approx([0.25, 0.5, 0.25], abs=0.015)


def test_examples_are_the_same_for_all_seeds_and_models() -> None:
    correct_SN = np.tile(np.random.default_rng(0).integers(0, 2, 40).astype(float), (3, 1))
    means_RM = bootstrap_means([correct_SN, 1 - correct_SN, correct_SN], n_resamples=500)
    assert np.allclose(means_RM[:, 0] + means_RM[:, 1], 1)
    assert np.array_equal(means_RM[:, 0], means_RM[:, 2])
    # Were examples drawn for each seed on their own, averaging three seeds would shrink the spread by sqrt(3).
    assert means_RM[:, 0].std() == pytest.approx(0.5 / 40**0.5, rel=0.1)


def test_moments_match_a_plain_loop_over_resamples() -> None:
    rng = np.random.default_rng(3)
    table_MSN = [rng.choice([0.0, 1 / 3, 0.5, 1.0], size=(3, 30)) for _ in range(2)]
    slow = []
    for _ in range(10_000):
        examples, seeds = rng.integers(0, 30, 30), rng.integers(0, 3, 3)
        slow.append([table[np.ix_(seeds, examples)].mean() for table in table_MSN])
    fast_RM = bootstrap_means(table_MSN, n_resamples=10_000)
    assert fast_RM.mean(0) == pytest.approx(np.mean(slow, axis=0), abs=0.005)
    assert np.cov(fast_RM.T) == pytest.approx(np.cov(np.array(slow).T), rel=0.1, abs=2e-4)


def test_same_input_same_interval_whatever_the_order_of_examples() -> None:
    correct_SN = np.random.default_rng(0).integers(0, 2, (2, 200)).astype(float)
    assert accuracy_interval(correct_SN) == accuracy_interval(correct_SN)
    assert accuracy_interval(correct_SN[:, ::-1]) == accuracy_interval(correct_SN)


def test_accuracy_interval_by_hand() -> None:
    correct_SN = np.array([[1.0] * 80 + [0.0] * 20])
    interval = accuracy_interval(correct_SN)
    # Normal approximation: 0.8 -+ 1.96 * sqrt(0.8 * 0.2 / 100) = 0.8 -+ 0.078
    assert interval.value == pytest.approx(0.8)
    assert (interval.low, interval.high) == pytest.approx((0.72, 0.88), abs=0.0101)


def test_percentile_interval_takes_whole_samples() -> None:
    assert percentile_interval(np.arange(41.0)) == (1, 39)
    assert percentile_interval(np.arange(2001.0)) == (50, 1950)
    assert percentile_interval(np.array([-np.inf, -np.inf, 0.0, 1.0]))[0] == -np.inf


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([np.zeros((2, 5)), np.zeros((1, 5))], "same seeds and examples"),
        ([np.zeros((1, 0))], "at least one of each"),
        ([np.zeros(5)], "seeds x examples"),
        ([np.full((1, 3), np.nan)], r"\[0, 1\]"),
        ([np.full((1, 3), 1.5)], r"\[0, 1\]"),
    ],
)
def test_bad_tables(tables: list[np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        bootstrap_means(tables)


def test_difference_is_paired_by_hand() -> None:
    # Right on examples 0 to 59 against 0 to 39: only 20 of 100 examples differ.
    one, other = np.zeros((1, 100)), np.zeros((1, 100))
    one[0, :60] = 1
    other[0, :40] = 1
    found = difference_interval(one, other)
    assert found.value == pytest.approx(0.2)
    # 0.2 -+ 1.96 * sqrt(0.2 * 0.8 / 100) = 0.078; unpaired it would be 1.96 * sqrt(2 * 0.24 / 100) = 0.136
    assert (found.low, found.high) == pytest.approx((0.122, 0.278), abs=0.011)


def test_asking_again_gives_the_same_numbers_which_nobody_can_change() -> None:
    correct_SN = np.array([[1.0, 0.0, 1.0]])
    first = bootstrap_means([correct_SN], n_resamples=50)
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0
    assert np.array_equal(bootstrap_means([correct_SN.copy()], n_resamples=50), first)
    assert len(bootstrap_means([correct_SN], n_resamples=20)) == 20
    assert not np.array_equal(bootstrap_means([1 - correct_SN], n_resamples=50), first)
