"""The control keeps the shape of labels and loses what they say."""

from collections import Counter

import pytest

from w2s_rm.data.distributions import label_accuracy
from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import DataError
from w2s_rm.labels import Evidence
from w2s_rm.labels.shuffle import Shuffle
from w2s_rm.types import text_hash

CLASSES = ("no", "yes")
N = 2000


def shuffle(labels, classes=None, seed=0):
    return Shuffle()(labels, Evidence(classes=classes, seed=seed))


def of_classes(n=N):
    """Right in every case, a quarter of them the second class, with as many different confidences as labels."""
    ids = tuple(map(text_hash, CLASSES))
    highs = [0.6 + 0.3 * i / n for i in range(n)]
    rows = [(1 - high, high) if i % 4 == 0 else (high, 1 - high) for i, high in enumerate(highs)]
    labels = [WeakLabel(f"id{i}", ids, row, (row[0], row[1])) for i, row in enumerate(rows)]
    return labels, {label.id: int(i % 4 == 0) for i, label in enumerate(labels)}


def of_candidates(n=N, k=4):
    low = 0.1
    rows = [(1 - (k - 1) * low, *(low - 0.01 * j for j in range(1, k))) for _ in range(n)]
    rows = [(1 - sum(row[1:]), *row[1:]) for row in rows]
    return [WeakLabel(f"id{i}", tuple(f"{i}c{j}" for j in range(k)), row) for i, row in enumerate(rows)]


def test_labels_of_classes_stay_the_same_collection():
    labels, truth = of_classes()
    made = shuffle(labels, CLASSES)
    assert Counter((x.probabilities, x.scores) for x in made) == Counter((x.probabilities, x.scores) for x in labels)
    assert [x.id for x in made] == [x.id for x in labels]
    assert label_accuracy(labels, truth) == 1
    # 3/4 * 3/4 + 1/4 * 1/4 = 0.625; its standard deviation is below sqrt(0.25 / 2000) = 0.0112.
    assert label_accuracy(made, truth) == pytest.approx(0.625, abs=3 * 0.0112)


def test_candidates_change_places_within_their_own_label():
    labels = of_candidates()
    made = shuffle(labels)
    assert all(sorted(x.probabilities) == sorted(y.probabilities) for x, y in zip(labels, made, strict=True))
    places = Counter(x.probabilities.index(max(x.probabilities)) for x in made)
    # Each of 4 places 500 times; standard deviation sqrt(2000 * 3/16) = 19.4.
    assert all(abs(places[k] - 500) < 4 * 19.4 for k in range(4))


def test_scores_go_with_their_probabilities():
    label = WeakLabel("a", ("x", "y", "z"), (0.7, 0.2, 0.1), (7.0, 2.0, 1.0))
    seen = set()
    for seed in range(40):
        (made,) = shuffle([label], seed=seed)
        assert dict(zip(made.probabilities, made.scores, strict=True)) == {0.7: 7.0, 0.2: 2.0, 0.1: 1.0}
        seen.add(made.probabilities)
    assert len(seen) == 6


def test_another_seed_is_another_permutation():
    labels, _ = of_classes(100)
    assert shuffle(labels, CLASSES, seed=1) != shuffle(labels, CLASSES, seed=2)
    assert shuffle(of_candidates(100), seed=1) != shuffle(of_candidates(100), seed=2)


def test_candidates_that_are_not_the_classes():
    with pytest.raises(DataError, match="not the task's classes(.|\n)*id 'id0': 0c0, 0c1"):
        shuffle(of_candidates(1, 2), CLASSES)
