"""Scores to labels, how right the labels are, and the files they are written to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from w2s_rm.data.label_files import WeakLabel, read_labels, write_labels
from w2s_rm.data.predictions import read_predictions
from w2s_rm.programs.labelling import LabelAccuracy, softmax
from w2s_rm.stages.evaluate import Evaluate
from w2s_rm.stages.relabel import Relabel
from w2s_rm.types import Example


def test_softmax_by_hand() -> None:
    # exp(0) = 1 and exp(log 3) = 3: a quarter and three quarters, whatever is added to both.
    assert softmax((1000.0, 1000.0 + 1.0986122886681098)) == pytest.approx((0.25, 0.75))


def test_label_accuracy_by_hand() -> None:
    # Right, wrong, a tie (half), and one without truth that does not count: 1.5 of 3.
    gold = (0, 0, 1, None)
    probabilities = ((0.9, 0.1), (0.2, 0.8), (0.5, 0.5), (0.7, 0.3))
    examples = [Example(str(number), "g", "p", ("x", "y"), index) for number, index in enumerate(gold)]
    labels = [
        WeakLabel(example.id, example.candidate_ids, pair)
        for example, pair in zip(examples, probabilities, strict=True)
    ]
    accuracy = LabelAccuracy()
    assert list(accuracy.counted(examples, labels)) == labels
    assert accuracy.value == 0.5
    without_truth = LabelAccuracy()
    assert list(without_truth.counted(examples[3:], labels[3:])) == labels[3:]
    assert without_truth.value is None


@pytest.mark.parametrize("most_candidates", [2, 5])
def test_files_of_a_models_labels(
    most_candidates: int,
    tiny_model: Callable[..., str],
    scoring_stage: Callable[..., list[str]],
    ragged_examples: Callable[..., list[Example]],
) -> None:
    examples = ragged_examples(21, most_candidates)
    argv = scoring_stage("relabel", tiny_model(), examples)
    Relabel.run(argv)
    folder = Path(argv[-1])
    files = [".lock", "config.yaml", "dataset", "manifest.json", "progress.json", "weak_labels.parquet"]
    assert sorted(path.name for path in folder.iterdir()) == files

    labels = read_labels(folder / "weak_labels.parquet")
    Evaluate.run(scoring_stage("evaluate", tiny_model(), examples, "scores"))
    scores = read_predictions(folder.parent / "scores" / "predictions.parquet").scores
    for example, label, row in zip(examples, labels, scores, strict=True):
        expected = WeakLabel(example.id, example.candidate_ids, softmax(row), row)
        assert label == expected

    pairs = [example for example in examples if len(example.candidates) == 2]
    written = pq.read_table(folder / "dataset" / "train.parquet").to_pylist()
    assert [row["id"] for row in written] == [example.id for example in pairs]
    by_id = {label.id: label.probabilities for label in labels}
    for example, row in zip(pairs, written, strict=True):
        first, second = by_id[example.id]
        assert row["chosen"] == example.candidates[0 if first >= second else 1]
        assert row["chosen_probability"] == max(first, second)

    counts = json.loads((folder / "manifest.json").read_text())["counts"]
    known = [(example, label) for example, label in zip(examples, labels, strict=True) if example.gold is not None]
    right = [label.probabilities.index(max(label.probabilities)) == example.gold for example, label in known]
    assert counts["label_accuracy"] == pytest.approx(sum(right) / len(right))
    assert (counts["n_labelled"], counts["examples"]) == (21, 21)


def test_labels_from_a_file_are_written_alike(
    scoring_stage: Callable[..., list[str]], ragged_examples: Callable[..., list[Example]], tmp_path: Path
) -> None:
    examples = ragged_examples(9, 2)
    given = [WeakLabel(example.id, example.candidate_ids, (0.25, 0.75)) for example in examples]
    write_labels(tmp_path / "given.parquet", reversed(given))
    argv = scoring_stage("relabel", "unused", examples, labels=str(tmp_path / "given.parquet"))
    Relabel.run(argv)
    assert read_labels(Path(argv[-1]) / "weak_labels.parquet") == given
    written = pq.read_table(Path(argv[-1]) / "dataset" / "train.parquet").to_pylist()
    assert [row["chosen"] for row in written] == [example.candidates[1] for example in examples]
    counts = json.loads((Path(argv[-1]) / "manifest.json").read_text())["counts"]
    known = [example.gold for example in examples if example.gold is not None]
    assert counts == {"n_labelled": 9, "label_accuracy": sum(known) / len(known)}
