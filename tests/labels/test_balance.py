"""The mean label becomes the class prior."""

import math
import random

import numpy as np
import pytest

from w2s_rm.data.distributions import with_log_probabilities
from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.labels import Evidence
from w2s_rm.labels.balance import Balance, shifts
from w2s_rm.types import text_hash

TWO, THREE = ("no", "yes"), ("no", "yes", "maybe")


def labels(rows, classes):
    ids = tuple(map(text_hash, classes))
    return [WeakLabel(f"id{i}", ids, tuple(row)) for i, row in enumerate(rows)]


def mean(made):
    return np.array([label.probabilities for label in made]).mean(axis=0)


def test_by_hand():
    # One label of odds 3 : 1 and one of 27 : 1. A shift of -ln 9 gives 1 : 3 and 3 : 1, of mean 1/2.
    made = Balance()(labels([(3 / 4, 1 / 4), (27 / 28, 1 / 28)], TWO), Evidence(classes=TWO))
    assert made[0].probabilities == pytest.approx((1 / 4, 3 / 4), abs=1e-8)
    assert made[1].probabilities == pytest.approx((3 / 4, 1 / 4), abs=1e-8)


@pytest.mark.parametrize("prior", [None, [0.7, 0.2, 0.1]])
def test_the_mean_is_the_prior_and_one_shift_holds_for_all(prior):
    draw = random.Random(0)
    blank = labels([()] * 200, THREE)
    given = [with_log_probabilities(one, [draw.gauss(3, 4), draw.gauss(0, 2), draw.gauss(-2, 1)]) for one in blank]
    made = Balance(prior)(given, Evidence(classes=THREE))
    assert mean(made) == pytest.approx(prior or [1 / 3] * 3, abs=1e-8)
    moved = [[b - a for a, b in zip(x.scores, y.scores, strict=True)] for x, y in zip(given, made, strict=True)]
    relative = [[value - row[0] for value in row] for row in moved]
    assert relative == [pytest.approx(relative[0], abs=1e-9)] * len(given)


def test_what_is_balanced_stays():
    given = labels([(0.9, 0.1), (0.1, 0.9)], TWO)
    for before, after in zip(given, Balance()(given, Evidence(classes=TWO)), strict=True):
        assert after.probabilities == pytest.approx(before.probabilities, abs=1e-8)


def test_labels_far_from_the_prior():
    logs_NK = np.array([[0.0, -900.0], [0.0, -1000.0], [0.0, -1100.0]])
    # Half of the mean: the middle one is undecided.
    assert shifts(logs_NK, np.array([0.5, 0.5])) == pytest.approx([0.0, 1000.0], abs=1e-6)


def test_the_labels_own_order_of_classes():
    (no, yes) = map(text_hash, TWO)
    given = [WeakLabel("a", (yes, no), (0.25, 0.75)), WeakLabel("b", (no, yes), (27 / 28, 1 / 28))]
    made = Balance()(given, Evidence(classes=TWO))
    assert made[0].candidate_ids == (yes, no)
    assert made[0].probabilities == pytest.approx((3 / 4, 1 / 4), abs=1e-8)


def test_hard_labels_of_one_class_too_many():
    with pytest.raises(DataError, match="no shift of classes gives the 3 labels this mean.*balance before hardening"):
        Balance()(labels([(1.0, 0.0), (1.0, 0.0), (0.0, 1.0)], TWO), Evidence(classes=TWO))
    with pytest.raises(DataError, match="no shift"):
        # Two labels exclude the third class, which needs more than the third one can give.
        Balance([0.3, 0.3, 0.4])(
            labels([(0.5, 0.5, 0), (0.4, 0.6, 0), (0.1, 0.1, 0.8)], THREE), Evidence(classes=THREE)
        )


@pytest.mark.parametrize("hard", [(1.0, 0.0), (0.0, 1.0)])
def test_a_hard_label_among_soft_ones_stays(hard):
    made = Balance()(labels([hard, (0.9, 0.1), (0.8, 0.2)], TWO), Evidence(classes=TWO))
    assert mean(made) == pytest.approx([0.5, 0.5], abs=1e-8)
    assert (made[0].probabilities, made[0].scores) == (hard, None)


def test_exchangeable_candidates_have_no_prior():
    with pytest.raises(ConfigError, match="needs a task with fixed classes.*have no prior; leave it out"):
        Balance()(labels([(0.9, 0.1)], TWO), Evidence())


def test_a_prior_for_another_number_of_classes():
    with pytest.raises(ConfigError, match=r"prior has 2 shares, the task 3 classes \(no, yes, maybe\)"):
        Balance([0.5, 0.5])(labels([(0.5, 0.3, 0.2)], THREE), Evidence(classes=THREE))


def test_labels_of_other_candidates():
    with pytest.raises(DataError, match="id 'a': labels candidates x, y instead of"):
        Balance()([WeakLabel("a", ("x", "y"), (0.5, 0.5))], Evidence(classes=TWO))


@pytest.mark.parametrize(
    "prior", [[0.5, 0.4], [1.0], [], [1.0, 0.0], [1.5, -0.5], 0.5, "ab", [True, 0.0], [math.nan, 1]]
)
def test_priors_that_are_none(prior):
    with pytest.raises(ConfigError, match="'balance': prior is .*; give each class a share above 0"):
        Balance(prior)
