"""PGR: the formula, its interval, and what its size must be at 2,000 test examples."""

import math

import numpy as np
import pytest
from scipy import stats

from w2s_rm.errors import DataError
from w2s_rm.metrics.intervals import means_of
from w2s_rm.metrics.pgr import gap_recovered, pgr, pgr_from_predictions
from w2s_rm.types import Predictions


def credits(n_right: int, n: int = 100) -> np.ndarray:
    return np.array([[1.0] * n_right + [0.0] * (n - n_right)])


def independent(rng: np.random.Generator, accuracies: tuple[float, float, float], n: int) -> list[np.ndarray]:
    return [(rng.random((1, n)) < accuracy).astype(float) for accuracy in accuracies]


def test_formula_is_never_clipped() -> None:
    assert gap_recovered(0.6, 0.7, 0.8) == pytest.approx(0.5)
    assert gap_recovered(0.6, 0.5, 0.8) == pytest.approx(-0.5)
    assert gap_recovered(0.6, 0.9, 0.8) == pytest.approx(1.5)
    assert gap_recovered(0.6, 0.7, 0.6) is None


def test_value_gap_and_interval_by_hand() -> None:
    # Nested errors, gap 40 points, 100 examples: weak 50, student 70, ceiling 90 right.
    result = pgr(credits(50), credits(70), credits(90))
    assert result.value == pytest.approx(0.5)
    assert result.gap == pytest.approx(0.4)
    # The gap counts 40 examples of 100: 0.4 -+ 1.96 * sqrt(0.4 * 0.6 / 100) = 0.4 -+ 0.096
    assert (result.gap_low, result.gap_high) == pytest.approx((0.304, 0.496), abs=0.011)
    # Given g examples in the gap, the recovered share is a binomial of 20 in 40: 0.5 -+ 1.96 * sqrt(0.25 / 40) = 0.155
    assert (result.low, result.high) == pytest.approx((0.345, 0.655), abs=0.02)
    assert result.reliable
    assert (result.n_examples, result.n_seeds) == (100, 1)


def test_pgr_of_means_not_mean_of_pgrs() -> None:
    weak = np.concatenate([credits(50), credits(60)])
    student = np.concatenate([credits(60), credits(75)])
    ceiling = np.concatenate([credits(70), credits(90)])
    assert pgr(weak, student, ceiling).value == pytest.approx((67.5 - 55) / (80 - 55))


def test_gap_touching_zero_is_unreliable() -> None:
    # Weak is right on examples 0 to 99, ceiling on 50 to 151: 52 gained, 50 lost, a gap of one point +- 10.
    weak, ceiling = np.zeros((1, 200)), np.zeros((1, 200))
    weak[0, :100] = 1
    ceiling[0, 50:152] = 1
    result = pgr(weak, weak, ceiling)
    assert result.gap == pytest.approx(0.01)
    assert result.gap_low <= 0 <= result.gap_high
    assert not result.reliable


def test_ceiling_below_weak_is_unreliable() -> None:
    result = pgr(credits(90), credits(70), credits(50))
    assert result.gap_high < 0
    assert not result.reliable
    assert result.value == pytest.approx(0.5)


def test_equal_weak_and_ceiling_have_no_pgr() -> None:
    result = pgr(credits(50), credits(70), credits(50))
    assert (result.value, result.low, result.high, result.reliable) == (None, None, None, False)


def test_a_gap_that_cannot_be_told_from_zero_leaves_the_interval_open() -> None:
    # One example in twenty carries the whole gap.
    result = pgr(credits(10, 20), credits(10, 20), credits(11, 20))
    assert (result.value, result.low, result.high) == (0.0, None, None)
    assert not result.reliable


@pytest.mark.parametrize(("right", "value"), [(80, 1.0), (50, 0.0)])
def test_a_student_that_nothing_tells_from_another_model_is_not_known_for_sure(right: int, value: float) -> None:
    """1.984² / (100 + 1.984²) = 0.0379 of accuracy may be between them, over a gap of 0.3 give or take 0.09."""
    result = pgr(credits(50), credits(right), credits(80))
    assert result.value == pytest.approx(value) and result.reliable
    assert result.low is not None and result.high is not None
    assert 0.0379 / 0.3 < value - result.low < 0.0379 / 0.2 and 0.0379 / 0.3 < result.high - value < 0.0379 / 0.2


def test_alike_in_all_examples_all_models_are_bounded() -> None:
    result = pgr(credits(0), credits(100), credits(100))
    assert (result.value, result.reliable) == (1.0, True)
    # The gap of 1 has twice 0.0379: an example could be the other way round.
    assert (result.gap_low, result.gap_high) == (pytest.approx(1 - 2 * 0.03788, abs=1e-5), 1)
    assert result.low is not None and result.high is not None and result.low < 0.95 and result.high > 1.05
    # Of two that are alike the gap may be anything.
    assert not pgr(credits(0, 2), credits(2, 2), credits(2, 2)).reliable


def test_one_example_or_one_group_says_nothing() -> None:
    for groups, n in ((None, 1), (["g"] * 8, 8)):
        result = pgr(credits(0, n), credits(n, n), credits(n, n), groups)
        assert (result.gap_low, result.gap_high) == (-1, 1)
        assert (result.low, result.high, result.reliable) == (None, None, False)


@pytest.mark.parametrize("rights", [(50, 70, 90), (60, 58, 90), (55, 95, 80), (80, 60, 55)])
def test_one_seed_is_the_theorem_of_fieller(rights: tuple[int, int, int]) -> None:
    """The roots of (y² - t² v_yy) r² - 2 (x y - t² v_xy) r + (x² - t² v_xx) for x over y, by the usual formula."""
    rng = np.random.default_rng(0)
    weak, student, ceiling = (rng.permuted(credits(right), axis=1) for right in rights)
    above_N, gap_N = (student - weak)[0], (ceiling - weak)[0]
    x, y, (xx, xy), (_, yy) = above_N.mean(), gap_N.mean(), *(np.cov(above_N, gap_N) / 100)
    t2 = stats.t.ppf(0.975, 99) ** 2
    a, b, c = y**2 - t2 * yy, x * y - t2 * xy, x**2 - t2 * xx
    result = pgr(weak, student, ceiling)
    assert a > 0 and result.value == pytest.approx(x / y)
    roots = ((b - math.sqrt(b**2 - a * c)) / a, (b + math.sqrt(b**2 - a * c)) / a)
    assert (result.low, result.high) == pytest.approx(roots, rel=1e-9)


def test_at_both_ends_the_difference_can_just_not_be_told_from_zero() -> None:
    rng = np.random.default_rng(3)
    hard_N, models = rng.random(400), []
    for accuracy in (0.6, 0.7, 0.85):
        strong_S = rng.normal(accuracy, 0.01, (3, 1))
        models.append((0.5 * hard_N + 0.5 * rng.random((3, 400)) < strong_S - 0.15).astype(float))
    result, means = pgr(*models), means_of(models)
    assert result.low is not None and result.high is not None and result.low < result.value < result.high
    for end, sign in ((result.low, 1), (result.high, -1)):
        estimate = means.combined([end - 1, 1, -end])
        assert estimate.value == pytest.approx(sign * estimate.half_width(), rel=1e-9)


def test_there_are_ends_where_the_gap_is_told_from_zero() -> None:
    rng, bounded = np.random.default_rng(5), set()
    for _ in range(60):
        result = pgr(*[(rng.random((2, 60)) < accuracy).astype(float) for accuracy in (0.5, 0.6, 0.75)])
        bounded.add(result.low is not None)
        assert (result.low is not None) == (result.high is not None) == (result.gap_low > 0 or result.gap_high < 0)
    assert bounded == {True, False}


def test_no_nan_and_no_infinity_anywhere() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        result = pgr(*independent(rng, (0.5, 0.5, 0.5), 12))
        numbers = [result.value, result.low, result.high, result.gap, result.gap_low, result.gap_high]
        assert all(math.isfinite(number) for number in numbers if number is not None)


@pytest.mark.parametrize(("gap", "error"), [(0.02, 0.67), (0.10, 0.13), (0.20, 0.065)])
def test_standard_error_at_two_thousand_examples(gap: float, error: float) -> None:
    """Accuracies around 60 % and *independent* errors of the three models; shared errors make it smaller.

    To first order Var(PGR) = Var(student - weak / 2 - ceiling / 2) / gap^2 = 1.5 * 0.24 / 2000 / gap^2. The ratio
    itself has no finite variance at a 2-point gap, so the linear form is simulated.
    """
    rng = np.random.default_rng(0)
    accuracies = np.array([0.6 - gap / 2, 0.6, 0.6 + gap / 2])
    weak_R, student_R, ceiling_R = (rng.binomial(2000, accuracies, size=(20_000, 3)) / 2000).T
    assert np.std(student_R - (weak_R + ceiling_R) / 2) / gap == pytest.approx(error, rel=0.04)


@pytest.mark.parametrize(("gap", "error"), [(0.10, 0.13), (0.20, 0.065)])
def test_interval_width_at_two_thousand_examples(gap: float, error: float) -> None:
    rng = np.random.default_rng(2)
    widths = []
    for _ in range(20):
        result = pgr(*independent(rng, (0.6 - gap / 2, 0.6, 0.6 + gap / 2), 2000))
        assert result.low is not None and result.high is not None
        widths.append(result.high - result.low)
    # Wider than to first order, as the gap is not known either; the median, as some gaps come out small by chance.
    share = 1.96**2 * 2 * 0.24 / 2000 / gap**2
    assert np.median(widths) / (2 * 1.96) == pytest.approx(error / (1 - share), rel=0.1)


def test_shared_errors_narrow_the_interval() -> None:
    rng = np.random.default_rng(0)
    easy_N = rng.random((1, 2000))
    shared = pgr(*[(easy_N < accuracy).astype(float) for accuracy in (0.55, 0.60, 0.65)])
    apart = pgr(*independent(rng, (0.55, 0.60, 0.65), 2000))
    assert None not in (shared.low, shared.high, apart.low, apart.high)
    assert shared.high - shared.low < 0.7 * (apart.high - apart.low)


def test_interval_covers_the_truth_in_95_percent_of_simulations() -> None:
    """400 simulations: the binomial standard error of a 95 % coverage is 1.1 points; bounds at 3.5 of them."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        easy_N = rng.random(500)
        models = []
        for accuracy in (0.65, 0.75, 0.85):
            copies_N = rng.random(500) < 0.5  # half of the errors are shared between the models
            models.append((np.where(copies_N, easy_N, rng.random(500)) < accuracy).astype(float)[None])
        result = pgr(*models)
        assert result.low is not None and result.high is not None
        covered += result.low <= 0.5 <= result.high
    assert 0.912 <= covered / 400 <= 0.988


def test_from_predictions_checks_the_pairing() -> None:
    right, wrong = (1.0, 0.0), (0.0, 1.0)
    weak = Predictions(("a", "b"), (wrong, wrong), (0, 0))
    student = Predictions(("b", "a"), (right, wrong), (0, 0))
    ceiling = Predictions(("a", "b"), (right, right), (0, 0))
    assert pgr_from_predictions([weak], [student], [ceiling]).value == 0.5
    with pytest.raises(DataError, match="ceiling .*\n.*missing: 'b'"):
        pgr_from_predictions([weak], [student], [Predictions(("a",), (right,), (0,))])
    with pytest.raises(DataError, match="student has 2"):
        pgr_from_predictions([weak], [student, student], [ceiling])
