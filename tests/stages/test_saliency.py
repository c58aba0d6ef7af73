"""The stage that looks for a supervisor's mistakes in features: what it can find, and what it must not know."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from w2s_rm.data.predictions import read_predictions
from w2s_rm.features.store import shard_path, write_shard
from w2s_rm.metrics.discrimination import area_under_roc
from w2s_rm.programs.saliency import mistakes
from w2s_rm.runs.folder import StageFolder
from w2s_rm.stages import Examples, Features, Labels, Stage
from w2s_rm.stages.saliency import Saliency
from w2s_rm.types import Example

OnDisk = Callable[..., Examples]
LabelledBy = Callable[..., Labels]
Run = Callable[[Stage], dict[str, Any]]
WIDTH, N_TRAIN, N_TEST = 5, 400, 200


def comparisons(prefix: str, count: int) -> list[Example]:
    return [
        Example(f"{prefix}{n}", f"{prefix}{n // 2}", f"p {n}", (f" one {n}", f" two {n}"), n % 2) for n in range(count)
    ]


@pytest.fixture
def features(tmp_path: Path) -> Callable[..., Features]:
    """Features of which the mean over candidates tells where the supervisor errs in layer 2, and nothing in layer 1.

    The difference of the candidates tells the right one, as a strong model's does.
    """

    def write(examples: Sequence[Example], errs: np.ndarray) -> Features:
        folder = StageFolder(tmp_path / f"features-{examples[0].id}")
        (folder.path / "shards").mkdir(parents=True)
        generator = torch.Generator().manual_seed(len(examples))
        columns = {}
        for layer in (1, 2):
            values = torch.randn(2 * len(examples), WIDTH, generator=generator)
            values[:, 0] = torch.tensor([float(k == example.gold) for example in examples for k in range(2)])
            if layer == 2:
                values[:, 1] = 0.7 * values[:, 1] + torch.tensor(np.repeat(errs, 2)).float()
            columns[f"last.{layer}"] = values
        write_shard(
            shard_path(folder.path / "shards", 0), [e.id for e in examples], [2] * len(examples), columns, "key"
        )
        folder.finish(stage="features", counts={}, config={})
        return Features(str(folder.path / "shards"), f"features:{examples[0].id}")

    return write


def first(examples: Sequence[Example], errs: np.ndarray) -> list[float]:
    """What a supervisor says of the first candidates that is wrong where it errs."""
    return [0.9 if (example.gold == 0) != wrong else 0.1 for example, wrong in zip(examples, errs, strict=True)]


@pytest.fixture
def stage(
    tmp_path: Path, on_disk: OnDisk, labelled_by: LabelledBy, features: Callable[..., Features]
) -> Callable[..., Saliency]:
    examples, test = comparisons("train", N_TRAIN), comparisons("test", N_TEST)
    errs, test_errs = (np.random.default_rng(n).random(len(some)) < 0.3 for n, some in ((0, examples), (1, test)))
    given: dict[str, Any] = {
        "runs": tmp_path / "runs",
        "examples": on_disk(examples, "train"),
        "features": features(examples, errs),
        "labels": labelled_by(examples, first(examples, errs)),
        "test_examples": on_disk(test, "test"),
        "test_features": features(test, test_errs),
        "layers": [1, 2],
        "pooling": "last",
        "l2": [1.0, 0.01],
    }
    return lambda **changes: Saliency(**{**given, **changes})


def area(stage: Saliency) -> float:
    """How well it tells where the supervisor errs on the test examples, of which it was told nothing."""
    said = read_predictions(Path(stage.scores.path))
    assert said.ids == tuple(f"test{n}" for n in range(N_TEST)) and set(said.gold) == {None}
    errs = np.random.default_rng(1).random(N_TEST) < 0.3
    scores = np.array([[wrong - right for right, wrong in said.scores]])
    return area_under_roc(scores, errs[None], said.ids).value


def test_it_finds_the_mistakes_in_the_layer_that_tells_them(stage: Callable[..., Saliency], run_stage: Run) -> None:
    made = stage()
    counts = run_stage(made)
    assert counts["column"] == "last.2" and counts["examples"] == N_TRAIN
    assert counts["mistakes"] == (np.random.default_rng(0).random(N_TRAIN) < 0.3).sum()
    assert [(one["column"], one["l2"]) for one in counts["path"]] == [
        ("last.1", 1.0), ("last.1", 0.01), ("last.2", 1.0), ("last.2", 0.01)
    ]  # fmt: skip
    best = min(counts["path"], key=lambda one: one["held_out_loss"])
    assert (best["column"], best["l2"]) == (counts["column"], counts["l2"])
    assert area(made) > 0.75


def test_what_the_right_answer_is_tells_no_mistakes(stage: Callable[..., Saliency], run_stage: Run) -> None:
    # Layer 1 knows the truth of every example; which of them the supervisor gets wrong, it does not.
    made = stage(layers=[1])
    run_stage(made)
    assert 0.35 < area(made) < 0.65


def test_a_supervisor_that_never_errs_tells_nothing(
    stage: Callable[..., Saliency], run_stage: Run, labelled_by: LabelledBy
) -> None:
    examples = comparisons("train", N_TRAIN)
    right = labelled_by(examples, first(examples, np.zeros(N_TRAIN, dtype=bool)), "right")
    made = stage(labels=right)
    counts = run_stage(made)
    assert counts == {"examples": N_TRAIN, "mistakes": 0.0}
    assert set(read_predictions(Path(made.scores.path)).scores) == {(0.0, 0.0)}


def test_a_mistake_is_a_wrong_most_probable_candidate_and_a_tie_half_of_one(labelled_by: LabelledBy) -> None:
    examples = [*comparisons("train", 3), Example("unknown", "g", "p", (" a", " b"), None)]
    labels = labelled_by(examples, [0.9, 0.9, 0.5, 0.9])
    assert mistakes(examples, labels.path) == [0.0, 1.0, 0.5, None]


def test_its_hash_is_of_what_it_reads(stage: Callable[..., Saliency]) -> None:
    made = stage()
    assert dataclasses.replace(made, seed=3, method="other").hash == made.hash
    other = dataclasses.replace(made.labels, identity="other")
    assert len({made.hash, stage(l2=[1.0]).hash, stage(labels=other).hash}) == 3
    made.write_config()
    assert json.loads(json.dumps(made.config()))["layers"] == [1, 2]
