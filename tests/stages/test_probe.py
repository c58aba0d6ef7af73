"""The stage that trains linear models on features: how it chooses, and what reads what it makes."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from w2s_rm.data.label_files import read_labels
from w2s_rm.data.predictions import read_predictions
from w2s_rm.errors import DataError
from w2s_rm.features.linear_model import load_models
from w2s_rm.features.store import read_features, shard_path, write_shard
from w2s_rm.losses.log_confidence import LogConfidence
from w2s_rm.metrics.accuracy import accuracy
from w2s_rm.programs.probe import cross_entropy
from w2s_rm.runs.folder import StageFolder
from w2s_rm.stages import Examples, Features, Labels, Stage
from w2s_rm.stages.evaluate import Evaluate
from w2s_rm.stages.probe import Probe
from w2s_rm.stages.relabel import Relabel
from w2s_rm.types import Example

OnDisk = Callable[..., Examples]
LabelledBy = Callable[..., Labels]
Run = Callable[[Stage], dict[str, Any]]
WIDTH = 6
COUNTS = {"tokens": 99, "cut_prompts": 1, "cut_candidates": 2, "candidates_alike": 0}


def comparisons(prefix: str, count: int) -> list[Example]:
    return [Example(f"{prefix}{n}", f"g{n}", f"prompt {n}", (f" one {n}", f" two {n}"), n % 2) for n in range(count)]


@pytest.fixture
def features(tmp_path: Path) -> Callable[..., Features]:
    """Features of comparisons: in layer 2 the first one tells the right candidate, in layer 1 less well."""

    def write(examples: Sequence[Example], *, constant: bool = False) -> Features:
        folder = StageFolder(tmp_path / f"features-{examples[0].id}{constant}")
        (folder.path / "shards").mkdir(parents=True)
        generator = torch.Generator().manual_seed(len(examples))
        columns = {}
        for layer, noise in ((1, 3.0), (2, 0.5)):
            values = torch.randn(2 * len(examples), WIDTH, generator=generator)
            right = [float(k == example.gold) for example in examples for k in range(2)]
            values[:, 0] = torch.tensor(right) + noise * values[:, 0]
            columns[f"mean.{layer}"] = torch.ones_like(values) if constant else values
        ids = [example.id for example in examples]
        write_shard(shard_path(folder.path / "shards", 0), ids, [2] * len(ids), columns, "key")
        folder.finish(stage="features", counts=COUNTS, config={})
        return Features(str(folder.path / "shards"), f"features:{examples[0].id}:{constant}")

    return write


@pytest.fixture
def train(tmp_path: Path, on_disk: OnDisk, features: Callable[..., Features]) -> Callable[..., Probe]:
    examples, validation = comparisons("train", 120), comparisons("validation", 60)
    of_train, of_validation = features(examples), features(validation)

    def make(**changes: Any) -> Probe:
        given: dict[str, Any] = {
            "runs": tmp_path / "runs",
            "examples": on_disk(examples, "train"),
            "features": of_train,
            "head": "reward",
            "convex": True,
            "layers": [1, 2],
            "pooling": "mean",
            "l2": [1.0, 0.1],
            "learning_rate": 0.01,
            "num_train_epochs": 5.0,
            "batch_size": 16,
            "seed": 0,
            "validation_examples": on_disk(validation, "validation"),
            "validation_features": of_validation,
        }
        return Probe(**{**given, **changes})

    return make


def test_layer_and_penalty_are_those_that_fit_the_validation_labels_best(
    train: Callable[..., Probe], run_stage: Run
) -> None:
    stage = train()
    counts = run_stage(stage)
    assert [(one["layer"], one["l2"]) for one in counts["path"]] == [(1, 1.0), (1, 0.1), (2, 1.0), (2, 0.1)]
    best = min(counts["path"], key=lambda one: one["validation_loss"])
    assert (counts["layer"], counts["l2"]) == (best["layer"], best["l2"]) == (2, 0.1)
    assert best["validation_accuracy"] > 0.8 and best["train_loss"] < 0.5 and best["steps"] > 1
    assert {name: counts[name] for name in COUNTS} == COUNTS and counts["examples"] == 120
    models, chosen = load_models(Path(stage.model.path))
    assert (models[chosen].column, models[chosen].l2) == ("mean.2", 0.1)


def test_a_student_is_chosen_by_its_supervisors_labels(
    train: Callable[..., Probe], run_stage: Run, labelled_by: LabelledBy
) -> None:
    # A supervisor that is wrong everywhere: what it says best fits the layer that tells the truth, upside down.
    wrong = {
        name: labelled_by(examples, [0.1 if example.gold == 0 else 0.9 for example in examples], f"by-{name}")
        for name, examples in (("train", comparisons("train", 120)), ("validation", comparisons("validation", 60)))
    }
    counts = run_stage(train(labels=wrong["train"], validation_labels=wrong["validation"]))
    best = min(counts["path"], key=lambda one: one["validation_loss"])
    assert counts["layer"] == best["layer"] == 2
    # Accuracies are by the truth.
    assert best["validation_accuracy"] < 0.2
    # Trained on wrong labels, chosen by the truth: what is learned is turned round, and the least of it is best.
    by_truth = run_stage(train(labels=wrong["train"]))
    assert (by_truth["layer"], by_truth["l2"]) == (1, 1.0)


def test_scores_labels_and_the_path_of_what_was_chosen(
    train: Callable[..., Probe], run_stage: Run, on_disk: OnDisk, features: Callable[..., Features], tmp_path: Path
) -> None:
    stage, test = train(), comparisons("test", 80)
    run_stage(stage)
    given: dict[str, Any] = {
        "runs": tmp_path / "runs",
        "examples": on_disk(test, "test"),
        "model_name_or_path": stage.model,
        "features": features(test),
        "classes": None,
    }
    evaluation, labelling = Evaluate(**given), Relabel(**given)
    assert not evaluation.loads_model and not evaluation.distributed and evaluation.follows_model is False
    counts, labelled = run_stage(evaluation), run_stage(labelling)
    predictions = read_predictions(evaluation.folder / "predictions.parquet")
    assert predictions.ids == tuple(example.id for example in test)
    assert (counts["layer"], counts["l2"]) == (2, 0.1)
    reached = accuracy(predictions.scores, predictions.gold)
    assert [one["accuracy"] for one in counts["path"]][3] == reached > 0.8
    assert [one["accuracy"] for one in counts["path"]][0] < reached
    labels = read_labels(labelling.folder / "weak_labels.parquet")
    assert [label.scores for label in labels] == list(predictions.scores)
    assert {name: counts[name] for name in COUNTS} == {name: labelled[name] for name in COUNTS} == COUNTS
    assert labelled["label_accuracy"] == reached and labelled["n_labelled"] == 80


def test_nothing_is_left_to_chance_where_the_loss_is_convex(train: Callable[..., Probe]) -> None:
    assert train(seed=1, learning_rate=0.5, batch_size=3).hash == train().hash
    stepwise = {"convex": False, "loss": {"name": "log_confidence"}}
    assert len({train(**stepwise, **change).hash for change in ({}, {"seed": 1}, {"batch_size": 3})}) == 3


def test_any_loss_trains_and_one_value_needs_no_validation(train: Callable[..., Probe], run_stage: Run) -> None:
    alone = {"layers": [2], "l2": [0.01], "validation_examples": None, "validation_features": None}
    counts = run_stage(train(loss={"name": "reverse_kl"}, convex=False, **alone))
    assert (counts["layer"], counts["l2"]) == (2, 0.01)
    assert counts["path"][0]["train_loss"] < 0.6 and "validation_loss" not in counts["path"][0]
    assert counts["path"][0]["steps"] == 38


def weights(stage: Probe) -> torch.Tensor:
    models, chosen = load_models(Path(stage.model.path))
    return models[chosen].weights_OD


def test_a_loss_that_is_not_convex_depends_on_all_that_steers_its_steps(
    train: Callable[..., Probe], run_stage: Run
) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"seed": 1},
        {"learning_rate": 0.02},
        {"batch_size": 40},
        {"num_train_epochs": 6.0},
        {"loss": {"name": "cross_entropy"}},
    ]
    alone = {"layers": [2], "l2": [0.01], "validation_examples": None, "validation_features": None}
    fitted = []
    for change in changes:
        stage = train(**{**alone, "convex": False, "loss": {"name": "reverse_kl"}, **change})
        run_stage(stage)
        fitted.append(weights(stage))
    for number, one in enumerate(fitted):
        assert not any(torch.allclose(one, other) for other in fitted[:number])


def test_features_are_standardised_over_the_examples_that_are_trained_on(
    train: Callable[..., Probe], run_stage: Run
) -> None:
    stage = train()
    run_stage(stage)
    kept = load_file(stage.model.path)
    for name in ("mean.1", "mean.2"):
        ids = [example.id for example in comparisons("train", 120)]
        values_FD = read_features(Path(stage.features.path), name, ids).values_FD.double()
        torch.testing.assert_close(kept[f"mean.{name}"], values_FD.mean(dim=0))
        torch.testing.assert_close(kept[f"std.{name}"], values_FD.std(dim=0, correction=0))


def test_margins_belong_to_the_truth(
    train: Callable[..., Probe], run_stage: Run, on_disk: OnDisk, labelled_by: LabelledBy
) -> None:
    plain = comparisons("train", 120)
    wide = on_disk([dataclasses.replace(example, margin=2.0) for example in plain], "wide")
    truth = labelled_by(plain, [1.0 - float(example.gold or 0) for example in plain], "truth")
    alone = {"layers": [2], "l2": [0.1], "validation_examples": None, "validation_features": None}
    without, with_margins, by_labels = (
        train(**alone),
        train(**alone, examples=wide),
        train(**alone, examples=wide, labels=truth),
    )
    for stage in (without, with_margins, by_labels):
        run_stage(stage)
    assert float(weights(with_margins).norm()) > 1.2 * float(weights(without).norm())
    torch.testing.assert_close(weights(by_labels), weights(without), rtol=0, atol=1e-6)


def test_classes_have_weights_of_their_own_and_a_prior(
    train: Callable[..., Probe], run_stage: Run, on_disk: OnDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = [Example(f"e{n}", f"g{n}", f"prompt {n}", (" no", " yes"), int(n % 4 == 0)) for n in range(60)]
    folder = StageFolder(tmp_path / "of-prompts")
    (folder.path / "shards").mkdir(parents=True)
    values = torch.randn(60, WIDTH, generator=torch.Generator().manual_seed(0))
    values[:, 0] += torch.tensor([2.0 * float(example.gold or 0) for example in examples])
    ids = [example.id for example in examples]
    write_shard(shard_path(folder.path / "shards", 0), ids, [1] * 60, {"mean.2": values}, "key")
    folder.finish(stage="features", counts=COUNTS, config={})
    read = Features(str(folder.path / "shards"), "features:prompts")
    given: dict[str, Any] = {"examples": on_disk(examples, "prompts"), "features": read, "head": "classification"}
    given |= {"layers": [2], "l2": [0.01], "validation_examples": None, "validation_features": None}
    stage = train(**given, classes=[" no", " yes"])
    run_stage(stage)
    models, chosen = load_models(Path(stage.model.path))
    assert models[chosen].weights_OD.shape == (2, WIDTH) and models[chosen].classes
    # Three in four are the first class.
    assert float(models[chosen].bias_O[0]) > float(models[chosen].bias_O[1])
    asked = []
    original = LogConfidence.batch_statistics

    def watched(self: LogConfidence, *batch: torch.Tensor) -> torch.Tensor:
        asked.append(len(batch[0]))
        return original(self, *batch)

    monkeypatch.setattr(LogConfidence, "batch_statistics", watched)
    stepwise: dict[str, Any] = {"convex": False, "loss": {"name": "log_confidence"}}
    run_stage(train(**given, classes=[" no", " yes"], **stepwise))
    assert asked == [16] * 19
    # Candidates that are exchangeable have no prior.
    run_stage(train(**stepwise))
    assert len(asked) == 19


def test_features_that_do_not_fit_are_one_message(
    train: Callable[..., Probe], run_stage: Run, features: Callable[..., Features]
) -> None:
    with pytest.raises(DataError, match=r"mean\.1: all 6 features are the same for all 240 rows"):
        run_stage(train(features=features(comparisons("train", 120), constant=True)))
    with pytest.raises(DataError, match="does not hold the features of all 120 examples\n  - id 'train0': no features"):
        run_stage(train(features=features(comparisons("other", 5))))


def test_the_manifest_is_plain(train: Callable[..., Probe], run_stage: Run) -> None:
    stage = train()
    run_stage(stage)
    manifest = json.loads((stage.folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["stage"] == "probe" and manifest["hash"] == stage.hash


def test_cross_entropy_by_hand() -> None:
    # softmax(0, log 3) = (1/4, 3/4): half of -log(1/4) and half of -log(3/4); and log 3 for three that are alike.
    value = cross_entropy([(0.0, math.log(3)), (1000.0, 1000.0, 1000.0)], [(0.5, 0.5), (0.0, 1.0, 0.0)])
    assert value == pytest.approx((0.5 * math.log(4) + 0.5 * math.log(4 / 3) + math.log(3)) / 2)
