"""The surest labels stay."""

import math

import pytest

from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.labels import Evidence
from w2s_rm.labels.keep_confident import KeepConfident

CLASSES = ("no", "yes")


def labels(*firsts):
    return [WeakLabel(f"id{i}", CLASSES, (first, 1 - first)) for i, first in enumerate(firsts)]


def kept(transform, given, classes=None):
    return [label.id for label in transform(given, Evidence(classes=classes))]


def test_the_share_of_highest_probability_whichever_candidate_has_it():
    given = labels(0.55, 0.05, 0.9, 0.4)
    assert kept(KeepConfident(0.5), given) == ["id1", "id2"]
    assert kept(KeepConfident(0.75), given) == ["id1", "id2", "id3"]
    assert kept(KeepConfident(1.0), given) == ["id0", "id1", "id2", "id3"]
    assert kept(KeepConfident(0.001), given) == ["id1"]
    # Half of 5 is 2.5, which is 3 labels.
    assert len(kept(KeepConfident(0.5), labels(0.6, 0.7, 0.8, 0.9, 0.95))) == 3


def test_what_is_kept_stays_as_it_was():
    given = labels(0.55, 0.05)
    assert KeepConfident(0.5)(given, Evidence()) == [given[1]]


def test_equal_labels_are_taken_by_their_ids_not_their_places():
    given = labels(*[0.75] * 100)
    chosen = kept(KeepConfident(0.3), given)
    assert len(chosen) == 30
    assert set(kept(KeepConfident(0.3), given[::-1])) == set(chosen)
    # Of the first fifty there are 15, give or take three standard deviations.
    assert 15 - 10 < sum(int(id[2:]) < 50 for id in chosen) < 15 + 10


def test_balanced_takes_the_share_of_each_class():
    given = labels(0.99, 0.98, 0.97, 0.96, 0.4, 0.3)
    assert kept(KeepConfident(0.5), given) == ["id0", "id1", "id2"]
    assert kept(KeepConfident(0.5, balanced=True), given, CLASSES) == ["id0", "id1", "id5"]


def test_one_class_left():
    given = labels(0.99, 0.98, 0.97, 0.96, 0.4, 0.3)
    with pytest.raises(DataError, match="the 3 of 6 labels that are left say one class; .*balanced to true"):
        KeepConfident(0.5)(given, Evidence(classes=CLASSES))


def test_balanced_needs_classes():
    assert KeepConfident(balanced=True).needs == {"classes"}
    assert KeepConfident().needs == frozenset()
    with pytest.raises(ConfigError, match="needs a task with fixed classes.*set balanced to false"):
        KeepConfident(balanced=True)(labels(0.9, 0.2), Evidence())


@pytest.mark.parametrize("share", [0, -0.5, 1.5, math.nan, True, "half", None])
def test_shares_out_of_range(share):
    with pytest.raises(ConfigError, match=r"'keep_confident': share is .*; give a number in \(0, 1\]"):
        KeepConfident(share)


def test_balanced_is_a_truth_value():
    with pytest.raises(ConfigError, match="balanced is 'yes'; give true or false"):
        KeepConfident(balanced="yes")
