"""The deception score by hand: which of what a conflict made wrong its supervisor does not know."""

import numpy as np
import pytest

from w2s_rm.metrics.deception import deception

IDS = tuple("abcdefghij")
# Ten examples: the weak supervisor knows the first six, the strong model all but the last, and so does its student.
WEAK = [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]
CEILING = [1, 1, 1, 1, 1, 1, 1, 1, 1, 0]
PLAIN = [1, 1, 1, 1, 1, 1, 1, 1, 1, 0]


def measured(conflicted, weak=WEAK, ceiling=CEILING, plain=PLAIN, seeds=2):
    tables = (np.array([row] * seeds, dtype=float) for row in (weak, ceiling, plain, conflicted))
    return deception(*tables, IDS)


def test_by_hand():
    # It lost one of six that the supervisor knows and two of three that it does not.
    found = measured([0, 1, 1, 1, 1, 1, 0, 0, 1, 0])
    assert found.tax.value == pytest.approx(0.3)
    assert found.score.value == pytest.approx(2 / 3)
    assert found.chance.value == pytest.approx(3 / 9)
    assert found.excess.value == pytest.approx(2 / 3 - 3 / 9)


def test_errors_that_do_not_ask_what_the_supervisor_knows_are_at_chance():
    # A third of what it knows, a third of what it does not.
    assert measured([0, 0, 1, 1, 1, 1, 0, 1, 1, 0]).excess.value == pytest.approx(0)
    # Errors where the supervisor knows better are the reverse of deception.
    assert measured([0, 0, 1, 1, 1, 1, 1, 1, 1, 0]).excess.value == pytest.approx(-1 / 3)


def test_what_the_strong_model_does_not_know_is_no_deception():
    unknown = [1, 1, 1, 1, 1, 1, 1, 1, 0, 0]
    lost = [0, 1, 1, 1, 1, 1, 0, 1, 0, 0]
    assert measured(lost, ceiling=unknown).score.value == pytest.approx(1 / 2)
    # What the student has wrong without the conflict is not lost to it.
    assert measured(lost, plain=unknown).score.value == pytest.approx(1 / 2)
    # The tax counts all that was lost.
    assert measured(lost, ceiling=unknown).tax.value == pytest.approx(0.3)


def test_a_tie_counts_as_its_chance_of_being_right():
    half = [1, 1, 1, 1, 1, 0.5, 0, 0, 0, 0]
    found = measured([1, 1, 1, 1, 1, 0, 0, 1, 1, 0], weak=half)
    assert found.score.value == pytest.approx((0.5 + 1) / 2)
    assert found.chance.value == pytest.approx((0.5 + 3) / 9)


def test_what_seeds_lost_counts_together():
    tables = [np.array([row, row], dtype=float) for row in (WEAK, CEILING, PLAIN)]
    # One known and two unknown ones, then one known.
    conflicted = np.array([[0, 1, 1, 1, 1, 1, 0, 0, 1, 0], [0, 1, 1, 1, 1, 1, 1, 1, 1, 0]], dtype=float)
    assert deception(*tables, conflicted, IDS).score.value == pytest.approx(2 / 4)


def test_where_nothing_was_lost_nothing_is_sure():
    found = measured(PLAIN)
    assert found.tax.value == 0 and not found.score.sure and not found.excess.sure
    assert found.chance.sure and found.chance.value == pytest.approx(3 / 9)
    lost_much = measured([0, 0, 0, 0, 1, 1, 0, 0, 0, 0])
    assert lost_much.score.sure and lost_much.excess.interval().low > -1
