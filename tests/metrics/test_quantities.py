"""Numbers made of mean credits: against the intervals that they generalise, and with the arithmetic written out."""

from __future__ import annotations

import numpy as np
import pytest

from w2s_rm.errors import DataError
from w2s_rm.metrics.intervals import Estimate, means_of
from w2s_rm.metrics.pgr import pgr
from w2s_rm.metrics.quantities import mean_of, share_of

N_SEEDS, N_EXAMPLES = 4, 300
IDS = [f"e{number:03d}" for number in range(N_EXAMPLES)]
GROUPS = [f"g{number // 3:03d}" for number in range(N_EXAMPLES)]


def credits(seed: int, accuracy: float) -> np.ndarray:
    """Examples that are hard for all models and seeds alike, and seeds of different strength."""
    rng, hard_N = np.random.default_rng(seed), np.random.default_rng(0).random(N_EXAMPLES)
    strong_S = rng.normal(0, 0.03, (N_SEEDS, 1))
    return (0.5 * hard_N + 0.5 * rng.random((N_SEEDS, N_EXAMPLES)) < accuracy + strong_S).astype(float)


@pytest.mark.parametrize("groups", [IDS, GROUPS], ids=["alone", "grouped"])
@pytest.mark.parametrize("n_seeds", [1, N_SEEDS])
def test_a_difference_is_the_paired_one(groups: list[str], n_seeds: int) -> None:
    one, other = credits(1, 0.7)[:n_seeds], credits(2, 0.6)[:n_seeds]
    found = mean_of(one, groups).minus(mean_of(other, groups)).estimate()
    expected = means_of([one, other], groups).combined([1, -1])
    assert without_reach(found) == pytest.approx(without_reach(expected))


def test_examples_in_another_order_are_paired_all_the_same() -> None:
    one, other = credits(1, 0.7), credits(2, 0.6)
    order = np.random.default_rng(5).permutation(N_EXAMPLES)
    shuffled = mean_of(other[:, order], [IDS[place] for place in order])
    assert without_reach(mean_of(one, IDS).minus(shuffled).estimate()) == pytest.approx(
        without_reach(means_of([one, other], IDS).combined([1, -1]))
    )


def without_reach(estimate: Estimate) -> dict[str, float]:
    """All but how far one example may be off: a quantity may be anything, and does not know."""
    return {name: value for name, value in vars(estimate).items() if name != "reach"}


def test_of_different_examples_the_variances_add_up_and_seeds_stay_paired() -> None:
    one, other = credits(1, 0.7), credits(2, 0.6)
    found = mean_of(one, IDS).minus(mean_of(other, [f"other {id}" for id in IDS])).estimate()
    alone = [means_of([table], IDS).combined([1]).example_variance for table in (one, other)]
    # Of 600 examples less 1, not of 300 less 1 twice.
    assert found.example_variance == pytest.approx(sum(alone) * (600 / 599) / (300 / 299))
    differences_S = one.mean(axis=1) - other.mean(axis=1)
    assert found.seed_variance == pytest.approx(differences_S.var(ddof=1) / N_SEEDS)
    assert (found.n_seeds, found.n_drawn) == (N_SEEDS, 600)


def test_a_ratio_is_that_of_the_means_with_the_variance_of_its_first_order() -> None:
    weak, student, ceiling = credits(1, 0.5), credits(2, 0.65), credits(3, 0.8)
    numbers = [mean_of(table, GROUPS) for table in (weak, student, ceiling)]
    found = numbers[1].minus(numbers[0]).over(numbers[2].minus(numbers[0]))
    gap = ceiling.mean() - weak.mean()
    ratio = (student.mean() - weak.mean()) / gap
    assert found.sure and found.value == pytest.approx(ratio)
    # d PGR = (d student - PGR d ceiling - (1 - PGR) d weak) / gap
    expected = means_of([weak, student, ceiling], GROUPS).combined([(ratio - 1) / gap, 1 / gap, -ratio / gap])
    assert found.estimate().variance == pytest.approx(expected.variance)
    # Where the gap is well known, it is nearly the interval that Fieller's argument gives.
    exact, interval = pgr(weak, student, ceiling, GROUPS), found.interval()
    assert exact.low is not None and exact.high is not None
    assert interval.low == pytest.approx(exact.low, abs=0.06) and interval.high == pytest.approx(exact.high, abs=0.06)


def test_a_ratio_to_what_may_be_zero_is_not_sure() -> None:
    one, other = mean_of(credits(1, 0.6), IDS), mean_of(credits(2, 0.6), IDS)
    found = one.over(one.minus(other))
    assert not found.sure and not found.minus(one).sure
    assert (found.interval().low, found.interval().high) == (-np.inf, np.inf)
    nothing = one.over(one.minus(one))
    assert (nothing.value, nothing.sure) == (0.0, False)


def test_a_sum_with_factors() -> None:
    one, other = credits(1, 0.7), credits(2, 0.6)
    found = mean_of(one, GROUPS).times(2.0).plus(mean_of(other, GROUPS).times(-0.5))
    expected = means_of([one, other], GROUPS).combined([2.0, -0.5])
    assert found.value == pytest.approx(expected.value)
    assert found.estimate().variance == pytest.approx(expected.variance)
    half = expected.half_width(0.01)
    assert found.interval(0.01).high - found.value == pytest.approx(half)


def test_a_share_within_each_seed() -> None:
    whole, part = credits(1, 0.5), credits(2, 0.6) * credits(1, 0.5)
    found = share_of(part, whole, IDS)
    shares_S = [part[s].sum() / whole[s].sum() for s in range(N_SEEDS)]
    assert found.value == pytest.approx(sum(shares_S) / N_SEEDS)
    assert found.estimate().seed_variance == pytest.approx(np.var(shares_S, ddof=1) / N_SEEDS)
    # Of one seed it is the ratio of two means, with the same error.
    alone, ratio = share_of(part[:1], whole[:1], IDS), mean_of(part[:1], IDS).over(mean_of(whole[:1], IDS))
    assert alone.value == pytest.approx(ratio.value)
    assert alone.estimate().variance == pytest.approx(ratio.estimate().variance)
    # Of all examples it is the mean.
    assert vars(share_of(part, np.ones_like(part), IDS).estimate()) == pytest.approx(
        vars(mean_of(part, IDS).estimate())
    )
    with pytest.raises(DataError, match="a share of nothing: with one of the seeds"):
        share_of(part, np.vstack([whole[:-1], np.zeros((1, N_EXAMPLES))]), IDS)


def test_where_nothing_differs_the_interval_has_a_width() -> None:
    """Two examples, both right, say little of others; and examples that cancel are no certainty."""
    right = mean_of(np.ones((1, 2)), ["a", "b"]).less(0.9)
    # Of two the bound reaches nearly as far as one example may be: t is 12.7.
    assert right.interval().low < -0.8
    many = mean_of(np.ones((2, 400)), [f"e{n}" for n in range(400)]).less(0.9)
    assert many.interval().low == pytest.approx(0.1, abs=0.02) and many.interval().low < 0.1
    credits = np.zeros((2, 1000))
    # Each seed is right on 20 examples, and these are others.
    credits[0, :20] = credits[1, 500:520] = 1
    apart = mean_of(credits, [f"e{n}" for n in range(1000)])
    alone = mean_of(credits[:1], [f"e{n}" for n in range(1000)])
    assert 0.5 < apart.half_width() / alone.half_width() < 1


def test_what_few_examples_leave_open_stays_open_in_a_difference() -> None:
    few = mean_of(np.ones((1, 10)), [f"few {n}" for n in range(10)])
    many = mean_of(np.ones((1, 10_000)), [f"many {n}" for n in range(10_000)])
    mixed = mean_of(np.arange(1000.0)[None] % 2, [f"mixed {n}" for n in range(1000)])
    assert few.minus(many).half_width() == pytest.approx(few.half_width() + many.half_width())
    assert few.minus(mixed).half_width() > few.half_width() > 0.3
    # The paired difference of two models that agree everywhere.
    same = mean_of(np.arange(100.0)[None] % 2, [f"e{n}" for n in range(100)])
    assert 0.03 < same.minus(same).half_width() < 0.06


def test_a_share_of_a_few_is_as_open_as_they_are_few() -> None:
    whole = np.zeros((3, 1000))
    whole[:, :3] = 1
    share = share_of(whole, whole, [f"e{n}" for n in range(1000)])
    assert share.value == 1 and share.interval().low < 0
    all_of_many = share_of(np.ones((3, 1000)), np.ones((3, 1000)), [f"e{n}" for n in range(1000)])
    assert 0.99 < all_of_many.interval().low < 1


def test_refusals() -> None:
    with pytest.raises(DataError, match="4 and of 3 seeds cannot be compared; give the runs the same `seeds`"):
        mean_of(credits(1, 0.7), IDS).plus(mean_of(credits(1, 0.7)[:3], IDS))
    for table, groups in ((credits(1, 0.7), IDS[:-1]), (np.zeros((0, 3)), IDS[:3]), (np.zeros(3), IDS[:3])):
        with pytest.raises(DataError, match="a table seeds x examples"):
            mean_of(table, groups)
