"""Groups drawn with replacement, seeds with Student's distribution: against loops, closed forms, and by coverage."""

import numpy as np
import pytest
from scipy.stats import t

from w2s_rm.errors import DataError
from w2s_rm.metrics.intervals import accuracy_interval
from w2s_rm.metrics.resampling import group_mean_interval, interval, mean_intervals, over_seeds, resampling


def test_sums_are_of_whole_groups() -> None:
    drawn = resampling(["b", "a", "b", "c"], n_resamples=200)
    assert drawn.sizes_G.tolist() == [1, 2, 1]
    # Columns that say which group an example is in: how often each is drawn.
    times_RG = drawn.sums(np.array([[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])) / [1, 2, 1]
    assert set(times_RG.sum(axis=1)) == {3.0} and (times_RG == times_RG.round()).all()
    assert times_RG.mean(axis=0) == pytest.approx([1, 1, 1], abs=0.2)


def test_many_resamples_are_drawn_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("w2s_rm.metrics.resampling._CHUNK_NUMBERS", 64)
    ones = resampling([str(i) for i in range(10)], n_resamples=25).sums(np.ones((10, 1)))
    assert ones.shape == (25, 1) and set(ones[:, 0]) == {10.0}


def test_order_does_not_matter_and_streams_are_independent() -> None:
    rng = np.random.default_rng(0)
    values, names = rng.random((50, 1)), [f"g{i // 2}" for i in range(50)]
    (one,) = mean_intervals([values], [resampling(names)])
    (other,) = mean_intervals([values[::-1]], [resampling(names[::-1])])
    assert (one.low, one.high) == pytest.approx((other.low, other.high))
    first, second = (resampling(names, stream=stream).sums(values)[:, 0] for stream in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.15


def test_one_seed_is_the_normal_interval_of_group_means() -> None:
    rng = np.random.default_rng(1)
    # 300 groups of two equal values: the standard error is that of 300 numbers, not of 600.
    values_N = np.repeat(rng.random(300), 2)
    names = [str(i // 2) for i in range(600)]
    (found,) = mean_intervals([values_N[:, None]], [resampling(names)])
    half = 1.96 * values_N.std() / 300**0.5
    assert (found.low, found.high) == pytest.approx((values_N.mean() - half, values_N.mean() + half), abs=0.15 * half)


def test_means_of_groups_of_unequal_size_by_hand() -> None:
    values = np.array([1.0, 1.0, 1.0, 0.0])
    drawn = resampling(["big", "big", "big", "small"])
    (examples,) = mean_intervals([values[:, None]], [drawn])
    groups = group_mean_interval([values], [drawn])
    assert (examples.value, groups.value) == (0.75, 0.5)
    # Two groups: one in four resamples is all big, one all small.
    assert (groups.low, groups.high) == (0.0, 1.0)


def test_spread_of_seeds_is_that_of_student() -> None:
    observed_S = np.array([0.70, 0.74, 0.81])
    samples = over_seeds(observed_S, np.tile(observed_S, (20_000, 1)))
    half = t.ppf(0.975, 2) * observed_S.std(ddof=1) / 3**0.5
    low, high = np.quantile(samples, (0.025, 0.975))
    assert (low, high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.05 * half)
    assert over_seeds(np.array([0.7]), np.full((5, 1), 0.6)).tolist() == [0.6] * 5


def test_ends_stay_within_bounds() -> None:
    found = interval(np.array([0.9, 1.0]), np.array([[0.9, 1.0]] * 100), (0.0, 1.0))
    assert found.value == 0.95 and found.high == 1.0 and found.low < 0.9


def test_seeds_without_common_examples() -> None:
    one, other = np.array([1.0, 0.0, 1.0]), np.array([0.0, 0.0])
    drawn = [resampling(["a", "b", "c"]), resampling(["d", "e"], stream=1)]
    (found,) = mean_intervals([one[:, None], other[:, None]], drawn)
    assert found.value == pytest.approx((2 / 3 + 0) / 2)


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_three_seeds_and_groups_are_covered(spread: float) -> None:
    rng, names, hits = np.random.default_rng(2), [str(i // 4) for i in range(400)], 0
    drawn = resampling(names)
    for _ in range(200):
        # A common part of each group, the model of each seed, and chance.
        group_N = np.repeat(rng.normal(size=100), 4)
        values_S = [group_N + spread * rng.normal() + rng.normal(size=400) for _ in range(3)]
        (found,) = mean_intervals([values_N[:, None] for values_N in values_S], [drawn] * 3)
        hits += found.low <= 0 <= found.high
    # Of 200 intervals that cover 93 %, fewer than 174 do so once in a thousand times.
    assert hits >= 174


def test_nothing_to_draw() -> None:
    with pytest.raises(DataError, match="no examples to resample"):
        resampling([])


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_all_right_or_all_wrong_is_bounded_by_the_number_of_groups(right: float) -> None:
    """No resample differs from another: Wilson's bound of 20 groups, with t of 19 degrees of freedom, is 0.17968."""
    drawn = resampling([f"g{n // 5}" for n in range(100)])
    credits_N = np.full(100, right)
    (mean,) = mean_intervals([credits_N[:, None]] * 2, [drawn] * 2, shares=True)
    for found in (mean, group_mean_interval([credits_N] * 2, [drawn] * 2)):
        assert found.value == pytest.approx(right)
        assert (found.low, found.high) == pytest.approx((0, 0.17968) if right == 0 else (1 - 0.17968, 1), abs=1e-5)
    # Of what is no share nothing is known beyond what was seen.
    (plain,) = mean_intervals([credits_N[:, None]], [drawn])
    assert (plain.low, plain.high) == (right, right)


def test_ties_everywhere_are_bounded_as_an_accuracy_is() -> None:
    drawn, credits_N = resampling([f"g{n}" for n in range(20)]), np.full(20, 0.5)
    found, expected = group_mean_interval([credits_N], [drawn]), accuracy_interval(credits_N[None])
    assert (found.low, found.value, found.high) == pytest.approx((expected.low, 0.5, expected.high))
    assert expected.high - expected.low > 0.1


def test_one_group_has_no_interval() -> None:
    drawn, credits_N = resampling(["g"] * 4), np.array([1.0, 1.0, 0.0, 1.0])
    found = group_mean_interval([credits_N], [drawn])
    assert (found.low, found.value, found.high) == (0, 0.75, 1)
