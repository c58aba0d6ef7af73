"""What reports say about models on tasks that they were not trained on."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.colors import same_color
from sealing import reseal

from w2s_rm.data.examples import write_examples
from w2s_rm.metrics.intervals import difference_interval
from w2s_rm.report import collect, write_report
from w2s_rm.report.fields import credits_of
from w2s_rm.report.table import read_models, reading_once
from w2s_rm.report.transfer import collect_transfer
from w2s_rm.report.transfer.content import points
from w2s_rm.report.transfer.plot import _figure
from w2s_rm.report.transfer.rows import columns_of, lines_of
from w2s_rm.runs.plan import read_run
from w2s_rm.types import Example

MakeRun = Callable[..., Path]
Answers = Callable[..., list[float]]


@pytest.fixture
def run(make_run: MakeRun, answers: Answers) -> Path:
    """Of 100 right on `home`: weak 60, naive 70, ceiling 80; on `far` 50, 44 and 52; on `near`, of 40, 22, 24.5, 30."""
    return make_run(
        "one",
        task="home",
        weak=[answers(60)] * 2,
        students={"naive": [answers(69), answers(71)], "other": [answers(50)] * 2},
        ceiling=[answers(80)] * 2,
        further={
            "near": {
                "weak": [answers(22, 40)] * 2,
                "naive": [answers(24, 40), answers(25, 40)],
                "other": [answers(10, 40)] * 2,
                "ceiling": [answers(30, 40)] * 2,
            },
            "far": {
                "weak": [answers(50)] * 2,
                "naive": [answers(44)] * 2,
                "other": [answers(50)] * 2,
                "ceiling": [answers(52, start=20)] * 2,
            },
        },
    )


def test_a_row_for_each_method_and_task(run: Path) -> None:
    rows = collect_transfer([run])
    assert [(row.method, row.tested_on, row.home) for row in rows] == [
        (method, task, task == "home") for method in ("naive", "other") for task in ("home", "near", "far")
    ]
    naive = rows[:3]
    assert [row.n_scored for row in naive] == [100, 40, 100]
    assert [row.student_accuracy for row in naive] == pytest.approx([0.70, 24.5 / 40, 0.44])
    assert [row.gain for row in naive] == pytest.approx([0.10, 2.5 / 40, -0.06])
    assert [row.pgr for row in naive] == pytest.approx([0.5, 2.5 / 8, -3.0])
    assert [row.reliable for row in naive] == [True, True, False]
    # Over the two others alone, whatever their numbers of examples.
    assert [row.out_of_distribution_gain for row in naive] == pytest.approx([(2.5 / 40 - 0.06) / 2] * 3)
    assert naive[0].n_other_tasks == 2


def test_gains_have_the_paired_interval(run: Path) -> None:
    plan, read = read_run(run), reading_once()
    credits = credits_of(read_models(plan, "naive", read, "far"))
    expected = difference_interval(credits["student"], credits["weak"])
    row = collect_transfer([run])[2]
    assert (row.gain, row.gain_low, row.gain_high) == (expected.value, expected.low, expected.high)


def test_further_tasks_leave_the_rows_of_the_own_one_alone(make_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    models = {"weak": [answers(60)], "students": {"naive": [answers(70)]}, "ceiling": [answers(80)]}
    elsewhere = {name: [answers(5)] for name in ("weak", "naive", "ceiling")}
    alone = collect(make_run("one", root=tmp_path / "a", **models))
    both = collect(make_run("one", root=tmp_path / "b", **models, further={"far": elsewhere}))
    assert alone == both and both[0].student_accuracy == pytest.approx(0.7)


def test_a_report_without_further_tasks_has_no_section(make_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    run = make_run(weak=[answers(60)], students={"naive": [answers(70)]}, ceiling=[answers(80)])
    assert collect_transfer([run]) == []
    assert not [path for path in write_report([run], tmp_path / "out") if path.stem == "transfer"]


def test_a_supervisor_that_is_a_file_has_no_cell_elsewhere(make_run: MakeRun, answers: Answers) -> None:
    elsewhere = {"far": {"naive": [answers(44)], "ceiling": [answers(52)]}}
    run = make_run(
        weak=[answers(60)], students={"naive": [answers(70)]}, ceiling=[answers(80)], further=elsewhere, task="home"
    )
    home, far = collect_transfer([run])
    assert home.gain == pytest.approx(0.1) and far.student_accuracy == pytest.approx(0.44)
    assert far.gain is far.pgr is far.weak_accuracy is far.out_of_distribution_gain is None and far.n_other_tasks == 0


def other_run(make_run: MakeRun, answers: Answers, name: str, task: str, further: str) -> Path:
    students = {"naive": [answers(70)]}
    elsewhere = {further: {"weak": [answers(50)], "naive": [answers(58)], "ceiling": [answers(90)]}}
    return make_run(name, task=task, weak=[answers(60)], students=students, ceiling=[answers(80)], further=elsewhere)


def test_several_runs_are_one_matrix(make_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    runs = [other_run(make_run, answers, "first", "a", "b"), other_run(make_run, answers, "second", "b", "a")]
    rows = collect_transfer(runs)
    assert list(columns_of(rows).values()) == ["a", "b"]
    assert [(line.name, [row.tested_on for row in line.cells.values()]) for line in lines_of(rows)] == [
        ("a", ["a", "b"]),
        ("b", ["b", "a"]),
    ]
    write_report(runs, tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| Student − weak, points: trained on | Method | a | b | Mean of the others |" in text
    line = next(line for line in text.splitlines() if line.startswith("| b | naive | +8.0 ["))
    assert line.count("(home)") == 1 and line.split("|")[4].strip().startswith("+10.0 [")


def test_other_data_of_the_same_name_is_another_column(make_run: MakeRun, answers: Answers) -> None:
    runs = [other_run(make_run, answers, "first", "a", "b"), other_run(make_run, answers, "second", "c", "b")]
    plan = json.loads((runs[1] / "plan.json").read_text())
    plan["tested"][1]["source"] = "another file"
    (runs[1] / "plan.json").write_text(json.dumps(plan))
    reseal(runs[1])
    assert list(columns_of(collect_transfer(runs)).values()) == ["a", "c", "b of first", "b of second"]


def test_two_runs_on_one_task_are_told_apart(make_run: MakeRun, answers: Answers) -> None:
    runs = [other_run(make_run, answers, "first", "a", "b"), other_run(make_run, answers, "second", "a", "b")]
    assert [line.name for line in lines_of(collect_transfer(runs))] == ["a (first)", "a (second)"]


def test_section_files_and_words(run: Path, tmp_path: Path) -> None:
    written = {path.name: path for path in write_report([run], tmp_path / "out")}
    assert {f"transfer.{end}" for end in ("csv", "json", "png", "svg")} <= set(written)
    text = written["report.md"].read_text()
    assert "## Transfer" in text and "Trained on home, naive: student minus supervisor is 0.1 points with" in text
    assert "on 2 other tasks, +10.0 at home." in text
    assert "| home | far | naive | 100 | 50.0 [" in text
    records = json.loads(written["transfer.json"].read_text())
    assert [(record["tested_on"], record["home"]) for record in records[:2]] == [("home", True), ("near", False)]
    with written["transfer.csv"].open() as file:
        (first, *_) = csv.DictReader(file)
    assert (first["trained_on"], first["gain"], first["home"], first["seeds"]) == ("home", "0.1", "true", "0 1")
    before = {name: path.read_bytes() for name, path in written.items()}
    write_report([run], tmp_path / "out")
    assert before == {name: path.read_bytes() for name, path in written.items()}


def put_examples(run: Path, further: str | None, **splits: list[int]) -> None:
    """Write the numbered examples of some splits beside the results of a prepare stage; others are empty."""
    stage = read_run(run).find("prepare", None, None, 0, further=further)
    assert stage is not None
    for split in ("weak", "relabel", "validation", "test"):
        numbers = splits.get(split, [])
        # Ids are a task's own; the order of candidates is of no matter.
        candidates = ("a", "b") if further else ("b", "a")
        ids = [f"e{n - 1000:04d}" if n >= 1000 else f"{further}{n}" for n in numbers]
        examples = [Example(id_, "g", f"p{n}", candidates, 0) for id_, n in zip(ids, numbers, strict=True)]
        write_examples(stage.folder / "examples" / f"{split}.parquet", examples)


def test_examples_that_models_learned_from_are_counted(run: Path, tmp_path: Path) -> None:
    assert all(row.n_seen is None for row in collect_transfer([run]))
    put_examples(run, None, weak=[1, 2], relabel=[3], validation=[4], test=[*range(1000, 1100)])
    put_examples(run, "near", test=[7, 8, 9])
    put_examples(run, "far", test=[2, 4, 1005, 9])
    assert [row.n_seen for row in collect_transfer([run])] == [0, 0, 2] * 2
    write_report([run], tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text()
    assert text.count("one: 2 of 100 test examples of far are among those that its models learned from") == 1
    assert "of near are among" not in text


def test_the_figure_colors_cells_by_the_gain_and_frames_the_own_task(run: Path) -> None:
    (axes,) = _figure(collect_transfer([run])).axes
    assert axes.get_title(loc="left") == "trained on home"
    cells = axes.patches
    assert len(cells) == 6 and [cell.get_linewidth() > 1 for cell in cells] == [True, False, False] * 2
    # `other` gains nothing on `far`: white, between red and blue.
    assert same_color(cells[5].get_facecolor(), "white") and not same_color(cells[0].get_facecolor(), "white")
    said = [text.get_text() for text in axes.texts]
    assert said[:3] == ["+10.0", "PGR 0.50", "60.0 · 70.0 · 80.0"] and said[7] == "no reliable PGR"


def test_points_have_signs() -> None:
    assert [points(value) for value in (0.012, -0.012, -0.0001, None)] == ["+1.2", "−1.2", "0.0", "–"]
