"""Only what two supervisors say alike."""

import pytest

from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.labels import Evidence
from w2s_rm.labels.agree import Agree
from w2s_rm.options import build

AGREE = Agree({"name": "model", "model": "second"})


def label(id, *probabilities, candidates=("x", "y")):
    return WeakLabel(id, candidates, probabilities)


def other(*labels):
    return {one.id: one for one in labels}


def test_the_same_candidate_is_meant_not_the_same_place():
    given = [label("a", 0.9, 0.1), label("b", 0.2, 0.8), label("c", 0.6, 0.4)]
    second = other(
        label("a", 0.3, 0.7, candidates=("y", "x")),
        label("b", 0.3, 0.7, candidates=("y", "x")),
        label("c", 0.51, 0.49),
        label("nobody asked", 1.0, 0.0),
    )
    assert AGREE(given, Evidence(other=second)) == [given[0], given[2]]


def test_a_tie_is_no_choice():
    given = [label("a", 0.5, 0.5), label("b", 0.9, 0.1), label("c", 0.9, 0.1)]
    second = other(label("a", 0.5, 0.5), label("b", 0.5, 0.5), label("c", 0.9, 0.1))
    assert AGREE(given, Evidence(other=second)) == [given[2]]


def test_ids_and_candidates_that_the_second_one_lacks():
    given = [label("a", 0.9, 0.1), label("b", 0.9, 0.1), label("c", 0.9, 0.1)]
    second = other(label("a", 0.9, 0.1, candidates=("x", "z")), label("c", 0.9, 0.1))
    with pytest.raises(DataError, match=r"id 'a': labels candidates x, z, not x, y\n.*id 'b': no label$"):
        AGREE(given, Evidence(other=second))


def test_nothing_and_one_class_left():
    given = [label("a", 0.9, 0.1), label("b", 0.2, 0.8)]
    with pytest.raises(DataError, match="'agree': none of 2 labels is left; take a second supervisor"):
        AGREE(given, Evidence(other=other(label("a", 0.1, 0.9), label("b", 0.9, 0.1))))
    second = other(label("a", 0.9, 0.1), label("b", 0.9, 0.1))
    with pytest.raises(DataError, match="the 1 of 2 labels that are left say one class"):
        AGREE(given, Evidence(other=second, classes=("x", "y")))
    assert AGREE(given, Evidence(other=second)) == [given[0]]


@pytest.mark.parametrize(
    ("supervisor", "message"),
    [
        ({}, "supervisor.name: is missing; known: chain, "),
        (None, "supervisor: is missing; label transform agree needs it"),
        ("modle", "supervisor.name: no supervisor 'modle'; did you mean 'model'"),
        (["model"], "supervisor: .* is no mapping of keys to values or str"),
        ({"name": "model", "modle": "weak"}, "supervisor.modle: unknown option of supervisor model; did you mean"),
    ],
)
def test_no_supervisor_is_named(supervisor, message):
    with pytest.raises(ConfigError, match=message):
        build("labels", {"name": "agree", "supervisor": supervisor})
