"""The knobs of both tasks of the world: recorded answers that are wrong, and questions on close entities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from w2s_rm.errors import ConfigError, OptionError
from w2s_rm.tasks.world_classification import WorldClassification
from w2s_rm.tasks.world_preference import WorldPreference
from w2s_rm.types import Example

TASKS = (WorldPreference, WorldClassification)
OPTIONS = {"n_entities": 24}
Made = dict[str, Example]


def made(kind: type[Any], **options: Any) -> Made:
    task = kind(**OPTIONS, **options)
    return {example.id: example for example in map(task.to_example, task.rows())}


def wrong(kind: type[Any], **options: Any) -> set[str]:
    """Ids of the examples whose record differs from the truth, whatever the order of candidates."""
    truth = made(kind)
    return {id for id, one in made(kind, **options).items() if best(one) != best(truth[id])}


def best(example: Example) -> object:
    assert example.gold is not None
    return example.candidates[example.gold]


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("how", ["even", "close"])
def test_the_share_of_wrong_records(kind: type[Any], how: str) -> None:
    count = len(made(kind))
    few, many = (wrong(kind, noise=noise, noise_kind=how) for noise in (0.1, 0.3))
    # Of each example by itself: standard deviation at most sqrt(N p (1 - p)).
    for found, noise in ((few, 0.1), (many, 0.3)):
        assert abs(len(found) - noise * count) < 4 * math.sqrt(count * noise * (1 - noise))
    assert few < many, "more noise adds to the errors of less"


@pytest.mark.parametrize("kind", TASKS)
def test_nothing_else_changes(kind: type[Any]) -> None:
    plain, noisy = made(kind), made(kind, noise=0.3)
    assert list(plain) == list(noisy)
    for id, one in noisy.items():
        assert (one.prompt, one.group, set(one.candidates)) == (
            plain[id].prompt,
            plain[id].group,
            {*plain[id].candidates},
        )
    assert list(made(kind, noise=0.3, n_examples=40).values()) == list(noisy.values())[:40]


def test_even_noise_knows_no_distance_and_close_noise_follows_bradley_and_terry() -> None:
    world = WorldPreference(**OPTIONS).world
    facts = {
        f"{'size' if fact.attribute == 0 else 'age'}-{min(fact[1:])}-{max(fact[1:])}": fact for fact in world.facts()
    }
    apart = {id: world.apart(facts[one.group]) for id, one in made(WorldPreference).items()}
    for how, ratio in (("even", 1.0), ("close", None)):
        found = wrong(WorldPreference, noise=0.2, noise_kind=how)
        shares = [np.mean([id in found for id in apart if apart[id] in band]) for band in (range(1, 4), range(12, 24))]
        if ratio is None:
            # The odds of an error at 1 and 2 ranks apart have the quotient exp(1/t), for every two neighbours.
            t = solved([*apart.values()], 0.2)
            expected = [
                np.mean([1 / (1 + math.exp(d / t)) for d in apart.values() if d in band])
                for band in (range(1, 4), range(12, 24))
            ]
            assert shares == pytest.approx(expected, abs=0.05) and shares[0] > 3 * shares[1]
        else:
            assert shares == pytest.approx([0.2, 0.2], abs=0.05)


def solved(apart: list[int], noise: float) -> float:
    """Find `t` on a fine grid."""
    grid = np.geomspace(0.1, 100, 4000)
    means = [np.mean(1 / (1 + np.exp(np.array(apart) / t))) for t in grid]
    return float(grid[np.argmin(np.abs(np.array(means) - noise))])


@pytest.mark.parametrize("kind", TASKS)
def test_close_entities_alone(kind: type[Any]) -> None:
    close = made(kind, closest=2)
    # 23 neighbours and 22 at two ranks, on two attributes.
    assert len(close) == 2 * (23 + 22) * kind.wordings
    assert close.items() <= made(kind).items()


def test_a_policy_is_judged_by_the_truth() -> None:
    task = WorldPreference(**OPTIONS, noise=0.4)
    bad = wrong(WorldPreference, noise=0.4)
    for id, one in made(WorldPreference, noise=0.4).items():
        assert task.judge(one, str(best(one))) == (id not in bad)


@pytest.mark.parametrize("kind", TASKS)
def test_out_of_range(kind: type[Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        kind(noise=0.5, noise_kind="clos", closest=0)
    text = str(caught.value)
    assert "noise is 0.5; use a share from 0 to below 0.5" in text and "did you mean 'close'?" in text
    assert "closest is 0; use 1 (neighbours) or more" in text
    with pytest.raises(ConfigError, match="raise n_entities, n_attributes or closest"):
        kind(n_entities=4, n_attributes=1, closest=1, n_examples=3 * kind.wordings + 1)
    for wrong, message in (
        ({"noise_kind": 3, "noise": 0.1}, "noise_kind is 3; known: close, even"),
        ({"noise_kind": ["close"], "noise": 0.1}, "noise_kind is .*'close'.*; did you mean"),
        ({"n_entities": 9, "closest": 9}, "closest is 9, and 9 entities are 8 ranks apart at most: use 1 to 8"),
        ({"world_seed": -1}, "world_seed is -1: set 0 or more"),
        ({"n_entities": 5000}, "n_entities is 5000: set at most 1000"),
    ):
        with pytest.raises(OptionError, match=message):
            kind(**wrong)
    assert len({kind(**one).content_version() for one in ({}, {"noise": 0.1}, {"closest": 3})}) == 3
