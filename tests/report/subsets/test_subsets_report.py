"""What reports say about groups of test examples: the groups by hand, and rows against arithmetic."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sealing import reseal

from w2s_rm.data.examples import write_examples
from w2s_rm.errors import ArtifactError
from w2s_rm.metrics.intervals import accuracy_interval
from w2s_rm.report import write_report
from w2s_rm.report.subsets import collect_subsets
from w2s_rm.report.subsets.groupings import OnFile, length_difference, quarters, weak_confidence, weak_errors
from w2s_rm.report.subsets.plot import _figure
from w2s_rm.runs.plan import read_run
from w2s_rm.types import Example

MakeRun = Callable[..., Path]
Answers = Callable[..., list[float]]
NOTHING = OnFile(None, None, None)


def test_quarters_are_equal_where_values_differ_and_keep_equal_ones_together() -> None:
    assert quarters(np.array([5.0, 1, 2, 3, 4, 6, 7, 8])).of_N.tolist() == [2, 0, 0, 1, 1, 2, 3, 3]
    assert quarters(np.array([0.0, 0, 0, 0, 0, 1, 2, 3])).of_N.tolist() == [0, 0, 0, 0, 0, 2, 3, 3]
    assert len(set(quarters(np.ones(8)).of_N.tolist())) == 1


def test_groups_of_what_is_on_file() -> None:
    lengths = OnFile([[3, 5], [10, 1], [2, 2], [7, 4, 30]], None, None)
    by_length = length_difference(lengths)
    assert by_length is not None and by_length.values_N.tolist() == [2, 9, 0, 26]
    assert by_length.of_N.tolist() == [1, 2, 0, 3]
    confidence = weak_confidence(OnFile(None, None, np.array([[0.9, 0.5], [0.5, 0.6]])))
    assert confidence is not None and confidence.values_N.tolist() == pytest.approx([0.7, 0.55])
    # A tie is no right answer.
    errors = weak_errors(OnFile(None, np.array([[1.0, 1, 0, 0.5], [1, 0, 0, 1], [1, 0, 0, 0]]), None))
    assert errors is not None and errors.of_N.tolist() == [0, 2, 3, 2] and errors.names[3] == "3 of 3 err"


def test_nothing_is_made_of_nothing() -> None:
    assert length_difference(NOTHING) is weak_confidence(NOTHING) is weak_errors(NOTHING) is None
    assert weak_errors(OnFile(None, np.array([[1.0, 0.0]]), None)) is None
    # Twice the same model.
    assert weak_errors(OnFile(None, np.array([[1.0, 0.0], [1.0, 0.0]]), None)) is None


@pytest.fixture
def run(make_run: MakeRun, answers: Answers) -> Path:
    """Weak right on the first 60 in one seed, on 20 to 79 in the other; student on the first 70, ceiling on 95."""
    return make_run(
        weak=[answers(60), answers(60, start=20)],
        students={"naive": [answers(70)] * 2},
        ceiling=[answers(95)] * 2,
    )


def put_examples(run: Path, n: int = 100) -> None:
    """The second candidate of example i is i characters longer."""
    examples = [Example(f"e{i:04d}", "g", "p", ("a" * 3, "b" * (3 + i)), 1) for i in range(n)]
    plan = json.loads((run / "plan.json").read_text())
    (folder,) = (stage["folder"] for stage in plan["stages"] if stage["stage"] == "prepare")
    write_examples(Path(folder) / "examples" / "test.parquet", examples)


def test_rows_by_errors(run: Path) -> None:
    rows = [row for row in collect_subsets(run) if row.subset == "supervisors that err"]
    # Both right on 20 to 59, one on 0 to 19 and 60 to 79, none from 80 on.
    assert [(row.group, row.n_scored) for row in rows] == [("0 of 2 err", 40), ("1 of 2 err", 40), ("2 of 2 err", 20)]
    assert [row.weak_accuracy for row in rows] == [1.0, 0.5, 0.0]
    assert [row.student_accuracy for row in rows] == [1.0, 30 / 40, 0.0]
    assert [row.ceiling_accuracy for row in rows] == [1.0, 1.0, 15 / 20]
    assert [row.pgr for row in rows] == [None, pytest.approx(0.5), pytest.approx(0.0)]
    expected = accuracy_interval(np.array([[1.0] * 30 + [0.0] * 10] * 2))
    assert (rows[1].student_low, rows[1].student_high) == (expected.low, expected.high)


def test_rows_by_length_and_confidence(run: Path) -> None:
    assert {row.subset for row in collect_subsets(run)} == {"supervisors that err"}
    put_examples(run)
    rows = [row for row in collect_subsets(run) if row.subset == "length difference"]
    assert [(row.from_value, row.to_value) for row in rows] == [(0, 24), (25, 49), (50, 74), (75, 99)]
    assert [row.student_accuracy for row in rows] == pytest.approx([1.0, 1.0, 20 / 25, 0.0])
    assert [row.group for row in rows] == ["lowest quarter", "second quarter", "third quarter", "highest quarter"]


def test_confidence_is_the_softmax_of_scores_and_labels_as_they_are(make_run: MakeRun) -> None:
    # Scores of 1 - a and a: the candidates lie |1 - 2a| apart.
    weak = [[0.1, 0.4, 0.6, 0.9] * 25]
    run = make_run(weak=weak, students={"naive": weak}, ceiling=weak)
    rows = [row for row in collect_subsets(run) if row.subset == "supervisor's confidence"]
    assert [row.n_scored for row in rows] == [50, 50]
    assert [row.from_value for row in rows] == pytest.approx([1 / (1 + np.exp(-0.2)), 1 / (1 + np.exp(-0.8))])
    stage = read_run(run).find("evaluate", "weak", "naive", 0)
    assert stage is not None
    counts = {"examples": 100, "n_labelled": 100, "label_accuracy": 0.5}
    (stage.folder / "manifest.json").write_text(json.dumps({"counts": counts}))
    reseal(run)
    rows = [row for row in collect_subsets(run) if row.subset == "supervisor's confidence"]
    assert [row.from_value for row in rows] == pytest.approx([0.6, 0.9])


def test_examples_without_truth_are_in_no_group(make_run: MakeRun, answers: Answers) -> None:
    gold = [1] * 60 + [None] * 40
    weak = [answers(30), answers(40)]
    run = make_run(weak=weak, students={"naive": weak}, ceiling=weak, gold=gold)
    put_examples(run)
    rows = collect_subsets(run)
    assert {row.subset: sum(other.n_scored for other in rows if other.subset == row.subset) for row in rows} == {
        "length difference": 60,
        "supervisors that err": 60,
    }
    assert max(row.to_value for row in rows if row.subset == "length difference") == 59


def test_other_examples_than_those_scored_are_an_error(run: Path) -> None:
    put_examples(run, 99)
    with pytest.raises(ArtifactError, match="1 scored examples, such as 'e0099', are not in its test split"):
        collect_subsets(run)


def test_section_files_and_figure(run: Path, tmp_path: Path) -> None:
    put_examples(run)
    written = {path.name: path for path in write_report([run], tmp_path / "out")}
    assert {f"subsets.{end}" for end in ("csv", "json", "png", "svg")} <= set(written)
    text = written["report.md"].read_text()
    assert "## Subsets of the test examples" in text and "right by construction" in text
    assert "| quickstart | naive | 2 of 2 err | 2 | 20 | 0.0 [0.0, " in text
    axes = _figure(collect_subsets(run)).axes
    assert [panel.get_title(loc="left") for panel in axes] == ["length difference", "supervisors that err"]
    weak, ceiling = axes[1].lines[:2]
    assert weak.get_ydata().tolist() == [1.0, 0.5, 0.0] and ceiling.get_ydata().tolist() == [1.0, 1.0, 0.75]
    before = {name: path.read_bytes() for name, path in written.items()}
    write_report([run], tmp_path / "out")
    assert before == {name: path.read_bytes() for name, path in written.items()}
