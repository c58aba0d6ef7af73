"""The figure: what it draws, read back from its axes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer

from w2s_rm.report.plots import _figure
from w2s_rm.report.table import collect

MakeRun = Callable[..., Path]
Answers = Callable[..., list[float]]


def panels(*runs: Path) -> tuple[Axes, Axes]:
    left, right = _figure([row for run in runs for row in collect(run)]).axes
    return left, right


def test_bars_and_points_stand_at_the_values(make_run: MakeRun, answers: Answers) -> None:
    students = {"naive": [answers(75)], "logconf": [answers(80)]}
    left, right = panels(make_run(weak=[answers(65)], students=students, ceiling=[answers(90)]))
    assert [label.get_text() for label in left.get_yticklabels()] == ["naive", "logconf"]
    bars = [container.patches[0].get_width() for container in right.containers]
    assert bars == pytest.approx([0.4, 0.6])
    points = [
        container.lines[0].get_xdata()[0] for container in left.containers if isinstance(container, ErrorbarContainer)
    ]
    assert points == pytest.approx([0.65, 0.75, 0.90, 0.65, 0.80, 0.90])
    texts = [text.get_text() for text in left.texts]
    assert all(number in texts for number in ("65.0", "75.0", "80.0", "90.0"))


def test_wild_unreliable_interval_leaves_the_axis_readable(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(weak=[answers(70)], students={"naive": [answers(90)]}, ceiling=[answers(71, start=20)])
    (row,) = collect(run)
    assert not row.reliable and row.pgr == pytest.approx(20)
    _, right = panels(run)
    assert right.get_xlim() == pytest.approx((-0.08, 1.08))
    (bar,) = [container.patches[0] for container in right.containers]
    assert bar.get_hatch() and bar.get_width() == pytest.approx(1.08)
    assert "hatched = not reliable" in right.get_xlabel()


def test_reliable_values_outside_zero_and_one_are_shown_up_to_a_limit(make_run: MakeRun, answers: Answers) -> None:
    students = {"low": [answers(10, 400)], "high": [answers(399, 400)]}
    _, right = panels(make_run(weak=[answers(200, 400)], students=students, ceiling=[answers(240, 400)]))
    assert right.get_xlim() == (-1.0, 2.0)


def test_missing_parts_are_named(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(weak=None, students={"naive": [answers(75)]}, ceiling=None, gold=[None] * 100)
    left, right = panels(run)
    assert "no ground truth" in [text.get_text() for text in left.texts]
    assert "no PGR" in [text.get_text() for text in right.texts]
    assert left.get_xlim() == (0.0, 1.0)


def test_each_run_has_its_chance_line(make_run: MakeRun, answers: Answers) -> None:
    students = {"naive": [answers(75)]}
    pairs = make_run("pairs", weak=[answers(65)], students=students, ceiling=[answers(90)])
    moves = make_run("moves", weak=[answers(65)], students=students, ceiling=[answers(90)], k=20)
    left, _ = panels(pairs, moves)
    dashed = [line for line in left.lines if line.get_linestyle() == "--"]
    assert [line.get_xdata()[0] for line in dashed] == pytest.approx([0.5, 0.05])
    assert left.get_xlim()[0] < 0.05
