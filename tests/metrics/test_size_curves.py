"""Curves over sizes: what they find where their form is right, their errors against new draws, and sizes left out."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations_with_replacement

import numpy as np
import pytest

from w2s_rm.metrics.quantities import Quantity, mean_of
from w2s_rm.metrics.size_curves import (
    STRONG_SIZE,
    WEAK_SIZE,
    SizeCurve,
    SizedPair,
    accuracy_curve,
    left_out,
    pgr_curve,
)

SIZES = (512.0, 1152.0, 2048.0, 4608.0, 8192.0)
PAIRS = list(combinations_with_replacement(SIZES, 2))
N_EXAMPLES = 500
IDS = [f"e{number:04d}" for number in range(N_EXAMPLES)]


def logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def alone(size: float) -> float:
    return logistic(-5.0 + 0.6 * math.log2(size))


def recovered(weak: float, strong: float) -> float:
    return 1.5 + 0.05 * math.log2(weak) - 0.12 * math.log2(strong)


def followed(weak: float, strong: float) -> float:
    return logistic(-4.0 + 0.2 * math.log2(weak) + 0.3 * math.log2(strong))


def by_pgr(weak: float, strong: float) -> float:
    return alone(weak) + recovered(weak, strong) * (alone(strong) - alone(weak))


def exact(student: float, weak: float, ceiling: float, sizes: tuple[float, float]) -> SizedPair:
    return SizedPair(*sizes, *(mean_of(np.array([[value, value]]), IDS[:2]) for value in (weak, student, ceiling)))


def grid(student: object) -> list[SizedPair]:
    return [exact(student(*sizes), alone(sizes[0]), alone(sizes[1]), sizes) for sizes in PAIRS]  # type: ignore[operator]


def test_it_finds_the_curve_of_accuracies_that_is_there() -> None:
    curve = accuracy_curve(grid(followed))
    assert curve is not None and curve.coefficients_C == pytest.approx([-4.0, 0.2, 0.3], abs=1e-6)
    assert curve.coefficient(WEAK_SIZE).value == pytest.approx(0.2) and curve.logit
    for sizes in (PAIRS[3], (256.0, 65536.0)):
        assert curve.at(*sizes).value == pytest.approx(followed(*sizes))


def test_it_finds_the_line_of_pgr_that_is_there() -> None:
    curve = pgr_curve(grid(by_pgr))
    assert curve is not None and curve.coefficients_C == pytest.approx([1.5, 0.05, -0.12], abs=1e-6)
    assert curve.coefficient(STRONG_SIZE).value == pytest.approx(-0.12)
    assert curve.at(512.0, 16384.0).value == pytest.approx(recovered(512.0, 16384.0))


def test_a_pair_without_a_gap_says_nothing_and_a_small_gap_little() -> None:
    pairs = grid(by_pgr)
    curve = pgr_curve([pair for pair in pairs if pair.weak_size != pair.strong_size])
    assert curve is not None and curve.coefficients_C == pytest.approx([1.5, 0.05, -0.12], abs=1e-6)
    # A student that is wrong by a point where the gap is small (its PGR by 0.2) moves the line less than where it is
    # large.
    moved = {}
    for sizes in ((4608.0, 8192.0), (512.0, 8192.0)):
        changed = [
            exact(by_pgr(*pair) + 0.01 * (pair == sizes), alone(pair[0]), alone(pair[1]), pair) for pair in PAIRS
        ]
        found = pgr_curve(changed)
        assert found is not None
        moved[sizes] = abs(found.at(512.0, 16384.0).value - recovered(512.0, 16384.0))
    assert moved[(4608.0, 8192.0)] < moved[(512.0, 8192.0)]


def test_too_few_sizes_determine_no_curve() -> None:
    pairs = grid(followed)
    assert accuracy_curve(pairs[:5]) is None and pgr_curve(pairs[:5]) is None
    # Pairs of a model with itself have no gap.
    assert pgr_curve([pair for pair in pairs if pair.weak_size == pair.strong_size]) is None


@pytest.mark.parametrize(("fit", "law"), [(accuracy_curve, followed), (pgr_curve, by_pgr)], ids=["accuracy", "pgr"])
def test_intervals_hold_the_truth_as_often_as_they_say(fit: object, law: object) -> None:
    """Three seeds whose models differ, on the same examples: 200 experiments, at a size inside and at one outside."""
    rng, held = np.random.default_rng(4), []
    truth = recovered if fit is pgr_curve else followed
    expected = {sizes: truth(*sizes) for sizes in (PAIRS[7], (512.0, 16384.0))}

    def credits(share: float, hard_N: np.ndarray) -> Quantity:
        """Of a model that has a strength of its own with each seed, on examples that are hard for all models alike."""
        return mean_of((hard_N < share + rng.normal(0, 0.01, (3, 1))).astype(float), IDS)

    for _ in range(200):
        hard_N = rng.random(N_EXAMPLES)
        models = {size: credits(alone(size), hard_N) for size in SIZES}
        pairs = [SizedPair(*sizes, models[sizes[0]], credits(law(*sizes), hard_N), models[sizes[1]]) for sizes in PAIRS]  # type: ignore[operator]
        curve = fit(pairs)  # type: ignore[operator]
        held.append([curve.at(*sizes).low <= value <= curve.at(*sizes).high for sizes, value in expected.items()])
    # 95 % of 200 has a standard error of 1.5 points; with three seeds intervals are wide rather than narrow.
    assert (np.mean(held, axis=0) > 0.91).all()


def test_sizes_that_are_left_out_are_predicted_by_the_others() -> None:
    inside, outside = left_out(grid(followed), accuracy_curve)
    assert (inside.where, outside.where) == ("inside", "outside")
    # Each of the 15 pairs has two sizes, 5 of them the same one: 25 predictions, 5 of each size.
    assert (inside.predicted, outside.predicted) == (15, 10)
    assert max(inside.error, outside.error) < 1e-6 < 0.02 < min(inside.constant_error, outside.constant_error)
    for found in left_out(grid(by_pgr), pgr_curve):
        assert found.error < 1e-6 < 0.001 < found.constant_error


def test_where_the_form_is_wrong_the_errors_left_out_show_it() -> None:
    def jump(weak: float, strong: float) -> float:
        return 0.6 if strong < 4000 else 0.95

    inside, _ = left_out(grid(jump), accuracy_curve)
    fitted = accuracy_curve(grid(jump))
    assert fitted is not None and inside.error > 0.05


@pytest.mark.parametrize("fit", [accuracy_curve, pgr_curve], ids=["accuracy", "pgr"])
def test_what_a_number_moves_is_the_derivative(fit: Callable[[list[SizedPair]], SizeCurve | None]) -> None:
    rng, step = np.random.default_rng(5), 1e-5
    # Away from any curve, where a gap moves both sides of the normal equations.
    known = {sizes: (alone(sizes[0]), by_pgr(*sizes) + rng.normal(0, 0.03), alone(sizes[1])) for sizes in PAIRS}

    def fitted(changed: tuple[float, float] | None = None, student: float = 0, ceiling: float = 0) -> SizeCurve:
        pairs = []
        for sizes, (weak, of_student, of_ceiling) in known.items():
            moved = (student, ceiling) if sizes == changed else (0.0, 0.0)
            pairs.append(exact(of_student + moved[0], weak, of_ceiling + moved[1], sizes))
        curve = fit(pairs)
        assert curve is not None
        return curve

    curve = fitted()
    for number, sizes in enumerate(PAIRS):
        by_student, by_ceiling = (
            (fitted(sizes, **{of: step}).coefficients_C - fitted(sizes, **{of: -step}).coefficients_C) / (2 * step)
            for of in ("student", "ceiling")
        )
        assert by_student == pytest.approx(curve.moved_CQ[:, number], rel=1e-4, abs=1e-6)
        # A ceiling moves the gap alone.
        by_gap = curve.moved_CQ[:, len(PAIRS) + number] if fit is pgr_curve else np.zeros(3)
        assert by_ceiling == pytest.approx(by_gap, rel=1e-4, abs=1e-6)
