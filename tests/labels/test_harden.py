"""Hard labels."""

from w2s_rm.data.label_files import WeakLabel
from w2s_rm.labels import Evidence
from w2s_rm.labels.harden import Harden


def harden(*probabilities, scores=None):
    label = WeakLabel("a", tuple(map(str, range(len(probabilities)))), probabilities, scores)
    return Harden()([label], Evidence())[0]


def test_all_weight_on_the_most_probable():
    assert harden(0.2, 0.5, 0.3).probabilities == (0, 1, 0)


def test_exact_ties_stay_ties():
    assert harden(0.5, 0.5).probabilities == (0.5, 0.5)
    assert harden(0.4, 0.2, 0.4).probabilities == (0.5, 0, 0.5)


def test_a_hard_label_has_no_scores():
    assert harden(0.5, 0.5, scores=(1.0, 1.0)).scores is None
