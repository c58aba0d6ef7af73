"""Stages that make, change or select labels without a model, run from the config that a plan writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from w2s_rm.data.distributions import best_candidates
from w2s_rm.data.examples import read_examples
from w2s_rm.data.label_files import WeakLabel, read_labels
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.stages import Examples, Labels, Stage
from w2s_rm.stages.combine import Combine
from w2s_rm.stages.mix import Mix
from w2s_rm.stages.oppose import Oppose
from w2s_rm.stages.portion import Portion
from w2s_rm.stages.prepare import Prepare
from w2s_rm.stages.simulate import Simulate
from w2s_rm.stages.transform import Transform
from w2s_rm.types import Example

OnDisk = Callable[..., Examples]
LabelledBy = Callable[..., Labels]
Run = Callable[[Stage], dict[str, Any]]


def made(stage: Stage) -> list[WeakLabel]:
    return read_labels(stage.folder / "weak_labels.parquet")


def right(examples: Sequence[Example], wrong: Sequence[int] = (), sure: float = 0.9) -> list[float]:
    """Probabilities of first candidates: right and `sure`, but for the examples at the places `wrong`."""
    return [sure if (example.gold == 0) != (n in wrong) else 1 - sure for n, example in enumerate(examples)]


def test_a_transform_keeps_examples_and_labels_one_to_one(
    examples: list[Example], on_disk: OnDisk, labelled_by: LabelledBy, run_stage: Run, tmp_path: Path
) -> None:
    # Sure of 10 examples, two of them wrong; of the other 30 hardly, all right.
    first = [0.9 if n % 4 == 0 else 0.55 if e.gold == 0 else 0.45 for n, e in enumerate(examples)]
    first[4], first[8] = 0.05, 0.05
    given = labelled_by(examples, first)
    keep: list[dict[str, Any]] = [{"name": "keep_confident", "share": 0.25}, {"name": "harden"}]
    stage = Transform(runs=tmp_path, examples=on_disk(examples), labels=given, transforms=keep, seed=0, at_least=10)
    counts = run_stage(stage)
    wanted = [example for n, example in enumerate(examples) if n % 4 == 0]
    assert read_examples(stage.folder / "examples.parquet") == wanted
    labels = made(stage)
    assert [(label.id, label.candidate_ids) for label in labels] == [(e.id, e.candidate_ids) for e in wanted]
    assert [label.probabilities for label in labels] == [(0.0, 1.0) if n in (1, 2) else (1.0, 0.0) for n in range(10)]
    assert [row["id"] for row in pq.read_table(stage.folder / "dataset" / "train.parquet").to_pylist()] == [
        example.id for example in wanted
    ]
    # Of all 40 two are wrong, of the 10 that are kept the same two.
    common = {"name": "keep_confident", "n_before": 40, "n_after": 10, "accuracy_before": 0.95, "accuracy_after": 0.8}
    harden = {"name": "harden", "n_before": 10, "n_after": 10, "accuracy_before": 0.8, "accuracy_after": 0.8}
    assert counts["transforms"] == [common, harden]
    assert (counts["n_given"], counts["n_labelled"], counts["label_accuracy"]) == (40, 10, 0.8)
    assert stage.kept.path == str(stage.folder / "examples.parquet") and stage.kept.maker is stage


@pytest.mark.parametrize("kind", [Transform, Mix, Oppose, Combine])
def test_labels_meet_their_examples_by_id(
    kind: type[Stage], examples: list[Example], on_disk: OnDisk, labelled_by: LabelledBy, run_stage: Run, tmp_path: Path
) -> None:
    own: dict[type[Stage], Callable[[Labels], dict[str, Any]]] = {
        Transform: lambda labels: {"labels": labels, "transforms": [{"name": "harden"}], "seed": 0},
        Mix: lambda labels: {"labels": labels, "n_true": 0, "seed": 0},
        Oppose: lambda labels: {"labels": labels, "strength": 0.1, "seed": 0},
        Combine: lambda labels: {"members": (labels, labels), "how": "vote"},
    }
    turned = labelled_by(examples[::-1], right(examples[::-1], wrong=[0]))
    stage = kind(runs=tmp_path, **{"examples": on_disk(examples), **own[kind](turned)})
    assert run_stage(stage)["label_accuracy"] == 39 / 40
    assert [label.id for label in made(stage)] == [example.id for example in examples]
    fewer = labelled_by(examples[1:], right(examples[1:]), "fewer")
    stage = kind(runs=tmp_path, **{"examples": on_disk(examples), **own[kind](fewer)})
    with pytest.raises(DataError, match="fewer.parquet: do not fit the 40 examples.*\n.*id 'e0': no label"):
        run_stage(stage)


def test_a_temperature_is_fitted_to_validation_labels(
    examples: list[Example], on_disk: OnDisk, labelled_by: LabelledBy, run_stage: Run, tmp_path: Path
) -> None:
    # Sure of everything and right on 30 of 40: at the best temperature each label has the probability 0.75.
    validation = [Example(f"v{e.id}", e.group, e.prompt, e.candidates, e.gold) for e in examples]
    stage = Transform(
        runs=tmp_path,
        examples=on_disk(examples),
        labels=labelled_by(examples, right(examples, wrong=range(20), sure=0.99)),
        transforms=[{"name": "temperature"}],
        validation=labelled_by(validation, right(validation, wrong=range(10), sure=0.99), "validation_labels"),
        validation_examples=on_disk(validation, "validation"),
        seed=0,
    )
    run_stage(stage)
    assert [max(label.probabilities) for label in made(stage)] == pytest.approx([0.75] * 40)
    without = Transform(
        runs=tmp_path, examples=stage.examples, labels=stage.labels, transforms=[{"name": "temperature"}], seed=0
    )
    with pytest.raises(DataError, match="no labels of the validation split.*n_validation"):
        run_stage(without)


def test_agreement_with_a_second_supervisor(
    examples: list[Example], on_disk: OnDisk, labelled_by: LabelledBy, run_stage: Run, tmp_path: Path
) -> None:
    stage = Transform(
        runs=tmp_path,
        examples=on_disk(examples),
        labels=labelled_by(examples, right(examples, wrong=[0, 1])),
        transforms=[{"name": "agree", "supervisor": {"name": "model"}}],
        other=labelled_by(examples, right(examples, wrong=[1, 2, 3]), "other"),
        seed=0,
    )
    counts = run_stage(stage)
    # They differ on 0, 2 and 3; on 1 both are wrong.
    assert [label.id for label in made(stage)] == [e.id for n, e in enumerate(examples) if n not in (0, 2, 3)]
    assert counts["label_accuracy"] == pytest.approx(36 / 37)


def test_fewer_labels_than_a_batch_are_refused(
    examples: list[Example], on_disk: OnDisk, labelled_by: LabelledBy, run_stage: Run, tmp_path: Path
) -> None:
    keep: list[dict[str, Any]] = [{"name": "keep_confident", "share": 0.2}]
    given: dict[str, Any] = {
        "runs": tmp_path,
        "examples": on_disk(examples),
        "labels": labelled_by(examples, right(examples)),
        "transforms": keep,
        "seed": 0,
    }
    stage = Transform(**given, at_least=9)
    with pytest.raises(
        DataError, match=r"^8 of 40 labels are left after keep_confident.*a batch of 9; .*make the batch smaller"
    ):
        run_stage(stage)
    assert not stage.cached
    # The batch is no part of what is computed: the same folder serves a smaller one.
    smaller = Transform(**given, at_least=8)
    assert smaller.folder == stage.folder
    run_stage(smaller)
    assert stage.cached
    with pytest.raises(ConfigError, match="is finished"):
        smaller.run(smaller.arguments())


def test_an_ensembles_manifest_tells_of_its_members(
    examples: list[Example], on_disk: OnDisk, labelled_by: LabelledBy, run_stage: Run, tmp_path: Path
) -> None:
    wrong: list[list[int]] = [[0, 1], [1, 2, 3], [1]]
    members = tuple(labelled_by(examples, right(examples, one), f"member{n}") for n, one in enumerate(wrong))
    stage = Combine(runs=tmp_path, examples=on_disk(examples), members=members, how="vote")
    counts = run_stage(stage)
    assert counts["members"] == 3
    assert counts["member_accuracies"] == [38 / 40, 37 / 40, 39 / 40]
    # Of 0, 2 and 3 one of three pairs agrees, of all others all three pairs.
    assert counts["disagreement"] == pytest.approx(3 * (2 / 3) / 40)
    # Only on 1 is the majority wrong.
    assert counts["label_accuracy"] == 39 / 40
    shares = [max(label.probabilities) for label in made(stage)]
    assert shares == pytest.approx([2 / 3 if n in (0, 2, 3) else 1.0 for n in range(40)])
    assert stage.config()["members"] == [member.path for member in members]
    mean = Combine(runs=tmp_path, examples=stage.examples, members=members, how="mean_probability")
    run_stage(mean)
    assert mean.folder != stage.folder
    assert made(mean)[0].probabilities == pytest.approx(((0.1 + 0.9 + 0.9) / 3, (0.9 + 0.1 + 0.1) / 3))


def test_a_simulated_supervisor_is_exactly_as_right_as_asked(
    examples: list[Example], on_disk: OnDisk, labelled_by: LabelledBy, run_stage: Run, tmp_path: Path
) -> None:
    split = on_disk(examples)
    stage = Simulate(runs=tmp_path, examples=split, accuracy=0.7, errors="random", seed=0)
    assert run_stage(stage)["label_accuracy"] == 28 / 40
    assert {max(label.probabilities) for label in made(stage)} == {0.7}
    other = Simulate(runs=tmp_path, examples=split, accuracy=0.7, errors="random", seed=1)
    assert run_stage(other)["label_accuracy"] == 28 / 40
    assert other.folder != stage.folder and made(other) != made(stage)

    # A model that is less and less sure: it is wrong about the last quarter.
    sure = [0.5 + 0.4 * (40 - n) / 40 for n in range(40)]
    model = labelled_by(examples, [p if e.gold == 0 else 1 - p for e, p in zip(examples, sure, strict=True)])
    hard = Simulate(
        runs=tmp_path, examples=split, accuracy=0.75, errors="hard", difficulty=model, confidence=1.0, seed=0
    )
    assert run_stage(hard)["label_accuracy"] == 0.75
    named = [label.probabilities.index(1.0) == e.gold for label, e in zip(made(hard), examples, strict=True)]
    assert named == [True] * 30 + [False] * 10


def test_errors_by_position_are_by_the_row_of_the_task(tmp_path: Path, run_stage: Run) -> None:
    """The last rows of the file, though the split is in the order of a hash."""
    rows = [{"prompt": f"p{n}", "chosen": f" good {n}", "rejected": f" bad {n}"} for n in range(40)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    task = {"name": "preference", "path": str(tmp_path / "pairs.jsonl")}
    prepared = Prepare(runs=tmp_path, task=task, sizes={"n_train": 20, "n_test": 5}, source="pairs")
    run_stage(prepared)
    split = prepared.examples("relabel")
    stage = Simulate(
        runs=tmp_path, examples=split, accuracy=0.8, errors="systematic", feature="position", task=task, seed=0
    )
    run_stage(stage)
    examples = read_examples(Path(split.path))
    assert [e.prompt for e in examples] != sorted((str(e.prompt) for e in examples), key=lambda p: int(p[1:]))
    pairs = zip(made(stage), examples, strict=True)
    named = {int(str(e.prompt)[1:]): list(best_candidates(label)) == [e.gold] for label, e in pairs}
    assert [named[row] for row in sorted(named)] == [True] * 8 + [False] * 2


def test_a_mixture_holds_as_many_truths_as_asked(
    examples: list[Example], on_disk: OnDisk, labelled_by: LabelledBy, run_stage: Run, tmp_path: Path
) -> None:
    split, given = on_disk(examples), labelled_by(examples, right(examples, wrong=range(40)))
    stage = Mix(runs=tmp_path, examples=split, labels=given, n_true=10, seed=0)
    counts = run_stage(stage)
    assert (counts["n_true"], counts["label_accuracy"]) == (10, 0.25)
    before = read_labels(given.path)
    pairs = zip(examples, before, made(stage), strict=True)
    changed = [e for e, old, new in pairs if old != new]
    assert len(changed) == 10
    after = {label.id: label.probabilities for label in made(stage)}
    assert all(after[example.id] == example.targets for example in changed)


def test_portions_share_no_group_and_make_up_the_split(
    examples: list[Example], on_disk: OnDisk, run_stage: Run, tmp_path: Path
) -> None:
    split, parts = on_disk(examples), []
    for number in range(3):
        stage = Portion(runs=tmp_path, examples=split, number=number, parts=3)
        others = Portion(runs=tmp_path, examples=split, number=number, parts=3, without=True)
        counts = run_stage(stage)
        run_stage(others)
        kept, rest = (read_examples(Path(one.taken.path)) for one in (stage, others))
        assert counts == {"examples": len(kept), "of": 40} and kept
        assert [e for e in examples if e in kept] == kept and [e for e in examples if e not in kept] == rest
        parts.append(kept)
    assert sorted(e.id for part in parts for e in part) == sorted(e.id for e in examples)
    groups = [{e.group for e in part} for part in parts]
    assert sum(map(len, groups)) == len(set().union(*groups)) == 20
    empty = Portion(runs=tmp_path, examples=on_disk(examples[:1], "one"), number=0, parts=99)
    with pytest.raises(
        DataError, match="part 1 of 99 of .*one.parquet is empty: 1 examples in 1 groups; raise n_train"
    ):
        run_stage(empty)
