"""From what a suite asks to verdicts: which hold together, which files are written, and what `report` makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from w2s_rm.cli import main
from w2s_rm.errors import ArtifactError
from w2s_rm.files import read_signed, write_signed
from w2s_rm.metrics.simultaneous import holm
from w2s_rm.report import write_report
from w2s_rm.report.drawing import new_figure
from w2s_rm.report.findings import Asked, Question, read_asked, write_asked
from w2s_rm.report.findings.plot import _draw, _figure
from w2s_rm.report.findings.table import find_out
from w2s_rm.report.hypotheses import Panel, Point, Series

MakeRun = Callable[..., Path]
Answers = Callable[..., list[float]]


@pytest.fixture
def runs(make_run: MakeRun, answers: Answers) -> list[Path]:
    """Two runs of three seeds that hardly differ, and an untrained model that is far worse than its student."""

    def of_seeds(n_right: int) -> list[list[float]]:
        return [answers(n_right + more) for more in (0, 1, -1)]

    both: Mapping[str, Any] = {"weak": of_seeds(60), "ceiling": of_seeds(90), "zero_shot": answers(50)}
    students = {"naive": of_seeds(75), "logconf": of_seeds(76)}
    return [make_run(f"suite_{name}", students=students, **both) for name in ("one", "two")]


@pytest.fixture
def asked() -> Asked:
    questions = (
        Question("Students win.", {"name": "students_beat_supervisors", "runs": ["one", "two"]}, "A note."),
        Question("Untrained ones win.", {"name": "untrained_beats_student", "run": "one"}),
        Question("One is below.", {"name": "pgr_is_below", "run": "one", "other": "two"}),
    )
    return Asked({"one": "suite_one", "two": "suite_two"}, questions)


def test_verdicts_hold_together(runs: list[Path], asked: Asked) -> None:
    rows = find_out(asked, runs)
    assert [row.verdict for row in rows] == ["shown", "opposite", "not shown"]
    assert [row.effect for row in rows] == pytest.approx([0.15, -0.25, 0.0])
    assert [row.recipe for row in rows] == ["suite_one, suite_two", "suite_one", "suite_one, suite_two"]
    assert [row.p_holm for row in rows] == holm([row.p for row in rows])
    for row in rows:
        assert row.n_seeds == 3
        assert row.low is not None and row.high is not None and row.alone_low is not None and row.alone_high is not None
        # More is asked for than of one finding by itself, and the verdict is what Holm's p-value says.
        assert row.low <= row.alone_low and row.alone_high <= row.high
        assert (row.verdict == "not shown") == (row.p_holm > 0.05)
    # The third is held against the whole error: it is the last to be tested.
    assert (rows[2].low, rows[2].high) == (rows[2].alone_low, rows[2].alone_high)


def test_the_files(runs: list[Path], asked: Asked, tmp_path: Path) -> None:
    write_report(runs, tmp_path / "out", asked=asked)
    found = json.loads((tmp_path / "out" / "findings.json").read_text())
    assert [set(row) >= {"finding", "verdict", "effect", "low", "high", "recipe"} for row in found] == [True] * 3
    assert [row["verdict"] for row in found] == ["shown", "opposite", "not shown"]
    report = (tmp_path / "out" / "report.md").read_text()
    alone = (tmp_path / "out" / "findings.md").read_text()
    assert "Of 3 findings: 1 shown, 1 opposite, 1 not shown (3 seeds)." in report
    assert alone.startswith("# Findings\n\nOf 3 findings") and "](findings.png)" in alone and "A note." in alone
    assert "| 1 | Students win. | shown | 15.0 [" in alone
    assert "A PGR of the figure has its interval to first order" in alone
    assert "panel" not in (tmp_path / "out" / "findings.csv").read_text().splitlines()[0]
    assert (tmp_path / "out" / "findings.svg").is_file() and "Students win." in (
        tmp_path / "out" / "report.html"
    ).read_text()
    write_report(runs, tmp_path / "other")
    assert not (tmp_path / "other" / "findings.json").exists()


def test_report_reads_again_what_was_asked(runs: list[Path], asked: Asked, tmp_path: Path) -> None:
    folder = runs[0].parent / "suite"
    write_asked(folder, asked)
    assert read_asked(folder) == asked and read_asked(runs[0]) is None
    assert main(["report", str(folder)]) == 0
    first = {
        name: (folder / name).read_bytes() for name in ("findings.json", "findings.md", "findings.png", "report.md")
    }
    assert main(["report", str(folder), "--output", str(tmp_path / "again")]) == 0
    assert {name: (tmp_path / "again" / name).read_bytes() for name in first} == first
    (folder / "asked.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"asked.json: .*; write it again with `w2s-rm run`"):
        read_asked(folder)


def test_one_seed_is_said(make_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    run = make_run("alone", weak=[answers(60)], students={"naive": [answers(75)]}, ceiling=[answers(90)])
    asked = Asked(
        {"alone": "alone"}, (Question("A student wins.", {"name": "students_beat_supervisors", "runs": ["alone"]}),)
    )
    write_report([run], tmp_path / "out", asked=asked)
    assert "The findings rest on one seed: their verdicts say nothing" in (tmp_path / "out" / "report.md").read_text()


def test_few_seeds_and_one_pretrained_model_are_said(make_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    run = make_run("two", weak=[answers(60)] * 2, students={"naive": [answers(75)] * 2}, ceiling=[answers(90)] * 2)
    asked = Asked(
        {"two": "two"}, (Question("A student wins.", {"name": "students_beat_supervisors", "runs": ["two"]}),)
    )

    def report() -> str:
        write_report([run], tmp_path / "out", asked=asked)
        return (tmp_path / "out" / "report.md").read_text()

    assert "to first order" not in report()
    assert "The findings rest on 2 seeds, which say little of how much seeds differ: take 3 or more." in report()
    # Of models from elsewhere there are no others.
    assert "same pretrained models" not in report()
    plan = read_signed(run / "plan.json")
    pretrained = {"stage": "pretrain", "of": None, "method": None, "seed": None}
    plan["stages"] += [{**pretrained, "folder": str(tmp_path / f"pretrain-{n}")} for n in (1, 2, 3)]
    students = [stage for stage in plan["stages"] if (stage["stage"], stage["of"]) == ("evaluate", "student")]
    # Two that all seeds share, however many seeds there are; then another supervisor's for the second.
    for stage in students:
        stage["needs"] = ["pretrain-1", "pretrain-2"]
    write_signed(run / "plan.json", plan)
    assert "All seeds start from the same pretrained models" in report()
    students[1]["needs"] = ["pretrain-1", "pretrain-3"]
    write_signed(run / "plan.json", plan)
    assert "same pretrained models" not in report()


def test_a_panel_for_each_finding(runs: list[Path], asked: Asked) -> None:
    rows = find_out(asked, runs)
    figure = _figure(rows * 3)
    assert len(figure.axes) == 12
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == [
        "1  Students win.",
        "2  Untrained ones win.",
        "3  One is below.",
    ]
    assert [axes.axison for axes in figure.axes] == [True] * 9 + [False] * 3
    assert figure.axes[0].texts[0].get_text().startswith("shown: 15.0 [")
    # Supervisor, student and ceiling, each at two runs.
    assert sum(line.get_marker() == "o" for line in figure.axes[0].lines) == 3


def drawn(panel: Panel) -> Any:
    axes = new_figure(4.1, 4.3).subplots()
    _draw(axes, panel)
    axes.figure.canvas.draw()
    return axes


def test_a_ratio_without_an_interval_presses_nothing_flat() -> None:
    axes = drawn(Panel("PGR", (Series("naive", (Point("novel", -40.0, None, None), Point("plain", 0.8, 0.6, 1.0))),)))
    assert axes.get_ylim()[0] > -1 and [text.get_text() for text in axes.texts] == ["gap not\nreliable"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["novel", "plain"]


def test_words_below_a_panel_do_not_run_into_each_other() -> None:
    points = [Point(word, 0.5, 0.4, 0.6) for word in ("independent", "by_entity", "by_wording", "by_length", "hard")]
    few, many = (drawn(Panel("accuracy", (Series("student", tuple(points[:n])),))) for n in (2, 5))
    assert {label.get_rotation() for label in few.get_xticklabels()} == {0}
    assert {label.get_rotation() for label in many.get_xticklabels()} == {30}


def test_marks_of_a_narrow_axis_have_digits_that_differ() -> None:
    axes = drawn(
        Panel("accuracy", (Series("student", (Point("a", 0.99, 0.985, 0.995), Point("b", 0.985, 0.98, 0.99))),))
    )
    marks = [label.get_text() for label in axes.get_yticklabels()]
    assert len(set(marks)) == len(marks) and all(mark.endswith(" %") for mark in marks)
