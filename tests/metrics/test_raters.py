"""Agreement of raters against scikit-learn, and against arithmetic written out."""

import random

import pytest
from sklearn.metrics import cohen_kappa_score

from w2s_rm.errors import DataError
from w2s_rm.metrics.raters import cohens_kappa, fleiss_kappa, observed_agreement, observed_interval


@pytest.mark.parametrize("seed", range(5))
def test_cohens_kappa_is_that_of_sklearn(seed: int) -> None:
    generator = random.Random(seed)
    first = generator.choices("abct", weights=(5, 3, 2, 1), k=60)
    second = [name if generator.random() < 0.6 else generator.choice("abct") for name in first]
    assert cohens_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)
    # Each rater keeps his own shares: the order of the two does not matter, their shares do.
    assert cohens_kappa(second, first) == pytest.approx(cohens_kappa(first, second))


def test_fleiss_kappa_of_two_raters_by_hand() -> None:
    first, second = "aab", "abb"
    # They agree on 2 of 3; of six choices three are a and three are b: chance 1/4 + 1/4.
    assert observed_agreement((first, second)) == pytest.approx(2 / 3)
    assert fleiss_kappa((first, second)) == pytest.approx((2 / 3 - 1 / 2) / (1 - 1 / 2))
    # Cohen: a has 2/3 and 1/3, b 1/3 and 2/3: chance 4/9.
    assert cohens_kappa(first, second) == pytest.approx((2 / 3 - 4 / 9) / (1 - 4 / 9))


def test_fleiss_kappa_of_three_raters_by_hand() -> None:
    raters = ("aabc", "abbc", "abca")
    # Pairs that agree: 3, 1, 1, 1 of 3. Choices: a 5, b 4, c 3 of 12.
    assert observed_agreement(raters) == pytest.approx((3 + 1 + 1 + 1) / 12)
    chance = (25 + 16 + 9) / 144
    assert fleiss_kappa(raters) == pytest.approx((0.5 - chance) / (1 - chance))


def test_an_interval_over_items() -> None:
    raters = ("a" * 100, "a" * 80 + "b" * 20)
    interval = observed_interval(raters)
    assert interval.value == 0.8
    # Wilson's at 80 of 100: 0.711 to 0.867; with t in place of 1.96 a little wider.
    assert interval.low == pytest.approx(0.711, abs=0.005) and interval.high == pytest.approx(0.867, abs=0.005)


def test_one_category_leaves_nothing_to_explain() -> None:
    assert cohens_kappa("aaa", "aaa") is None and fleiss_kappa(("aaa", "aaa")) is None
    assert cohens_kappa("aaa", "bbb") == 0.0


@pytest.mark.parametrize("raters", [(), ("ab",), ("ab", "a"), ("", "")])
def test_what_cannot_agree_is_refused(raters: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="two raters or more on the same items"):
        observed_agreement(raters)
