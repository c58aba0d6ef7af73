"""Accuracy by group, with ties, and where models are sure: by hand, in words, files and a figure."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sealing import reseal

from w2s_rm.data.predictions import write_predictions
from w2s_rm.render.markdown import markdown
from w2s_rm.report import write_report
from w2s_rm.report.breakdown import BreakdownRow, collect_breakdown
from w2s_rm.report.breakdown.content import breakdown_blocks
from w2s_rm.report.breakdown.plot import _figure
from w2s_rm.report.rows import told_apart
from w2s_rm.report.scored import read_scored
from w2s_rm.runs.plan import read_run
from w2s_rm.types import Predictions

MakeRun = Callable[..., Path]
Answers = Callable[..., list[float]]
Put = Callable[..., Path]


def rows_of(run: Path) -> list[BreakdownRow]:
    return collect_breakdown(run, read_scored(read_run(run)))


def put_scores(run: Path, scores: Sequence[Sequence[float]], gold: Sequence[int | None]) -> None:
    for file in (run.parent / "stages").glob(f"evaluate-{run.name}-student-*/predictions.parquet"):
        ids = tuple(f"e{i:04d}" for i in range(len(scores)))
        write_predictions(file, [Predictions(ids, tuple(map(tuple, scores)), tuple(gold))])
    reseal(run)


def student(make_run: MakeRun, scores: Sequence[Sequence[float]], gold: Sequence[int | None], name: str = "r") -> Path:
    run = make_run(name, weak=None, students={"naive": [[0.0] * len(scores)]}, ceiling=None)
    put_scores(run, scores, gold)
    return run


def test_groups_and_examples_weigh_differently(make_run: MakeRun, put_examples: Put) -> None:
    # A group of six, all right, one of three with one right, one alone and wrong.
    credits = [1, 1, 1, 1, 1, 1, 1, 0, 0, 0]
    run = student(make_run, [[float(credit), 0.5] for credit in credits], [0] * 10)
    put_examples(run, ["a"] * 6 + ["b"] * 3 + ["c"], [0] * 10)
    (row,) = rows_of(run)
    assert (row.n_examples, row.n_groups, row.largest_group, row.grouped) == (10, 3, 6, True)
    assert row.accuracy == pytest.approx(0.7)
    assert row.group_accuracy == pytest.approx((1 + 1 / 3 + 0) / 3)
    # Of three groups any may be drawn three times.
    assert (row.group_accuracy_low, row.group_accuracy_high) == (0.0, 1.0)
    assert row.accuracy_low == 0.0 and row.accuracy_high == 1.0


def test_without_groups_nothing_is_said_of_them(make_run: MakeRun, answers: Answers, put_examples: Put) -> None:
    run = make_run(weak=None, students={"naive": [answers(70)]}, ceiling=None)
    (row,) = rows_of(run)
    assert (row.n_groups, row.largest_group, row.group_accuracy, row.grouped) == (None, None, None, False)
    put_examples(run, [str(i) for i in range(100)], [1] * 100)
    (alone,) = rows_of(run)
    assert (alone.n_groups, alone.grouped) == (100, False) and alone.group_accuracy == pytest.approx(alone.accuracy)
    assert (alone.accuracy_low, alone.accuracy_high) == pytest.approx((row.accuracy_low, row.accuracy_high), abs=0.02)
    text = next(path for path in write_report([run], run) if path.name == "report.md").read_text()
    section = text[text.index("## Accuracy more closely") :].split("\n## ")[0]
    assert "groups" not in section and "Tied" not in section


def test_ties_by_hand(make_run: MakeRun) -> None:
    # Right; a tie of two with the right one; a tie of three without it; a tie of three with it; wrong.
    scores = [[1.0, 0.0], [1.0, 1.0], [1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [1.0, 0.0]]
    run = student(make_run, scores, [0, 0, 3, 1, 1])
    (row,) = rows_of(run)
    assert row.tied == 3
    assert row.accuracy == pytest.approx((1 + 1 / 2 + 1 / 3) / 5)
    assert row.accuracy_ties_wrong == pytest.approx(1 / 5)
    assert row.accuracy_ties_half == pytest.approx((1 + 1 / 2 + 1 / 2) / 5)
    text = next(path for path in write_report([run], run) if path.name == "report.md").read_text()
    assert "| Tied examples | Ties wrong % | Ties half % |" in text and "| 3.0 | 20.0 | 40.0 |" in text


def test_the_surest_are_answered_first(make_run: MakeRun) -> None:
    # Ten examples, ever surer: the five surest are right, and of the others one.
    scores = [[0.1 * (place + 1), 0.0] for place in range(10)]
    run = student(make_run, scores, [0, 1, 1, 1, 1, 0, 0, 0, 0, 0])
    (row,) = rows_of(run)
    assert row.answered == pytest.approx([1, 1, 1, 1, 1, 5 / 6, 5 / 7, 5 / 8, 5 / 9, 6 / 10])
    assert row.half_accuracy == 1.0 and row.half_accuracy_low < 1.0 == row.half_accuracy_high
    # The other way round nothing is gained by asking the surest.
    (wrong,) = rows_of(student(make_run, scores, [1, 0, 0, 0, 0, 1, 1, 1, 1, 1], "other"))
    assert wrong.answered[4] == 0.0 and wrong.answered[9] == 0.4


def test_order_of_examples_and_candidates_does_not_matter(make_run: MakeRun) -> None:
    scores = [[float((7 * i) % 5), float((3 * i) % 4), 1.0][: 2 + i % 2] for i in range(40)]
    gold = [i % 2 for i in range(40)]
    run = student(make_run, scores, gold)
    turned = make_run("turned", weak=None, students={"naive": [[0.0] * 40]}, ceiling=None)
    (file,) = (turned.parent / "stages").glob("evaluate-turned-*/predictions.parquet")
    rows = [(f"e{i:04d}", tuple(scores[i][::-1]), len(scores[i]) - 1 - gold[i]) for i in reversed(range(40))]
    ids, back, right = zip(*rows, strict=True)
    write_predictions(file, [Predictions(ids, back, right)])
    reseal(turned)
    (one,), (other,) = rows_of(run), rows_of(turned)
    assert one.answered == pytest.approx(other.answered)
    names = ("accuracy", "accuracy_low", "accuracy_high", "half_accuracy", "half_accuracy_low", "tied")
    assert [getattr(one, name) for name in names] == pytest.approx([getattr(other, name) for name in names])


@pytest.fixture
def run(make_run: MakeRun, answers: Answers, put_examples: Put) -> Path:
    students = {"naive": [answers(75)] * 2, "other": [answers(80), answers(82)]}
    run = make_run(weak=[answers(65)] * 2, students=students, ceiling=[answers(90)] * 2)
    put_examples(run, [str(i // 2) for i in range(100)], [1] * 100)
    return run


def test_two_runs_of_one_name_are_two(run: Path) -> None:
    rows = rows_of(run)
    text = markdown(breakdown_blocks([*rows, *(dataclasses.replace(row, n_groups=7) for row in rows)]))
    assert text.count("quickstart: 100 test examples in 50 groups") == 1
    # Under the name that its panel has.
    assert text.count("quickstart (2): 100 test examples in 7 groups") == 1 and text.count("| quickstart (2) |") == 4
    assert told_apart(["a", "a", "a (2)", "a"]) == ["a", "a (2)", "a (2) (2)", "a (3)"]


def test_the_report_and_its_files(run: Path, tmp_path: Path) -> None:
    files = {path.name: path for path in write_report([run], tmp_path / "out")}
    assert {f"breakdown.{end}" for end in ("csv", "json", "png", "svg")} <= set(files)
    text = files["report.md"].read_text()
    assert "quickstart: 100 test examples in 50 groups, at most 2 in one." in text
    lines = text[text.index("## Accuracy more closely") :].split("\n## ")[0].splitlines()
    assert [line.split(" | ")[1] for line in lines if line.startswith("| quickstart")] == [
        *("weak", "student naive", "student other", "ceiling")
    ]
    records = json.loads(files["breakdown.json"].read_text())
    assert len(records[0]["answered"]) == 10 and records[2]["accuracy"] == 0.81
    with files["breakdown.csv"].open(newline="") as stream:
        first, *_ = csv.DictReader(stream)
    assert float(first["answered_100"]) == records[0]["answered"][-1] == 0.65
    assert "answered" not in first and "answered_10" in first


def test_without_ground_truth_there_is_no_section(make_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    run = make_run(weak=None, students={"naive": [answers(75)]}, ceiling=None, gold=[None] * 100)
    assert rows_of(run) == []
    assert not [path for path in write_report([run], tmp_path) if path.stem == "breakdown"]


def test_the_figure_has_a_line_for_each_model(run: Path, make_run: MakeRun, answers: Answers) -> None:
    rows = rows_of(run)
    (axes,) = _figure(rows).axes
    lines = [line for line in axes.lines if len(line.get_xdata()) == 10]
    assert [list(line.get_ydata()) for line in lines] == [list(row.answered) for row in rows]
    many = make_run("many", weak=None, students={f"m{i}": [answers(50 + i)] for i in range(14)}, ceiling=[answers(90)])
    both = [*rows, *rows_of(many)]
    figure = _figure(both)
    assert [axes.get_title() for axes in figure.axes] == ["quickstart", "many"]
    assert len(figure.legends[0].get_texts()) == len({row.title for row in both})
    # No two models look alike.
    looks = [(line.get_color(), str(line.get_linestyle())) for line in figure.legends[0].get_lines()]
    assert looks and isinstance(both[0], BreakdownRow)
