"""Labels of several supervisors as one."""

import math

import pytest

from w2s_rm.data.combining import WAYS, combine, disagreement
from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import ConfigError, DataError


def label(*probabilities, id="a", names="xyz", scores=None):
    return WeakLabel(id, tuple(names[: len(probabilities)]), probabilities, scores)


def one(how, *labels):
    (made,) = combine([[x] for x in labels], how)
    return made


def test_mean_log_odds_by_hand():
    # Odds 9 : 1 and 1 : 4: the geometric mean of 9 and 1/4 is 3/2, which is 3 : 2.
    made = one("mean_log_odds", label(0.9, 0.1), label(0.2, 0.8))
    assert made.probabilities == pytest.approx((0.6, 0.4), abs=1e-12)
    assert made.scores == pytest.approx((math.log(0.6), math.log(0.4)), abs=1e-12)


def test_mean_log_odds_uses_scores_beyond_what_probabilities_hold():
    far, back = label(1.0, 0.0, scores=(0.0, -2000.0)), label(0.0, 1.0, scores=(0.0, 2001.0))
    made = one("mean_log_odds", far, back)
    assert made.probabilities == pytest.approx((1 / (1 + math.exp(0.5)), 1 / (1 + math.exp(-0.5))), abs=1e-12)


def test_mean_probability_by_hand():
    made = one("mean_probability", label(0.9, 0.1, 0.0), label(0.2, 0.5, 0.3))
    assert made.probabilities == pytest.approx((0.55, 0.3, 0.15), abs=1e-12)


def test_votes_are_shares_and_ties_split():
    # x, x, y, and one that is tied between y and z: 2/4, 1.5/4, 0.5/4.
    labels = [label(0.6, 0.4, 0.0), label(0.9, 0.05, 0.05), label(0.3, 0.4, 0.3), label(0.2, 0.4, 0.4)]
    assert one("vote", *labels).probabilities == pytest.approx((0.5, 0.375, 0.125), abs=1e-12)
    unanimous = one("vote", label(0.6, 0.4), label(0.9, 0.1))
    assert (unanimous.probabilities, unanimous.scores) == ((1.0, 0.0), None)


@pytest.mark.parametrize("how", WAYS)
def test_ids_and_candidates_are_brought_together(how):
    first = [label(0.9, 0.1, id="a"), label(0.3, 0.7, id="b")]
    second = [label(0.4, 0.6, id="b"), label(0.2, 0.8, id="a")]
    turned = [WeakLabel(x.id, x.candidate_ids[::-1], x.probabilities[::-1]) for x in second[::-1]]
    made = combine([first, second], how)
    assert [x.id for x in made] == ["a", "b"]
    assert combine([first, turned], how) == made
    swapped = {x.id: x.probabilities for x in combine([second, first], how)}
    assert swapped == {x.id: pytest.approx(x.probabilities, abs=1e-12) for x in made}


@pytest.mark.parametrize("how", ["mean_log_odds", "mean_probability"])
def test_a_single_member_stays_as_it_is(how):
    assert one(how, label(0.7, 0.2, 0.1)).probabilities == pytest.approx((0.7, 0.2, 0.1), abs=1e-12)


def test_disagreement_is_the_share_of_pairs_averaged_over_examples():
    # a: x, x, y differ in 2 of 3 pairs. b: all say y. Mean 1/3.
    rows = [
        [label(0.9, 0.1, id="a"), label(0.1, 0.9, id="b")],
        [label(0.3, 0.7, id="b"), label(0.6, 0.4, id="a")],
        [label(0.2, 0.8, id="a"), label(0.0, 1.0, id="b")],
    ]
    assert disagreement(rows) == pytest.approx(1 / 3, abs=1e-12)
    # A tie is broken by chance: it differs from a choice, and from another tie, in half of the cases.
    assert disagreement([[label(0.5, 0.5)], [label(0.9, 0.1)]]) == 0.5
    assert disagreement([[label(0.5, 0.5)], [label(0.5, 0.5)]]) == 0.5


def test_what_members_lack_is_named():
    first = [label(0.9, 0.1, id="a"), label(0.9, 0.1, id="b"), label(0.9, 0.1, id="c")]
    second = [label(0.9, 0.1, id="a", names="xw"), label(0.9, 0.1, id="c"), label(0.9, 0.1, id="d")]
    for call in (lambda rows: combine(rows, "vote"), disagreement):
        with pytest.raises(DataError) as caught:
            call([first, second])
        lines = str(caught.value).splitlines()[1:]
        assert lines == [
            "  - supervisor 2: id 'b': no label",
            "  - supervisor 2: id 'd': supervisor 1 has no label of it",
            "  - supervisor 2: id 'a': labels x, w, supervisor 1 x, y",
        ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no supervisors to combine"),
        ([[], []], "none of them has labels"),
        ([[label(0.5, 0.5)] * 2], "supervisor 1: 1 ids occur twice"),
        ([[label(0.5, 0.4)]], "supervisor 1: id 'a': probabilities sum to 0.9, not 1"),
        ([[label(0.5, 0.5)], [label(0.5, math.nan)]], "supervisor 2: id 'a': probability nan is not in"),
    ],
)
def test_labels_that_cannot_be_combined(rows, message):
    with pytest.raises(DataError, match=message):
        combine(rows, "vote")


def test_members_that_exclude_each_others_candidates():
    with pytest.raises(DataError, match="id 'a': each of its candidates has probability 0 for some supervisor"):
        one("mean_log_odds", label(1.0, 0.0), label(0.0, 1.0))
    assert one("mean_probability", label(1.0, 0.0), label(0.0, 1.0)).probabilities == (0.5, 0.5)


def test_unknown_ways_and_too_few_members():
    with pytest.raises(ConfigError, match="unknown way to combine supervisors 'votes'; did you mean 'vote'?"):
        combine([[label(0.5, 0.5)]], "votes")
    with pytest.raises(DataError, match="1 supervisors cannot disagree; give at least two"):
        disagreement([[label(0.5, 0.5)]])
