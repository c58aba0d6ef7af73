"""Which examples are measured, and Wilson's interval."""

import pytest

from w2s_rm.checks.sampling import accuracy, sample
from w2s_rm.types import Example


def examples(n, k=2):
    return [Example(str(number), "g", "p", tuple(map(str, range(k))), 0) for number in range(n)]


def test_interval_of_a_share():
    # 8 of 10, z^2 = 3.8415: centre (0.8 + 0.19207) / 1.38415 = 0.71674,
    # half 1.95996 / 1.38415 * sqrt(0.016 + 0.0096036) = 0.22658.
    found = accuracy([1.0] * 8 + [0.0] * 2, "longest")
    assert found.value == pytest.approx(0.8)
    assert (found.low, found.high) == pytest.approx((0.49016, 0.94332), abs=1e-4)
    assert found.detail == "longest"


def test_a_few_right_ones_prove_nothing():
    # 4 of 4: centre (1 + 0.48018) / 1.96036 = 0.75505, half 1.95996 / 1.96036 * sqrt(3.8415 / 64) = 0.24495.
    found = accuracy([1.0] * 4)
    assert found.value == 1.0 and found.high == pytest.approx(1.0)
    assert found.high <= 1.0 and found.low == pytest.approx(0.5101, abs=1e-4)


def test_ties_give_part_of_the_credit():
    assert accuracy([0.5, 0.5, 1.0, 0.0]).value == 0.5


def test_all_are_taken_when_they_fit():
    assert sample(examples(10), 20, per_candidate=True) == examples(10)
    assert sample(examples(10), 10, per_candidate=False) == examples(10)


def test_a_sample_depends_on_ids_alone():
    first, second = sample(examples(100), 50, per_candidate=True), sample(examples(100)[::-1], 50, per_candidate=True)
    assert first == second
    assert len(first) == len({example.id for example in first}) == 25
    assert first != examples(100)[:25]
    assert len(sample(examples(100, k=4), 50, per_candidate=True)) == 12


def test_one_large_example_is_taken_whole():
    assert len(sample(examples(3, k=9), 5, per_candidate=True)) == 1
