"""What every label transform keeps, whatever it does: a new file in `labels/` is picked up by itself."""

import copy
import dataclasses
import inspect
import math
import pickle
import random

import pytest
import yaml

from w2s_rm import catalog
from w2s_rm.data.distributions import reordered, with_log_probabilities
from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.labels import Evidence, LabelTransform, transform_labels
from w2s_rm.types import Step, text_hash

NAMES = catalog.names("labels")
# Values for options without a default, by their names.
REQUIRED = {"supervisor": {"model_name_or_path": "somebody"}}
CLASSES = ("no", "yes", "maybe")


def make(name: str) -> LabelTransform:
    transform = catalog.lookup("labels", name)
    options = {
        field.name: REQUIRED[field.name]
        for field in dataclasses.fields(transform)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    return transform(**options)


@pytest.fixture(params=NAMES)
def transform(request: pytest.FixtureRequest) -> LabelTransform:
    return make(request.param)


def label(id: str, candidate_ids: tuple[str, ...], draw: random.Random, *, scored: bool) -> WeakLabel:
    values = [draw.gauss(0, 2) for _ in candidate_ids]
    made = with_log_probabilities(WeakLabel(id, candidate_ids, ()), values)
    return dataclasses.replace(made, scores=tuple(values) if scored else None)


def case(*, classes: bool, scored: bool, n: int = 60) -> tuple[list[WeakLabel], Evidence]:
    """Labels of fixed classes, or of two to five exchangeable candidates, with all that a transform may look at."""
    draw = random.Random(0)
    names = tuple(map(text_hash, CLASSES))

    def labels(prefix: str) -> list[WeakLabel]:
        return [
            label(
                f"{prefix}{i}",
                names if classes else tuple(f"{prefix}{i}c{k}" for k in range(2 + i % 4)),
                draw,
                scored=scored,
            )
            for i in range(n)
        ]

    given, validation = labels("train"), labels("validation")
    # Right in two of three: a temperature can be fitted.
    truth = [
        (one, one.probabilities.index((max if i % 3 else min)(one.probabilities))) for i, one in enumerate(validation)
    ]
    # Solutions of three steps.
    places = {one.id: Step(f"s{i // 3}", i % 3, i % 3 == 2, ()) for i, one in enumerate(given)}
    other = {one.id: label(one.id, one.candidate_ids, draw, scored=scored) for one in given}
    return given, Evidence(truth, other, CLASSES if classes else None, seed=3, places=places)


Situation = tuple[LabelTransform, list[WeakLabel], Evidence]
SITUATIONS = [
    (name, kind)
    for name in NAMES
    for kind in ("classes", "candidates")
    if kind == "classes" or "classes" not in make(name).needs
]


@pytest.fixture(params=SITUATIONS, ids="-".join)
def situation(request: pytest.FixtureRequest) -> Situation:
    name, kind = request.param
    return make(name), *case(classes=kind == "classes", scored=True)


def test_the_catalog_holds_the_transforms_of_the_documentation():
    assert set(NAMES) >= {"agree", "balance", "harden", "keep_confident", "shuffle", "temperature"}


def test_is_a_frozen_dataclass_with_the_signature_of_the_protocol(transform):
    assert dataclasses.is_dataclass(transform)
    with pytest.raises(dataclasses.FrozenInstanceError):
        transform.anything = 1
    assert inspect.signature(type(transform).__call__) == inspect.signature(LabelTransform.__call__)
    assert transform.needs <= {"validation", "other", "classes", "places"}


def test_docstring_names_its_source_and_every_option(transform):
    text = inspect.getdoc(type(transform))
    assert "Source: " in text
    for field in dataclasses.fields(transform):
        assert f"{field.name} (`" in text


def test_options_round_trip_through_yaml_and_pickle(transform):
    written = yaml.safe_load(yaml.safe_dump(dataclasses.asdict(transform)))
    assert type(transform)(**written) == transform
    assert pickle.loads(pickle.dumps(transform)) == transform
    hash(transform)


def test_ids_are_a_subset_in_the_same_order_with_the_same_candidates(situation):
    transform, labels, evidence = situation
    made = transform(labels, evidence)
    kept = {one.id for one in made}
    assert [one.id for one in made] == [one.id for one in labels if one.id in kept]
    by_id = {one.id: one for one in labels}
    assert all(one.candidate_ids == by_id[one.id].candidate_ids for one in made)


@pytest.mark.parametrize("scored", [True, False])
def test_labels_are_distributions_and_scores_are_their_logarithms(situation, scored):
    transform, _, evidence = situation
    labels, evidence = case(classes=evidence.classes is not None, scored=scored)
    by_id = {one.id: one for one in labels}
    for one in transform(labels, evidence):
        assert isinstance(one, WeakLabel)
        assert all(0 <= p <= 1 for p in one.probabilities)
        assert math.fsum(one.probabilities) == pytest.approx(1, abs=1e-12)
        if one.probabilities != by_id[one.id].probabilities and one.scores is not None:
            logs = [score - max(one.scores) for score in one.scores]
            highest = math.log(max(one.probabilities))
            assert logs == pytest.approx([math.log(p) - highest for p in one.probabilities], abs=1e-9)


def test_does_not_change_its_input_and_gives_the_same_twice(situation):
    transform, labels, evidence = situation
    before = copy.deepcopy((labels, evidence))
    first = transform(labels, evidence)
    assert (labels, evidence) == before
    assert transform(labels, evidence) == first
    assert transform(tuple(labels), evidence) == first


def test_the_order_of_labels_does_not_matter(situation):
    transform, labels, evidence = situation
    expected = {one.id: one for one in transform(labels, evidence)}
    mixed = labels[:]
    random.Random(1).shuffle(mixed)
    evidence = dataclasses.replace(
        evidence, validation=evidence.validation[::-1], other=dict(reversed(evidence.other.items()))
    )
    assert {one.id: one for one in transform(mixed, evidence)} == expected


def test_the_order_of_candidates_does_not_matter(situation):
    transform, labels, evidence = situation
    expected = {
        one.id: dict(zip(one.candidate_ids, one.probabilities, strict=True)) for one in transform(labels, evidence)
    }
    turned = [reordered(one, one.candidate_ids[::-1]) for one in labels]
    made = {one.id: dict(zip(one.candidate_ids, one.probabilities, strict=True)) for one in transform(turned, evidence)}
    assert made.keys() == expected.keys()
    for id, probabilities in expected.items():
        assert made[id] == pytest.approx(probabilities, abs=1e-12)


def test_nothing_to_transform_is_an_error(situation):
    transform, _, evidence = situation
    with pytest.raises(DataError, match="there are no labels to transform"):
        transform([], evidence)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda labels: [labels[0], *labels], "id 'train0': 2 labels"),
        (lambda labels: [dataclasses.replace(labels[0], probabilities=()), *labels[1:]], "id 'train0': .* 0 probabil"),
        (
            lambda labels: [
                dataclasses.replace(labels[0], probabilities=(math.nan,) * len(labels[0].probabilities)),
                *labels[1:],
            ],
            "id 'train0': probability nan",
        ),
    ],
)
def test_labels_that_are_none_are_named(situation, break_it, message):
    transform, labels, evidence = situation
    with pytest.raises(DataError, match=message):
        transform(break_it(labels), evidence)


def test_what_it_needs_is_missed(transform):
    labels, _ = case(classes=True, scored=True)
    if transform.needs:
        with pytest.raises((ConfigError, DataError)):
            transform(labels, Evidence())
    else:
        assert transform(labels, Evidence(classes=CLASSES))


def test_goes_through_transform_labels(situation):
    transform, labels, evidence = situation
    made, (count,) = transform_labels(labels, [transform], evidence)
    assert made == transform(labels, evidence)
    assert (catalog.class_name(count.name), count.n_before) == (type(transform).__name__, len(labels))
    assert count.n_after == len(made)
