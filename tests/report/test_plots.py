"""The figure: what it draws, read back from its axes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def three_settings(make_run: MakeRun, answers: Answers) -> list[Path]:
    """Runs with other chances, baselines and gaps; numbers of a line lie close together in the second."""

    def run(name: str, weak: int, student: int, ceiling: int, **more: Any) -> Path:
        students = {"naive": [answers(student)] * 2, "log_confidence": [answers(student + 3)] * 2}
        return make_run(name, weak=[answers(weak)] * 2, students=students, ceiling=[answers(ceiling)] * 2, **more)

    return [
        run("pairs", 65, 75, 90),
        run("answers", 70, 71, 75, setting="classification", zero_shot=answers(70), prepared={"length_only": 0.52}),
        run("moves", 21, 60, 95, setting="chess", k=35, zero_shot=answers(80), prepared={"length_only": 0.04}),
    ]


def test_baselines_of_each_run(make_run: MakeRun, answers: Answers) -> None:
    left, right = panels(*three_settings(make_run, answers))
    lines = {line.get_label(): line for line in left.lines}
    assert lines["chance"].get_xdata()[0] == 0.5 and lines["length only"].get_xdata()[0] == 0.52
    marks = [line.get_xdata()[0] for line in left.lines if len(line.get_xdata()) == 2 and line.get_linestyle() == "--"]
    assert sorted(marks) == pytest.approx([1 / 35, 0.04, 0.5, 0.5, 0.52])
    hollow = [line for line in left.lines if line.get_markerfacecolor() == "white" and len(line.get_xdata()) == 1]
    assert [line.get_xdata()[0] for line in hollow] == pytest.approx([0.7, 0.7, 0.8, 0.8])
    assert [text.get_text() for text in left.texts if "chance" in text.get_text()] == [
        "chance 50.0 %",
        "chance 50.0 %",
        "chance 2.9 %",
    ]
    (legend,) = left.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        *("chance", "length only", "weak supervisor", "student", "strong ceiling", "untrained student (zero-shot)")
    ]


def test_no_text_lies_on_another(make_run: MakeRun, answers: Answers) -> None:
    for runs in (three_settings(make_run, answers), three_settings(make_run, answers)[2:]):
        left, right = panels(*runs)
        left.figure.canvas.draw()
        (legend,) = left.figure.legends
        texts = [*left.texts, *right.texts, *left.get_yticklabels(), *legend.get_texts()]
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text()]
        assert len(boxes) > 15
        over = [
            (one, other)
            for index, (one, box) in enumerate(boxes)
            for other, beside in boxes[:index]
            # A box has the height of the font's tallest letters: two points of it may be shared, digits are lower.
            if box.padded(-2).overlaps(beside.padded(-2))
        ]
        assert not over
        width, height = left.figure.canvas.get_width_height()
        outside = [text for text, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height]
        assert not outside


def test_settings_share_one_pgr_axis(make_run: MakeRun, answers: Answers) -> None:
    left, right = panels(*three_settings(make_run, answers))
    bars = [container.patches[0].get_width() for container in right.containers]
    assert bars == pytest.approx([0.4, 0.52, 0.2, 0.8, 39 / 74, 42 / 74])
    assert len(left.figure.axes) == 2


def test_a_long_recipe_name_gives_way_to_setting_and_task(make_run: MakeRun, answers: Answers) -> None:
    runs = [
        make_run(name, weak=[answers(65)], students={"naive": [answers(75)]}, ceiling=[answers(90)], task="world")
        for name in ("a_recipe_with_a_very_long_name", "short")
    ]
    left, _ = panels(*runs)
    titles = [text.get_text() for text in left.texts if "world" in text.get_text()]
    assert titles == ["a_recipe_with…ery_long_name: reward_modeling / world", "short: reward_modeling / world"]
