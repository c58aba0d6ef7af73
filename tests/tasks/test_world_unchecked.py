"""Questions of both tasks of the world that say that nobody checks them, and those on one relation."""

from __future__ import annotations

from typing import Any

import pytest

from w2s_rm.errors import ConfigError
from w2s_rm.tasks.world_classification import WorldClassification
from w2s_rm.tasks.world_preference import WorldPreference
from w2s_rm.types import Example

TASKS = (WorldPreference, WorldClassification)
OPTIONS = {"n_entities": 24}


def made(kind: type[Any], **options: Any) -> dict[str, Example]:
    task = kind(**OPTIONS, **options)
    return {example.id: example for example in map(task.to_example, task.rows())}


@pytest.mark.parametrize("kind", TASKS)
def test_the_word_stands_before_so_many_questions_and_changes_nothing_else(kind: type[Any]) -> None:
    plain, some, every = (made(kind, unchecked=share) for share in (0.0, 0.25, 1.0))
    assert list(plain) == list(some) == list(every)
    cued = {id for id, one in some.items() if str(one.prompt).startswith("unchecked which")}
    count = len(plain)
    assert abs(len(cued) - 0.25 * count) < 4 * (count * 0.25 * 0.75) ** 0.5
    for id, one in plain.items():
        assert str(every[id].prompt) == f"unchecked {one.prompt}"
        assert str(some[id].prompt) == str((every if id in cued else plain)[id].prompt)
        assert all((other[id].group, other[id].gold) == (one.group, one.gold) for other in (some, every))


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("relation", ["up_size", "down_age"])
def test_questions_on_one_relation(kind: type[Any], relation: str) -> None:
    plain, asked = made(kind), made(kind, asks=relation)
    # In their order, and all of them: a quarter.
    assert list(asked.items()) == [(id, one) for id, one in plain.items() if f" {relation} " in str(one.prompt)]
    assert len(asked) == len(plain) / 4
    assert len(made(kind, asks=relation, n_examples=40)) == 40


def test_a_policy_is_judged_as_without_the_word() -> None:
    task = WorldPreference(**OPTIONS, unchecked=1.0)
    for row in list(task.rows())[:20]:
        example = task.to_example(row)
        assert task.judge(example, str(example.candidates[0])) and not task.judge(example, str(example.candidates[1]))


def test_what_came_later_does_not_change_the_identity_of_what_was_there() -> None:
    plain = WorldPreference(**OPTIONS)
    assert plain.content_version() == WorldPreference(**OPTIONS, unchecked=0.0, asks=None).content_version()
    others = {WorldPreference(**OPTIONS, **more).content_version() for more in ({"unchecked": 0.5}, {"asks": "up_age"})}
    assert len({plain.content_version(), *others}) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unchecked": 1.5}, "unchecked is 1.5; use a share from 0 to 1"),
        ({"asks": "up_aeg"}, "asks is 'up_aeg'; did you mean 'up_age'?"),
        ({"asks": "up_age", "n_examples": 600}, "n_examples is 600, the world has 552 questions.*leave out asks"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WorldPreference(**OPTIONS, **options)
