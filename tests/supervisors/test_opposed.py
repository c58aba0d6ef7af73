"""Another supervisor's labels, drawn towards what is wrong."""

from __future__ import annotations

from typing import Any

import pytest


def test_by_default_the_plain_weak_model_is_opposed_and_judged_as_it_is(bench: Any) -> None:
    assert bench.added("opposed") == ["oppose own seed 0"]
    plan = bench.own("opposed", strength=0.4)
    drawn = bench.only(plan, kind="oppose")
    assert (drawn.strength, drawn.pattern) == (0.4, None)
    assert drawn.labels.identity == bench.only(plan, kind="relabel", of="labels").weak_labels.identity
    assert len({one.hash for one in bench.some(plan, kind="evaluate", of="weak")}) == 1


def test_all_labels_that_are_learned_from_or_chosen_by_are_drawn(bench: Any) -> None:
    from w2s_rm.supervisors.opposed import Opposed

    supervision = Opposed().supervise(bench.route(), 0)
    assert [supervision.label(split).maker.kind for split in ("relabel", "validation")] == ["oppose", "oppose"]


def test_its_options_change_the_labels_and_what_follows(bench: Any) -> None:
    for before, after in (({"strength": 0.4}, {"strength": 0.5}), ({"pattern": "a"}, {"pattern": "b"})):
        assert bench.changed("opposed", before, after) == {"oppose", "train", "evaluate"}


def test_of_an_ensemble(bench: Any) -> None:
    given = {"name": "ensemble", "seeds": 2}
    drawn = bench.only(bench.own("opposed", supervisor=given), kind="oppose")
    assert drawn.labels.maker.kind == "combine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": 0.0}, "strength: is 0.0; use a share above 0, at most 1"),
        ({"strength": 1.5}, "strength: is 1.5; use a share above 0, at most 1"),
        ({"pattern": "("}, "pattern: is '(', no regular expression"),
        ({"supervisor": {"name": "modle"}}, "no supervisor 'modle'; did you mean 'model'?"),
    ],
)
def test_bad_input_is_refused_with_the_line(bench: Any, options: dict[str, Any], message: str) -> None:
    assert message in bench.refused("opposed", **options)
