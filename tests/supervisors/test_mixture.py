"""Another supervisor's labels, and the truth of a few examples."""

from __future__ import annotations

from typing import Any

import pytest


def test_by_default_the_plain_weak_model_is_mixed_and_judged(bench: Any) -> None:
    assert bench.added("mixture", n_true=3) == ["mix own seed 0"]
    plan = bench.own("mixture", n_true=3)
    mixed = bench.only(plan, kind="mix")
    assert mixed.labels.identity == bench.only(plan, kind="relabel", of="labels").weak_labels.identity
    judged = {one.hash for one in bench.some(plan, kind="evaluate", of="weak")}
    assert len(judged) == 1


def test_only_what_students_are_trained_on_is_mixed(bench: Any) -> None:
    from w2s_rm.supervisors.mixture import Mixture

    label = Mixture(3).supervise(bench.route(), 0).label
    assert [label(split).maker.kind for split in ("relabel", "validation", "test")] == ["mix", "relabel", "relabel"]


def test_the_number_changes_the_mixture_and_what_follows(bench: Any) -> None:
    assert bench.changed("mixture", {"n_true": 3}, {"n_true": 4}) == {"mix", "train", "evaluate"}


def test_of_an_ensemble(bench: Any) -> None:
    given = {"name": "ensemble", "seeds": 2}
    mixed = bench.only(bench.own("mixture", n_true=3, supervisor=given), kind="mix")
    assert mixed.labels.maker.kind == "combine"
    plain = bench.only(bench.own("ensemble", seeds=2), kind="combine", of="labels")
    assert mixed.labels.maker.hash == plain.hash


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "n_true: is missing"),
        ({"n_true": 0}, "n_true: is 0; use 1 or more"),
        ({"n_true": 2.5}, "n_true: 2.5 is no int"),
        ({"n_true": 13}, "n_true: is 13, and students are trained on 12 examples; use fewer, or raise n_train"),
        ({"n_true": 3, "supervisor": {"name": "modle"}}, "no supervisor 'modle'; did you mean 'model'?"),
        ({"n_true": 3, "supervisor": {"name": "ensemble", "seeds": 1}}, "an ensemble has two or more"),
        ({"n_true": 3, "supervisor": {"name": "model", "model": "weka"}}, "no model 'weka' in this recipe"),
    ],
)
def test_bad_input_is_refused_with_the_line(bench: Any, options: dict[str, Any], message: str) -> None:
    assert message in bench.refused("mixture", **options)
