"""From a mapping to a component, with all mistakes at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from w2s_rm import catalog
from w2s_rm.errors import ConfigError, OptionError
from w2s_rm.labels.agree import Agree
from w2s_rm.losses.log_confidence import LogConfidence
from w2s_rm.options import (
    Mistake,
    build,
    build_options,
    known_mistakes,
    mistakes,
    named,
    option_mistakes,
    type_problem,
)
from w2s_rm.supervisors.mixture import Mixture


@dataclass(frozen=True)
class Sample:
    size: int
    share: float = 0.5
    names: list[str] | None = None
    loss: Mapping[str, Any] | str = field(default="cross_entropy", metadata={"component": "losses"})

    def __post_init__(self) -> None:
        wrong = {name: "is negative; use 0 or more" for name in ("size", "share") if getattr(self, name) < 0}
        if wrong:
            raise OptionError("sample", wrong)
        if self.size > 9 and self.share > 0.5:
            raise ConfigError("too much\n  of both")


def found(**given: Any) -> list[str]:
    return [str(mistake) for mistake in option_mistakes(Sample, given, "a sample")]


def test_a_name_or_a_mapping() -> None:
    assert build("losses", "log_confidence") == LogConfidence()
    assert build("losses", {"name": "log_confidence", "max_weight": 1}) == LogConfidence(max_weight=1)
    assert named("entropy") == {"name": "entropy"}
    given = {"name": "entropy"}
    assert named(given) == given and named(given) is not given


def test_what_is_built_is_not_changed() -> None:
    given = {"name": "mixture", "n_true": 3, "supervisor": {"name": "model"}}
    assert build("supervisors", given) == Mixture(3, {"name": "model"})
    assert given == {"name": "mixture", "n_true": 3, "supervisor": {"name": "model"}}


@pytest.mark.parametrize("kind", ["tasks", "losses", "labels", "supervisors", "preparations", "corpora"])
def test_every_kind_says_which_names_there_are(kind: catalog.Kind) -> None:
    (missing,) = mistakes(kind, {})
    assert str(missing) == f"name: is missing; known: {', '.join(catalog.names(kind))}"
    for name in catalog.names(kind):
        (unknown,) = mistakes(kind, f"{name}z")
        assert unknown.path == ("name",) and f"no {catalog.singular(kind)} '{name}z'; did you mean " in unknown.text


@pytest.mark.parametrize("kind", ["tasks", "losses", "labels", "supervisors", "preparations", "corpora"])
def test_every_component_says_which_options_there_are(kind: catalog.Kind) -> None:
    for name in catalog.names(kind):
        subject = f"{catalog.singular(kind)} {name}"
        for option in dataclasses.fields(catalog.lookup(kind, name)):
            wrong = map(str, mistakes(kind, {"name": name, f"{option.name}z": 1}))
            assert any(line.startswith(f"{option.name}z: unknown option of {subject}; did you mean ") for line in wrong)


def test_all_mistakes_at_once() -> None:
    assert found(shar=1, share="half", names=["a", 3], loss={"name": "entropi"}) == [
        "size: is missing; a sample needs it",
        "shar: unknown option of a sample; did you mean 'share'?",
        "share: 'half' is no float",
        "names: 3 in ['a', 3] is no str",
        "loss.name: no loss 'entropi'; did you mean 'entropy'?",
    ]


def test_ranges_are_said_by_option() -> None:
    assert found(size=-1, share=-1, loss={"name": "log_confidence", "max_weight": 2}) == [
        "size: is negative; use 0 or more",
        "share: is negative; use 0 or more",
        "loss.max_weight: is 2; give a number in [0, 1]",
    ]


def test_what_only_options_together_show_has_no_path() -> None:
    assert option_mistakes(Sample, {"size": 10, "share": 1}, "a sample") == [Mistake((), "too much\n  of both")]


def test_null_is_no_value_of_a_required_option() -> None:
    assert found(size=None) == ["size: is missing; a sample needs it"]
    assert found(size=1, names=None) == []


def test_a_component_inside_is_not_asked_where_it_is_none() -> None:
    assert found(size=1, loss=["entropy"]) == ["loss: ['entropy'] is no mapping of keys to values or str"]


def test_components_inside_components() -> None:
    inner = {"name": "mixture", "n_true": 0, "supervisor": {"name": "ensemble", "seed": 3}}
    assert [mistake.path for mistake in mistakes("labels", {"name": "agree", "supervisor": inner})] == [
        ("supervisor", "n_true"),
        ("supervisor", "supervisor", "seed"),
    ]
    assert build("labels", {"name": "agree", "supervisor": "model"}) == Agree("model")


def test_build_raises_all_mistakes() -> None:
    with pytest.raises(ConfigError) as caught:
        build("supervisors", {"name": "simulated", "accuracy": 2, "errors": "harde", "confidence": 0})
    assert str(caught.value).split("\n") == [
        "supervisor simulated:",
        "  - accuracy: is 2; use a share from 0 to 1",
        "  - confidence: is 0; use a probability above 0, at most 1",
        "  - errors: is 'harde'; did you mean 'hard'?",
    ]
    with pytest.raises(ConfigError, match=r"^loss:\n  - name: is missing; known: "):
        build("losses", {})
    with pytest.raises(ConfigError, match=r"^a sample:\n  - size: is missing; a sample needs it$"):
        build_options(Sample, {}, "a sample")
    assert build_options(Sample, {"size": 1}, "a sample") == Sample(1)


def test_options_of_a_table() -> None:
    known = {"rate": "float | None", "steps": "int"}
    assert known_mistakes({"rate": None, "steps": 3}, known) == []
    assert known_mistakes({"steps": True, "rat": 1}, known) == [
        Mistake(("rat",), "unknown option; did you mean 'rate'?"),
        Mistake(("steps",), "True is no int"),
    ]
    hinted = known_mistakes({"x": 1}, known, "dpo", lambda name, words: f"{name} is none of {len(words)}")
    assert hinted == [Mistake(("x",), "unknown option of dpo; x is none of 2")]
    assert known_mistakes({"x": 1}, {}) == [Mistake(("x",), "unknown option; there are none")]


@pytest.mark.parametrize(
    ("value", "annotation", "problem"),
    [
        (1, "int", None),
        (1, "float", None),
        (1.0, "int", "1.0 is no int"),
        (True, "int", "True is no int"),
        (True, "bool", None),
        (1, "bool", "1 is no bool"),
        (None, "int", "None is no int"),
        (None, "int | None", None),
        ("a", "int | None", "'a' is no int"),
        (1, "dict | str | None", "1 is no dict or str"),
        ("a", "Mapping[str, Any]", "'a' is no mapping of keys to values"),
        ({}, "Mapping[str, Any]", None),
        ([], "list[str]", None),
        (["a", 2], "list[str] | None", "2 in ['a', 2] is no str"),
        (["a", 2], "list[str | int] | None", None),
        ([2.5, 1], "list[str | int]", "2.5 in [2.5, 1] is no str or int"),
        ([["a"]], "list[list[int]]", "['a'] in [['a']] is no list"),
        ("a", "list[str] | str", None),
        (3, "Path", None),
        (3, "tuple[int, ...] | None", None),
        ([3], "list[Path] | str", None),
        ("x", "Literal['a', 'b']", None),
    ],
)
def test_types(value: Any, annotation: str, problem: str | None) -> None:
    assert type_problem(value, annotation) == problem


def test_annotations_that_are_types() -> None:
    """A module without postponed annotations has the same checks."""
    kind = dataclasses.make_dataclass("Plain", [("size", int), ("names", list[str] | None, None)])
    assert [str(one) for one in option_mistakes(kind, {"size": "x", "names": [1]}, "it")] == [
        "size: 'x' is no int",
        "names: 1 in [1] is no str",
    ]
