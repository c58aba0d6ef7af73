"""What every preparation must do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from w2s_rm import catalog, options
from w2s_rm.preparations import Preparation
from w2s_rm.stages.train import Train

NAMES = catalog.names("preparations")
NEEDED: dict[str, dict[str, Any]] = {"freeze": {"layers": 1}}


@pytest.fixture(params=NAMES)
def preparation(request: pytest.FixtureRequest) -> Preparation:
    made: Preparation = options.build("preparations", {"name": request.param, **NEEDED.get(request.param, {})})
    return made


def test_it_says_what_it_is_and_where_from(preparation: Preparation) -> None:
    kind = type(preparation)
    assert kind.__doc__ and "arXiv" in kind.__doc__
    assert all(f"{option.name} (" in kind.__doc__ for option in dataclasses.fields(kind))  # type: ignore[arg-type]
    assert kind(**vars(preparation)) == preparation


def test_it_prepares_without_changing_what_is_learned(
    preparation: Preparation,
    training: Callable[..., Train],
    tiny_language_model: Callable[..., str],
    route: Any,
) -> None:
    plain = training(tiny_language_model())
    prepared = preparation.prepare(route, plain)
    assert prepared.folder != plain.folder
    for name in ("examples", "labels", "loss", "head", "options", "of", "method", "seed", "part", "runs", "launch"):
        assert getattr(prepared, name) == getattr(plain, name)
    # Pure: the same again, and the training that it was given stays.
    assert preparation.prepare(route, plain).folder == prepared.folder
    assert plain.folder == training(tiny_language_model()).folder
    # What it puts before is nobody's student, so that reports do not take it for one.
    before = [stage for stage in prepared.needs if stage not in plain.needs]
    assert all(stage.of != "student" and stage.seed in (None, plain.seed) for stage in before)


def test_student_and_ceiling_differ_in_labels_alone(
    preparation: Preparation, training: Callable[..., Train], tiny_language_model: Callable[..., str], route: Any
) -> None:
    student = preparation.prepare(route, training(tiny_language_model()))
    ceiling = preparation.prepare(route, dataclasses.replace(training(tiny_language_model()), of="ceiling"))
    # A role is no part of what is computed: on the same labels they are one.
    assert ceiling.folder == student.folder
