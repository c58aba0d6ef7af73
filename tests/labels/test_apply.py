"""Transforms in a row: their order, and what is counted of them."""

import dataclasses
import json

import pytest

from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.labels import Evidence, check_transforms, transform_labels
from w2s_rm.labels.harden import Harden
from w2s_rm.labels.keep_confident import KeepConfident
from w2s_rm.labels.temperature import Temperature

LABELS = [
    WeakLabel("a", ("x", "y"), (0.9, 0.1)),
    WeakLabel("b", ("x", "y"), (0.2, 0.8)),
    WeakLabel("c", ("x", "y"), (0.5, 0.5)),
    WeakLabel("d", ("x", "y"), (0.4, 0.6)),
]


def test_kept_and_accuracy_are_counted_at_each_step():
    truth = {"a": 0, "b": 0, "c": 1}
    labels, counts = transform_labels(LABELS, [KeepConfident(0.5), Harden()], Evidence(), truth)
    assert labels == [WeakLabel("a", ("x", "y"), (1.0, 0.0)), WeakLabel("b", ("x", "y"), (0.0, 1.0))]
    # Before: a is right, b is wrong, c is a tie, d is not known: (1 + 0 + 1/2) / 3. Then a and b: 1/2.
    assert [dataclasses.asdict(count) for count in counts] == [
        {"name": "keep_confident", "n_before": 4, "n_after": 2, "accuracy_before": 0.5, "accuracy_after": 0.5},
        {"name": "harden", "n_before": 2, "n_after": 2, "accuracy_before": 0.5, "accuracy_after": 0.5},
    ]
    json.dumps([dataclasses.asdict(count) for count in counts])
    _, counts = transform_labels(LABELS, [KeepConfident(0.25), Harden()], Evidence(), truth)
    assert [(count.accuracy_before, count.accuracy_after) for count in counts] == [(0.5, 1.0), (1.0, 1.0)]


def test_without_truth_there_is_no_accuracy():
    for truth in (None, {}, {"somebody else": 0}):
        _, (count,) = transform_labels(LABELS, [Harden()], Evidence(), truth)
        assert (count.accuracy_before, count.accuracy_after) == (None, None)


def test_no_transforms_change_nothing():
    assert transform_labels(LABELS, [], Evidence()) == (LABELS, [])


def test_truth_that_is_no_candidate():
    with pytest.raises(DataError, match="id 'a': candidate 2 is right, but it has only 2"):
        transform_labels(LABELS, [], Evidence(), {"a": 2})


def test_what_is_fitted_to_the_supervisors_own_labels_comes_first():
    check_transforms([Temperature(), Harden()])
    check_transforms([Harden(), Temperature(2.0)])
    with pytest.raises(ConfigError, match="'temperature': is fitted .* put it before 'harden'"):
        check_transforms([Harden(), Temperature()])
    with pytest.raises(ConfigError, match="put it before 'harden'"):
        transform_labels(LABELS, [Harden(), Temperature()], Evidence(validation=[(LABELS[0], 1)]))
