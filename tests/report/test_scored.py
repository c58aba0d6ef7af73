"""What models and labels say, read from the files of a run: each once, by seed, with groups where these are on file."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sealing import reseal

from w2s_rm.data.label_files import WeakLabel, write_labels
from w2s_rm.report.scored import read_labels, read_scored, title
from w2s_rm.runs.plan import read_run

MakeRun = Callable[..., Path]
Answers = Callable[..., list[float]]
Put = Callable[..., Path]
GROUPS = [f"g{i // 5}" for i in range(100)]


@pytest.fixture
def run(make_run: MakeRun, answers: Answers, put_examples: Put) -> Path:
    students = {"naive": [answers(75), answers(76)], "other": [answers(80)] * 2}
    run = make_run(weak=[answers(65)] * 2, students=students, ceiling=[answers(90)] * 2)
    put_examples(run, GROUPS, [1] * 100)
    return run


def test_each_model_once_though_methods_share_it(run: Path) -> None:
    models = read_scored(read_run(run))
    assert [(one.role, one.method) for one in models] == [
        ("weak", None),
        ("student", "naive"),
        ("student", "other"),
        ("ceiling", None),
    ]
    naive = models[1]
    assert [said.credit_B.mean() for said in naive.said_S] == [0.75, 0.76]
    assert naive.said_S[0].confidence_B == pytest.approx([1 / (1 + math.exp(-1))] * 100)
    # All are of the same examples.
    assert len({id(sample) for one in models for sample in one.samples_S}) == 1
    assert (naive.n_examples, naive.n_groups) == (100, 20)
    second_N = naive.samples_S[0].second_N.reshape(20, 5)
    assert 4 < second_N[:, 0].sum() < 16 and (second_N == second_N[:, :1]).all()


def test_examples_that_are_gone_are_groups_of_their_own(run: Path) -> None:
    shutil.rmtree(next((run.parent / "stages").glob("prepare-*")) / "examples")
    (one, *_) = read_scored(read_run(run))
    assert one.n_groups is None and one.drawn_S[0].n_groups == 100


def test_runs_that_were_moved_are_read_where_they_are(run: Path, tmp_path: Path) -> None:
    shutil.move(run.parent, tmp_path / "elsewhere")
    models = read_scored(read_run(tmp_path / "elsewhere" / run.name))
    assert {one.n_groups for one in models} == {20}


def test_only_examples_with_ground_truth(make_run: MakeRun, answers: Answers) -> None:
    gold = [1, None] * 50
    some = make_run("some", weak=None, students={"naive": [answers(75)]}, ceiling=None, gold=gold)
    (one,) = read_scored(read_run(some))
    assert one.n_examples == 50
    none = make_run("none", weak=None, students={"naive": [answers(75)]}, ceiling=None, gold=[None] * 100)
    assert read_scored(read_run(none)) == []


def test_labels_of_a_part_of_the_examples_are_no_model(run: Path) -> None:
    for folder in (run.parent / "stages").glob("evaluate-*-weak-*"):
        (folder / "manifest.json").write_text(json.dumps({"counts": {"n_labelled": 99, "examples": 100}}))
    reseal(run)
    # As in the results: what is known of some cannot stand beside what models say of all.
    assert [one.role for one in read_scored(read_run(run))] == ["student", "student", "ceiling"]


def test_labels_that_stand_for_a_supervisor_are_probabilities(run: Path) -> None:
    for folder in (run.parent / "stages").glob("evaluate-*-weak-*"):
        (folder / "manifest.json").write_text(json.dumps({"counts": {"n_labelled": 100, "examples": 100}}))
    reseal(run)
    (weak, *_) = read_scored(read_run(run))
    # 1 and 0 are certain, not scores.
    assert weak.said_S[0].confidence_B.tolist() == [1.0] * 100
    assert sorted(set(weak.said_S[0].loss_B.tolist())) == [0.0, math.inf]


def label_run(
    run: Path, transforms: list[str], kept: int, *, scores: bool = True, method: str = "other", first: int = 0
) -> None:
    """Let the labels of a method be those of all, transformed: at half the log-odds, `kept` of them from `first` on."""
    plan = json.loads((run / "plan.json").read_text())
    (prepared,) = (run.parent / "stages").glob("prepare-*")
    for seed in (0, 1):
        (folder,) = (run.parent / "stages").glob(f"relabel-*-{seed}")
        write(folder, [(2.0 + seed, 0.0)] * 100, scores)
        made = run.parent / "stages" / f"transform-{method}-{seed}"
        write(made, [(1.0, 0.0)] * kept, scores, first)
        (made / "manifest.json").write_text(json.dumps({"counts": {}}))
        config: dict[str, Any] = {
            "examples": str(prepared / "examples" / "relabel.parquet"),
            "labels": str(folder / "weak_labels.parquet"),
            "transforms": [{"name": name} for name in transforms],
        }
        (made / "config.yaml").write_text(yaml.safe_dump(config))
        stage = {"stage": "transform", "of": "labels", "method": method, "seed": seed, "folder": str(made)}
        plan["stages"].append(stage)
    (run / "plan.json").write_text(json.dumps(plan))
    reseal(run)


def write(folder: Path, logs: list[tuple[float, float]], scores: bool, first: int = 0) -> None:
    labels = []
    for place, row in enumerate(logs, start=first):
        weights = np.exp(row)
        p = tuple((weights / weights.sum()).tolist())
        labels.append(WeakLabel(f"e{place:04d}", ("a", "b"), p, row if scores else None))
    write_labels(folder / "weak_labels.parquet", labels)


@pytest.mark.parametrize("scores", [True, False])
def test_labels_before_and_after_temperature(run: Path, put_examples: Put, *, scores: bool) -> None:
    put_examples(run, GROUPS, [0] * 60 + [1] * 40, split="relabel")
    label_run(run, ["temperature"], 100, scores=scores)
    before, after = read_labels(read_run(run))
    assert (before.method, before.transforms) == (None, ()) and (after.method, after.transforms) == (
        "other",
        ("temperature",),
    )
    assert [said.credit_B.mean() for said in before.said_S] == [0.6, 0.6]
    expected = [1 / (1 + math.exp(-2)), 1 / (1 + math.exp(-3))]
    assert [said.confidence_B[0] for said in before.said_S] == pytest.approx(expected)
    assert after.said_S[1].confidence_B == pytest.approx([1 / (1 + math.exp(-1))] * 100)
    assert before.n_groups == 20


def test_what_is_left_is_compared_with_what_it_was(run: Path, put_examples: Put) -> None:
    put_examples(run, GROUPS, [0] * 60 + [1] * 40, split="relabel")
    label_run(run, ["temperature", "keep_confident"], 70)
    found = read_labels(read_run(run))
    assert [(one.method, one.transforms, one.n_examples) for one in found] == [
        (None, (), 100),
        ("other", (), 70),
        ("other", ("temperature", "keep_confident"), 70),
    ]
    assert found[1].said_S[0].confidence_B[0] == found[0].said_S[0].confidence_B[0]


def test_as_many_others_are_compared_with_what_those_were(run: Path, put_examples: Put) -> None:
    put_examples(run, GROUPS, [0] * 60 + [1] * 40, split="relabel")
    label_run(run, ["temperature", "keep_confident"], 70)
    label_run(run, ["temperature", "agree"], 70, method="naive", first=30)
    found = [(labels.method, labels.transforms) for labels in read_labels(read_run(run)) if labels.n_examples == 70]
    assert sorted(found) == [
        ("naive", ()),
        ("naive", ("temperature", "agree")),
        ("other", ()),
        ("other", ("temperature", "keep_confident")),
    ]


def test_other_transforms_are_not_read_as_probabilities(run: Path, put_examples: Put) -> None:
    put_examples(run, GROUPS, [0] * 100, split="relabel")
    label_run(run, ["harden"], 100)
    assert [one.transforms for one in read_labels(read_run(run))] == [()]


def test_labels_without_files_or_truth_say_nothing(run: Path, put_examples: Put) -> None:
    assert read_labels(read_run(run)) == []
    put_examples(run, GROUPS, [None] * 100, split="relabel")
    label_run(run, ["temperature"], 100)
    assert read_labels(read_run(run)) == []


def test_titles() -> None:
    assert title("ceiling", None) == "ceiling"
    assert title("student", "naive") == "student naive"
    assert title("labels", "hot", ("temperature", "agree")) == "labels hot after temperature, agree"
