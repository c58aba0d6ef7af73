"""The mean over tasks of what one model gains on another, against written-out arithmetic and an own bootstrap."""

from __future__ import annotations

import numpy as np
import pytest

from w2s_rm.errors import DataError
from w2s_rm.metrics.intervals import difference_interval, half_widths, means_of
from w2s_rm.metrics.transfer import mean_gain


def credits(accuracy: float, n: int, seeds: int = 3, start: int = 0) -> np.ndarray:
    return (np.random.default_rng([n, seeds, start]).random((seeds, n)) < accuracy).astype(float)


def test_each_task_counts_alike_whatever_its_size() -> None:
    # Of 4 examples 3 against 1, of 10 examples 5 against 6: the mean of 0.5 and -0.1, not the 2/14 of all examples.
    better, worse = np.array([[1.0, 1, 1, 0]]), np.array([[1.0, 0, 0, 0]])
    of_ten, other = np.array([[1.0] * 5 + [0.0] * 5]), np.array([[1.0] * 6 + [0.0] * 4])
    assert mean_gain([better, of_ten], [worse, other]).value == pytest.approx((0.5 - 0.1) / 2)


def test_one_task_alone_is_the_difference_itself() -> None:
    student, weak = credits(0.8, 300), credits(0.7, 300, start=1)
    assert mean_gain([student], [weak]) == difference_interval(student, weak)


def test_the_interval_adds_up_what_is_not_known_of_each_task() -> None:
    """Seeds are the same on all tasks, examples are not: `1/T^2 sum_t` of what comes from each task's examples."""
    students = [credits(0.8, 900), credits(0.6, 300), credits(0.7, 500)]
    weaks = [credits(0.7, 900, start=1), credits(0.65, 300, start=1), credits(0.6, 500, start=1)]
    found = mean_gain(students, weaks)
    gains_TS = np.array([(one - other).mean(axis=1) for one, other in zip(students, weaks, strict=True)])
    of_seeds = gains_TS.mean(axis=0).var(ddof=1) / 3
    estimates = [means_of(both).combined([1, -1]) for both in zip(students, weaks, strict=True)]
    of_examples = sum(one.example_variance for one in estimates) / 9
    half = float(half_widths(of_seeds, of_examples, 3, 1700))
    # Drawn together the tasks' distance adds a little; less than a tenth of the width here.
    assert half <= (found.high - found.low) / 2 * 1.05 and (found.high - found.low) / 2 <= 1.1 * half
    assert found.value == pytest.approx(gains_TS.mean())


def test_examples_of_one_group_are_one_draw_on_each_task() -> None:
    rng = np.random.default_rng(0)
    once = [(rng.random((1, 100)) < accuracy).astype(float) for accuracy in (0.8, 0.7, 0.6, 0.6)]
    thrice = [np.repeat(one, 3, axis=1) for one in once]
    groups = [str(number) for number in np.repeat(np.arange(100), 3)]
    expected, found = mean_gain(once[:2], once[2:]), mean_gain(thrice[:2], thrice[2:], [groups, groups])
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    alone = mean_gain(thrice[:2], thrice[2:])
    assert alone.high - alone.low < 0.7 * (found.high - found.low)


def test_the_interval_stays_a_difference_of_accuracies() -> None:
    """Sizes as unequal as these stretch it beyond 1, for gains that are all as large as they can be."""
    found = mean_gain([np.ones((1, 4)), np.ones((1, 400))], [np.zeros((1, 4)), np.zeros((1, 400))])
    assert found.value == pytest.approx(1.0) and -1.0 <= found.low <= found.value and found.high == 1.0
    lost = mean_gain([np.zeros((1, 4)), np.zeros((1, 400))], [np.ones((1, 4)), np.ones((1, 400))])
    assert (lost.low, lost.high) == pytest.approx((-1.0, -found.low))


def test_other_tasks_are_refused() -> None:
    with pytest.raises(DataError, match="0 given"):
        mean_gain([], [])
    with pytest.raises(DataError, match="the same ones"):
        mean_gain([credits(0.5, 10)], [credits(0.5, 11)])
