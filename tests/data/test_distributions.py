"""Weak labels as distributions."""

import math

import pytest

from w2s_rm.data.distributions import (
    best_candidates,
    label_accuracy,
    log_probabilities,
    reordered,
    with_log_probabilities,
)
from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import DataError


def label(probabilities, scores=None):
    return WeakLabel("a", tuple("xyz"[: len(probabilities)]), probabilities, scores)


def test_log_probabilities_come_from_scores_where_there_are_any():
    assert log_probabilities(label((0.25, 0.75))) == pytest.approx((math.log(0.25), math.log(0.75)), abs=1e-12)
    assert log_probabilities(label((0.0, 1.0))) == (-math.inf, 0.0)
    assert log_probabilities(label((0.0, 1.0), (-5000.0, 10.0))) == (-5010.0, 0.0)


def test_rounded_probabilities_are_normalised():
    assert math.fsum(map(math.exp, log_probabilities(label((0.3333, 0.3333, 0.3333))))) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("scores", [(0.0, 0.0), (1.0,), (math.nan, 1.0), (-math.inf, 1.0)])
def test_scores_of_something_else(scores):
    with pytest.raises(DataError, match="id 'a': its probabilities are not the softmax of its scores"):
        log_probabilities(label((0.25, 0.75), scores))


def test_another_distribution():
    made = with_log_probabilities(label((0.5, 0.5), (3.0, 3.0)), (math.log(3) + 7, 7.0))
    assert made.probabilities == pytest.approx((0.75, 0.25), abs=1e-12)
    assert made.scores == pytest.approx((math.log(0.75), math.log(0.25)), abs=1e-12)
    assert with_log_probabilities(label((0.5, 0.5)), (-math.inf, 2.0)) == label((0.0, 1.0))


def test_best_candidates_and_their_accuracy():
    assert best_candidates(label((0.4, 0.2, 0.4))) == (0, 2)
    labels = [label((0.4, 0.2, 0.4)), WeakLabel("b", ("x", "y"), (0.1, 0.9)), WeakLabel("c", ("x", "y"), (0.1, 0.9))]
    assert label_accuracy(labels, {"a": 2, "b": 1}) == 0.75
    assert label_accuracy(labels, {"d": 0}) is None
    with pytest.raises(DataError, match="id 'b': candidate -1 is right, but it has only 2"):
        label_accuracy(labels, {"b": -1})


def test_another_order():
    made = reordered(label((0.5, 0.3, 0.2), (5.0, 3.0, 2.0)), ("z", "x", "y"))
    assert made == WeakLabel("a", ("z", "x", "y"), (0.2, 0.5, 0.3), (2.0, 5.0, 3.0))
    for names in (("x", "y"), ("x", "y", "w"), ("x", "y", "z", "z")):
        with pytest.raises(DataError, match="id 'a': labels candidates x, y, z instead of"):
            reordered(label((0.5, 0.3, 0.2)), names)
