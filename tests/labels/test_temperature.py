"""Temperature: given, and fitted to the validation split."""

import math

import pytest

from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.labels import Evidence
from w2s_rm.labels.temperature import Temperature, fitted_temperature


def label(*probabilities, scores=None, id="a"):
    return WeakLabel(id, tuple(map(str, range(len(probabilities)))), probabilities, scores)


def by_scores(*scores, id="a"):
    total = math.fsum(map(math.exp, scores))
    return label(*(math.exp(score) / total for score in scores), scores=scores, id=id)


def test_given():
    # T = 1/2 squares: 0.8^2 : 0.2^2 = 16 : 1. T = 2 takes roots: sqrt(0.8 / 0.2) = 2 : 1.
    (sharp,) = Temperature(0.5)([label(0.8, 0.2)], Evidence())
    (soft,) = Temperature(2)([label(0.8, 0.2)], Evidence())
    assert sharp.probabilities == pytest.approx((16 / 17, 1 / 17), abs=1e-12)
    assert soft.probabilities == pytest.approx((2 / 3, 1 / 3), abs=1e-12)
    assert soft.scores == pytest.approx((math.log(2 / 3), math.log(1 / 3)), abs=1e-12)


def test_scores_know_what_probabilities_have_lost():
    # Far apart in nats: the probabilities are 1 and 0, at temperature 1000 they are those of 1 and 0 nats.
    far = label(1.0, 0.0, scores=(-3000.0, -4000.0))
    (soft,) = Temperature(1000)([far], Evidence())
    assert soft.probabilities == pytest.approx((math.e / (1 + math.e), 1 / (1 + math.e)), abs=1e-12)
    (hard,) = Temperature(1000)([label(1.0, 0.0)], Evidence())
    assert (hard.probabilities, hard.scores) == ((1.0, 0.0), None)


def test_scores_that_are_not_those_of_the_label():
    with pytest.raises(
        DataError, match="id 'a': its probabilities are not the softmax of its scores; leave the scores"
    ):
        Temperature(2.0)([label(0.8, 0.2, scores=(0.0, 0.0))], Evidence())


def test_fitted_by_hand():
    # Four labels that say log-odds 2; three are right. Best probability of the first: 3/4, of log-odds ln 3 = 2 / T.
    validation = [(by_scores(2.0, 0.0, id=str(i)), int(i == 0)) for i in range(4)]
    assert fitted_temperature(validation) == pytest.approx(2 / math.log(3), rel=1e-9)
    (made,) = Temperature()([by_scores(2.0, 0.0)], Evidence(validation=validation))
    assert made.probabilities == pytest.approx((0.75, 0.25), abs=1e-9)


def test_fitted_is_the_minimum_for_more_candidates():
    rows = [(1.0, 0.2, -0.5), (0.1, 1.4, 0.3), (-0.2, 0.9, 1.1), (2.0, 1.8, 0.0), (0.3, 0.1, 0.0)]
    validation = [
        (by_scores(*row, id=str(i)), gold) for i, (row, gold) in enumerate(zip(rows, (0, 1, 1, 0, 2), strict=True))
    ]

    def loss(temperature):
        return -sum(
            row[gold] / temperature - math.log(sum(math.exp(score / temperature) for score in row))
            for row, (_, gold) in zip(rows, validation, strict=True)
        )

    best = fitted_temperature(validation)
    assert 0.1 < best < 10
    assert loss(best) < min(loss(best * 1.001), loss(best / 1.001))


def test_fitted_is_invariant_to_the_scale_of_scores():
    validation = [(by_scores(2.0, 0.0, id=str(i)), int(i == 0)) for i in range(4)]
    scaled = [(by_scores(0.02, 0.0, id=str(i)), int(i == 0)) for i in range(4)]
    assert fitted_temperature(scaled) == pytest.approx(fitted_temperature(validation) / 100, rel=1e-9)


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ([], "no labels of the validation split with ground truth; set n_validation"),
        ([(label(0.8, 0.2), 0), (label(0.3, 0.7, id="b"), 1)], "all 2 labels of the validation split are right"),
        ([(label(0.8, 0.2), 1), (label(0.7, 0.3, id="b"), 1)], "no more than chance"),
        ([(label(0.8, 0.2), 1), (label(0.8, 0.2, id="b"), 0)], "no more than chance"),
        ([(label(1.0, 0.0), 1), (label(0.8, 0.2, id="b"), 0)], "probability 0 for the right candidate(.|\n)*id 'a'"),
        ([(label(0.8, 0.2), 2)], "candidate 2 is right, but it has only 2"),
    ],
)
def test_what_no_temperature_fits(validation, message):
    with pytest.raises(DataError, match=message):
        Temperature()([label(0.8, 0.2)], Evidence(validation=validation))


def test_only_the_fitted_one_needs_validation_labels():
    assert Temperature().needs == {"validation"}
    assert Temperature(1.5).needs == frozenset()


@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, True, "2", "fit", None, [1.0]])
def test_values_out_of_range(value):
    with pytest.raises(ConfigError, match="'temperature': value is .*; give a number above 0, or 'fitted'"):
        Temperature(value)
