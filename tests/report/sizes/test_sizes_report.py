"""What reports say about the sizes of a grid: measured and predicted, in table, files and figure."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import pytest

from w2s_rm.metrics.size_curves import accuracy_curve, pgr_curve
from w2s_rm.report import collect, write_report
from w2s_rm.report.hypotheses import Results
from w2s_rm.report.sizes import collect_sizes
from w2s_rm.report.sizes.plot import _figure
from w2s_rm.report.sizes.rows import by_grid
from w2s_rm.report.sizes.table import _pairs

MakeRun = Callable[..., Path]
ALONE = {512: 60, 2048: 72, 8192: 90}


def run_of(make_run: MakeRun, answers: Callable[..., list[float]], weak: int, strong: int, **changes: Any) -> Path:
    """A student half way between its supervisor and its ceiling, and a tenth less for each four times of the size."""
    steps = {512: 0, 2048: 1, 8192: 2}
    share = 0.6 - 0.1 * (steps[strong] - steps[weak])
    students = {"naive": [answers(round(ALONE[weak] + share * (ALONE[strong] - ALONE[weak])))] * 2}
    given: dict[str, Any] = {
        "weak": [answers(ALONE[weak])] * 2,
        "students": students,
        "ceiling": [answers(ALONE[strong])] * 2,
        "weak_model": f"model {weak}",
        "strong_model": f"model {strong}",
        "weak_size": weak,
        "strong_size": strong,
    }
    return make_run(f"grid_{weak}_{strong}", **{**given, **changes})


@pytest.fixture
def grid(make_run: MakeRun, answers: Callable[..., list[float]]) -> list[Path]:
    return [run_of(make_run, answers, *pair) for pair in combinations_with_replacement(ALONE, 2)]


def rows_of(runs: list[Path]) -> list[Any]:
    return collect_sizes([(run, collect(run)) for run in runs])


def test_a_row_for_each_pair_and_one_beyond_for_each_supervisor(grid: list[Path]) -> None:
    rows = rows_of(grid)
    measured = [row for row in rows if not row.outside]
    assert [(row.weak_size, row.strong_size) for row in measured] == list(combinations_with_replacement(ALONE, 2))
    assert [row.recipe for row in measured] == [run.name for run in grid]
    by_hand = {(512, 2048): (0.60, 0.66, 0.72), (512, 8192): (0.60, 0.72, 0.90), (2048, 8192): (0.72, 0.81, 0.90)}
    for row in measured:
        if row.weak_size != row.strong_size:
            expected = by_hand[(row.weak_size, row.strong_size)]
            assert (row.weak_accuracy, row.student_accuracy, row.ceiling_accuracy) == pytest.approx(expected)
    beyond = [row for row in rows if row.outside]
    # As far beyond the largest as that is beyond the one before it.
    assert [(row.weak_size, row.strong_size) for row in beyond] == [(size, 32768) for size in ALONE]
    assert all(row.student_accuracy is row.pgr is row.recipe is row.strong_model is None for row in beyond)


def test_rows_say_what_the_curves_say(grid: list[Path]) -> None:
    rows = rows_of(grid)
    pairs = _pairs({(row.weak_size, row.strong_size): (Results(grid[n]), row) for n, row in enumerate(rows[:6])})
    accuracies, recovered = accuracy_curve(pairs), pgr_curve(pairs)
    assert accuracies is not None and recovered is not None
    for row in rows:
        said, pgr = (curve.at(row.weak_size, row.strong_size) for curve in (accuracies, recovered))
        named = (row.fitted_accuracy, row.fitted_accuracy_low, row.fitted_accuracy_high)
        assert named == pytest.approx((said.value, said.low, said.high))
        assert (row.fitted_pgr, row.fitted_pgr_low, row.fitted_pgr_high) == pytest.approx(
            (pgr.value, pgr.low, pgr.high)
        )
    facts = rows[0].accuracy_curve
    assert facts.strong_doubling == pytest.approx(accuracies.coefficients_C[2]) and facts.strong_doubling > 0
    # With one of three sizes left out three pairs are left, as many as the curve has numbers.
    assert facts.inside_error is not None and facts.outside_error is not None
    assert rows[0].pgr_curve is not None and rows[0].pgr_curve.strong_doubling < 0


def test_the_report_has_a_section_files_and_a_figure(grid: list[Path], tmp_path: Path) -> None:
    written = {path.name: path for path in write_report(grid, tmp_path / "out")}
    assert {f"sizes.{end}" for end in ("csv", "json", "png", "svg")} <= set(written)
    text = written["report.md"].read_text()
    assert "## Size of supervisor and student" in text and "32,768, outside" in text and "sizes.png" in text
    records = json.loads(written["sizes.json"].read_text())
    with written["sizes.csv"].open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert len(records) == len(lines) == 9
    assert float(lines[0]["accuracy_curve_strong_doubling"]) == records[0]["accuracy_curve"]["strong_doubling"]
    before = {name: path.read_bytes() for name, path in written.items()}
    write_report(grid, tmp_path / "out")
    assert before == {name: path.read_bytes() for name, path in written.items()}


def test_the_figure_has_a_line_for_each_supervisor_and_marks_what_was_not_measured(grid: list[Path]) -> None:
    left, right = _figure(rows_of(grid)).axes
    labels = [text.get_text() for text in right.get_legend().get_texts()]
    assert labels == ["trained on the truth", "model 512", "model 2048", "model 8192"]
    assert [tick.get_text() for tick in left.get_xticklabels()] == ["512", "2,048", "8,192", "(32,768)"]
    assert any("not measured" in text.get_text() for text in left.texts)
    # Three students of the smallest supervisor, all of them to be seen on the left; two of them have a gap.
    shown = [line for line in left.lines if line.get_label() == "model 512"]
    assert [len(line.get_xdata()) for line in shown] == [3]
    assert sum(line.get_marker() == "o" and line.get_markerfacecolor() != "white" for line in right.lines) == 3


@pytest.mark.parametrize("changes", [{"weak_size": None}, {"weak_size": 0}, {"ceiling": None}])
def test_nothing_is_said_of_runs_without_sizes_or_ceilings(
    make_run: MakeRun, answers: Callable[..., list[float]], changes: dict[str, Any]
) -> None:
    pairs = combinations_with_replacement(ALONE, 2)
    assert rows_of([run_of(make_run, answers, *pair, **changes) for pair in pairs]) == []


def test_nothing_is_said_of_two_sizes_or_of_runs_that_differ_in_something_else(grid: list[Path]) -> None:
    assert rows_of([run for run in grid if "8192" not in run.name]) == []
    assert rows_of([*grid, grid[0]]) == []


def test_grids_of_other_seeds_on_one_task_stay_apart(
    make_run: MakeRun, answers: Callable[..., list[float]], grid: list[Path], tmp_path: Path
) -> None:
    def once(name: str, **given: Any) -> Path:
        first = {part: given[part][:1] for part in ("weak", "ceiling")}
        return make_run(name, **{**given, **first, "students": {"naive": [answers(65)]}, "root": tmp_path / "one"})

    others = [run_of(once, answers, *pair) for pair in combinations_with_replacement(ALONE, 2)]
    rows = rows_of([*grid, *others])
    assert [len(group) for group in by_grid(rows)] == [9, 9]
