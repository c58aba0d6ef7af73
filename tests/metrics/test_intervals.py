"""Intervals over examples and seeds: against scipy where one of them varies, and against mean squares written out."""

import math

import numpy as np
import pytest
from scipy import stats

from w2s_rm.errors import DataError
from w2s_rm.metrics.intervals import (
    Estimate,
    accuracy_interval,
    difference_interval,
    half_widths,
    means_of,
)


def credits(rng: np.random.Generator, n_seeds: int, n_examples: int) -> np.ndarray:
    """Examples that are hard for all seeds alike, seeds of different strength, and chance."""
    hard_N, strong_S = rng.random(n_examples), rng.normal(0, 0.1, (n_seeds, 1))
    return (0.6 * hard_N + 0.4 * rng.random((n_seeds, n_examples)) < 0.5 + strong_S).astype(float)


def test_one_seed_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    one, other = credits(rng, 1, 80), credits(rng, 1, 80)
    found, expected = difference_interval(one, other), stats.ttest_rel(one[0], other[0])
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    p_value = means_of([one, other]).combined([1, -1]).p_value()
    assert p_value == pytest.approx(expected.pvalue, rel=1e-6)


def test_seeds_that_differ_and_examples_that_do_not_are_a_t_interval_over_seeds() -> None:
    # Credits of a seed are all the same: nothing depends on which examples were drawn.
    accuracies_S = np.array([0.6, 0.75, 0.7, 0.66])
    found = difference_interval(np.tile(accuracies_S[:, None], 50), np.full((4, 50), 0.5))
    expected = stats.ttest_1samp(accuracies_S - 0.5, 0)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


@pytest.mark.parametrize("n_seeds", [2, 3, 5])
def test_the_variance_is_that_of_the_mean_squares(n_seeds: int) -> None:
    """Two-way table with random rows and columns: (MS seeds + MS examples - MS rest) / (S N), in plain loops."""
    table_SN = credits(np.random.default_rng(n_seeds), n_seeds, 40)
    mean, rows, columns = table_SN.mean(), table_SN.mean(axis=1), table_SN.mean(axis=0)
    of_seeds = 40 * sum((row - mean) ** 2 for row in rows) / (n_seeds - 1)
    of_examples = n_seeds * sum((column - mean) ** 2 for column in columns) / 39
    rest = sum((table_SN[s, n] - rows[s] - columns[n] + mean) ** 2 for s in range(n_seeds) for n in range(40)) / (
        39 * (n_seeds - 1)
    )
    found = means_of([table_SN]).combined([1])
    assert found.value == pytest.approx(mean)
    assert found.seed_variance == pytest.approx(of_seeds / (n_seeds * 40))
    assert found.example_variance == pytest.approx((of_examples - rest) / (n_seeds * 40))


def test_the_variance_is_right_on_average() -> None:
    rng = np.random.default_rng(1)
    found = [means_of([credits(rng, 3, 60), credits(rng, 3, 60)]).combined([1, -1]) for _ in range(3_000)]
    assert np.mean([one.variance for one in found]) == pytest.approx(np.var([one.value for one in found]), rel=0.06)


def test_a_difference_is_paired_and_a_combination_is_what_it_combines() -> None:
    rng = np.random.default_rng(2)
    tables = [credits(rng, 3, 50) for _ in range(3)]
    means, weights = means_of(tables), [-0.5, 1.0, -0.5]
    together = means.combined(weights)
    as_one = sum(weight * table for weight, table in zip(weights, tables, strict=True))
    # Shifted and shrunk into [0, 1], which a variance follows.
    alone = means_of([(as_one + 1) / 2]).combined([1])
    assert together.value == pytest.approx(2 * alone.value - 1)
    assert together.seed_variance == pytest.approx(4 * alone.seed_variance)
    assert together.example_variance == pytest.approx(4 * alone.example_variance)


def test_the_factor_is_the_weighted_mean_of_both_t_quantiles() -> None:
    # Three seeds: 4.303; 101 examples: 1.984. Three quarters of the variance are the seeds'.
    assert float(half_widths(3e-4, 1e-4, 3, 101)) == pytest.approx(0.02 * (0.75 * 4.3027 + 0.25 * 1.9840), rel=1e-4)
    assert half_widths(np.array([0.0, 1e-4]), np.array([0.0, 0.0]), 3, 101) == pytest.approx([0, 0.043027], rel=1e-4)


def test_a_p_value_is_the_error_at_which_the_interval_ends_at_zero() -> None:
    for value in (0.0, 0.004, -0.03, 0.2):
        estimate = Estimate(value, 1e-4, 2e-4, 3, 500)
        p_value = estimate.p_value()
        assert estimate.half_width(p_value) == pytest.approx(abs(value), abs=1e-12)
    assert Estimate(0.0, 0.0, 0.0, 3, 500).p_value() == 1 and Estimate(0.1, 0.0, 0.0, 3, 500).p_value() < 1e-9


def test_seeds_that_say_the_same_are_as_one() -> None:
    one = credits(np.random.default_rng(3), 1, 70)
    thrice = means_of([np.repeat(one, 3, axis=0)]).combined([1])
    alone = means_of([one]).combined([1])
    assert thrice.seed_variance == pytest.approx(0, abs=1e-30)
    assert thrice.example_variance == pytest.approx(alone.example_variance)


def test_accuracies_have_wilson_intervals_within_zero_and_one() -> None:
    for right, n in ((80, 100), (3, 400), (399, 400)):
        found = accuracy_interval(np.array([[1.0] * right + [0.0] * (n - right)]))
        expected = stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
        assert found.value == right / n and 0 <= found.low < found.value < found.high <= 1
        # A t quantile in place of a normal one, and n - 1.
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.003)


def test_seeds_that_differ_widen_an_accuracy_and_leave_it_below_one() -> None:
    found = accuracy_interval(np.array([[1.0] * 100, [1.0] * 95 + [0.0] * 5]))
    assert found.low < 0.9 and found.value == 0.975 < found.high < 1


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_all_right_or_all_wrong_is_not_known_for_sure(right: float) -> None:
    """Wilson's interval of 20 of 20 is [0.839, 1]; with t of 19 degrees of freedom [20 / (20 + 2.093²), 1]."""
    found = accuracy_interval(np.full((2, 20), right))
    ends = sorted((abs(1 - right - 20 / (20 + 2.09302**2)), right))
    assert (found.low, found.high) == pytest.approx(tuple(ends), abs=1e-5)


def test_what_is_the_same_for_every_example_is_bounded_by_their_number() -> None:
    """Of 20 alike, with t of 19 degrees of freedom: 2.093² / (20 + 2.093²) = 0.17968 of how far another could be."""
    right, wrong, tied = np.ones((2, 20)), np.zeros((2, 20)), np.full((2, 20), 0.5)
    cases = ((tied, tied, 0, 1), (right, right, 0, 1), (right, wrong, 1, 2), (right, tied, 0.5, 1.5))
    for one, other, value, reach in cases:
        estimate = means_of([one, other]).combined([1, -1])
        assert (estimate.value, estimate.variance) == (value, 0)
        assert estimate.half_width() == pytest.approx(0.17968 * reach, abs=1e-5)
    # Every score a tie of two: half of what a share of 0 or 1 would have.
    assert means_of([tied]).combined([1]).half_width() == pytest.approx(0.17968 / 2, abs=1e-5)
    # As of an accuracy by itself.
    assert accuracy_interval(right).low == pytest.approx(1 - means_of([right]).combined([1]).half_width())
    # 2,000 that are alike leave next to nothing.
    assert difference_interval(np.ones((3, 2000)), np.ones((3, 2000))).high == pytest.approx(0.0019, abs=1e-4)


@pytest.mark.parametrize("groups", [None, ["g"] * 6])
def test_one_that_was_drawn_has_no_interval(groups: list[str] | None) -> None:
    n = 1 if groups is None else 6
    right, wrong = np.ones((3, n)), np.zeros((3, n))
    found = difference_interval(right, wrong, groups)
    assert (found.low, found.value, found.high) == (-1, 1, 1)
    found = accuracy_interval(right, groups)
    assert (found.low, found.value, found.high) == (0, 1, 1)
    assert means_of([right, wrong], groups).combined([1, -1]).p_value() == 1


@pytest.mark.parametrize("n", [2, 8, 100])
def test_the_bound_holds_the_truth_as_often_as_it_says(n: int) -> None:
    """Where a share q of the population differs, all of n are alike with (1 - q)^n: below 5 % beyond the bound."""
    bound = means_of([np.ones((1, n)), np.ones((1, n))]).combined([1, -1]).half_width()
    assert (1 - bound) ** n < 0.05


def test_no_end_is_beyond_what_can_be() -> None:
    found = difference_interval(np.array([[1.0, 1, 1], [1, 0, 0]]), np.array([[0.0, 0, 1], [0, 1, 0]]))
    assert (found.low, found.high) == (-1, 1)


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (1, 2)])
def test_tiny_tables_have_finite_intervals(shape: tuple[int, int]) -> None:
    for table in (np.ones(shape), np.zeros(shape), np.eye(*shape)):
        found = [accuracy_interval(table), difference_interval(table, np.zeros(shape))]
        assert all(
            math.isfinite(end) and one.low <= one.value <= one.high for one in found for end in (one.low, one.high)
        )


def test_order_of_examples_and_seeds_does_not_matter() -> None:
    table = credits(np.random.default_rng(4), 3, 200)
    first, second = accuracy_interval(table), accuracy_interval(table[::-1, ::-1])
    assert (first.low, first.high) == pytest.approx((second.low, second.high), rel=1e-12)
    assert accuracy_interval(table) == first


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
        means_of(tables)


def test_examples_of_one_group_are_one_draw() -> None:
    """Each example three times is no more than each once, in whatever order they stand."""
    rng = np.random.default_rng(0)
    once_MSN = (rng.random((2, 3, 200)) < 0.7).astype(float)
    groups, order = np.repeat(np.arange(200), 3), rng.permutation(600)
    thrice_MSN = np.repeat(once_MSN, 3, axis=2)[:, :, order]
    names = [f"g{number}" for number in groups[order]]
    expected, found = means_of(list(once_MSN)), means_of(list(thrice_MSN), names)
    assert (found.n_examples, found.n_drawn) == (600, 200)
    np.testing.assert_allclose(found.examples_MM, expected.examples_MM, rtol=1e-12)
    np.testing.assert_allclose(found.seeds_MM, expected.seeds_MM, rtol=1e-12)
    assert accuracy_interval(thrice_MSN[0], names) == pytest.approx(accuracy_interval(once_MSN[0]))
    alone = [f"e{number}" for number in range(600)]
    assert difference_interval(*thrice_MSN, alone) == difference_interval(*thrice_MSN)


def test_groups_of_different_sizes_by_hand() -> None:
    """One seed, groups of 1, 2 and 3 examples: sum_g (T_g - n_g mean)^2 G / (G - 1) / N^2."""
    correct_SN, groups = np.array([[1.0, 1.0, 0.0, 0.0, 0.0, 1.0]]), ["a", "b", "b", "c", "c", "c"]
    totals, sizes = np.array([1.0, 1.0, 1.0]), np.array([1.0, 2.0, 3.0])
    by_hand = ((totals - sizes * 0.5) ** 2).sum() * 3 / 2 / 36
    assert float(means_of([correct_SN], groups).examples_MM[0, 0]) == pytest.approx(by_hand)


def test_intervals_over_groups_cover() -> None:
    """Groups of one to nine examples that are right or wrong together: 95 % intervals hold the truth, others do not."""
    rng, held, ignoring = np.random.default_rng(1), 0, 0
    for _ in range(400):
        sizes = rng.integers(1, 10, size=150)
        known_G = rng.random(150)
        right_N = rng.random(sizes.sum()) < np.repeat(np.where(known_G < 0.7, 0.95, 0.1), sizes)
        correct_SN, groups = right_N[None].astype(float), [str(g) for g in np.repeat(np.arange(150), sizes)]
        truth = 0.7 * 0.95 + 0.3 * 0.1
        for with_groups in (True, False):
            found = accuracy_interval(correct_SN, groups if with_groups else None)
            inside = found.low <= truth <= found.high
            held, ignoring = (held + inside, ignoring) if with_groups else (held, ignoring + inside)
    # Standard deviation of 400 draws at 95 %: 1.1 points.
    assert held >= 0.95 * 400 - 3 * 4.4 and ignoring < 0.8 * 400
