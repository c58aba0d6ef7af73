"""The mean over tasks of what one model gains on another, against written-out arithmetic and an own bootstrap."""

from __future__ import annotations

import numpy as np
import pytest

from w2s_rm.errors import DataError
from w2s_rm.metrics.intervals import difference_interval
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


def test_the_interval_is_that_of_a_bootstrap_of_each_task() -> None:
    students = [credits(0.8, 900), credits(0.6, 300), credits(0.7, 500)]
    weaks = [credits(0.7, 900, start=1), credits(0.65, 300, start=1), credits(0.6, 500, start=1)]
    found = mean_gain(students, weaks)
    generator, samples = np.random.default_rng(1), []
    for _ in range(4000):
        seeds = generator.integers(3, size=3)
        gains = []
        for student, weak in zip(students, weaks, strict=True):
            drawn = generator.integers(student.shape[1], size=student.shape[1])
            gains.append((student - weak)[seeds][:, drawn].mean())
        samples.append(np.mean(gains))
    low, high = np.quantile(samples, [0.025, 0.975])
    # Drawn together the tasks' distance adds a little; less than a tenth of the width here.
    assert high - low <= (found.high - found.low) * 1.05 and found.high - found.low <= 1.1 * (high - low)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.1 * (high - low))


def test_other_tasks_are_refused() -> None:
    with pytest.raises(DataError, match="0 given"):
        mean_gain([], [])
    with pytest.raises(DataError, match="the same ones"):
        mean_gain([credits(0.5, 10)], [credits(0.5, 11)])
