"""What reports say of the mistakes that students can tell: numbers by hand, files and figure, and nothing without."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from w2s_rm.report import collect, write_report
from w2s_rm.report.saliency import SaliencyRow, collect_saliency
from w2s_rm.report.saliency.plot import _figure

MakeRun = Callable[..., Path]
Answers = Callable[..., list[float]]


def told(number: int) -> list[float]:
    """Of 100 examples, on which a supervisor is right up to the 60th, the mistakes that are told."""
    return [1.0 if 60 <= place < 60 + number else 0.0 for place in range(100)]


@pytest.fixture
def run(make_run: MakeRun, answers: Answers, put_saliency: Callable[..., None]) -> Path:
    made = make_run(
        weak=[answers(60)] * 2,
        students={"naive": [answers(70)] * 2},
        ceiling=[answers(80)] * 2,
        weak_size=512,
        strong_size=2048,
    )
    put_saliency(made, [told(10), told(20)])
    return made


def rows_of(run: Path) -> list[SaliencyRow]:
    return list(collect_saliency(run, collect(run)))


def test_a_row_by_hand(run: Path) -> None:
    (row,) = rows_of(run)
    # Of 40 mistakes 10 and 20 stand above all else; the others tie with what is right.
    assert row.saliency == pytest.approx(((10 + 15) / 40 + (20 + 10) / 40) / 2)
    # Two seeds that differ as much say little.
    assert 0 < row.saliency_low < row.saliency < row.saliency_high < 1
    assert (row.doubt, row.mistakes, row.pgr) == pytest.approx((0.5, 0.4, 0.5))
    assert row.imitated == pytest.approx(30 / 40) and (row.weak_size, row.strong_size) == (512, 2048)


def test_doubt_is_the_supervisors_own(make_run: MakeRun, answers: Answers, put_saliency: Callable[..., None]) -> None:
    # It says 0.6 and not 1 of ten of its forty mistakes, and so is less sure of these.
    unsure = [0.4 if 60 <= place < 70 else answer for place, answer in enumerate(answers(60))]
    run = make_run(weak=[unsure], students={"naive": [answers(70)]}, ceiling=[answers(80)])
    put_saliency(run, [told(0)])
    (row,) = rows_of(run)
    assert (row.saliency, row.doubt) == pytest.approx((0.5, (10 + 15) / 40))
    dashed = [line for line in _figure([row]).axes[0].lines if line.get_linestyle() == "--"]
    assert [list(line.get_ydata()) for line in dashed] == [[row.doubt] * 2]


def test_the_report_has_a_section_files_and_a_figure(run: Path, tmp_path: Path) -> None:
    written = {path.name: path for path in write_report([run], tmp_path / "out")}
    assert {f"saliency.{end}" for end in ("csv", "json", "png", "svg")} <= set(written)
    text = written["report.md"].read_text()
    assert "## Mistakes that students can tell" in text and "| quickstart | naive | 40.0 | 0.69 [" in text
    with written["saliency.csv"].open(newline="") as stream:
        (line,) = csv.DictReader(stream)
    assert (line["saliency"], line["strong_size"]) == ("0.6875", "2048")


def test_the_figure_has_the_students_on_one_side_and_what_they_recover_on_the_other(run: Path) -> None:
    left, right = _figure(rows_of(run)).axes
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["embedded 2x32"]
    (shown,) = [line for line in right.lines if line.get_marker() == "o"]
    assert (shown.get_xdata()[0], shown.get_ydata()[0]) == pytest.approx((0.6875, 0.5))


def test_nothing_is_said_where_nobody_looked_or_nothing_is_wrong(
    make_run: MakeRun, answers: Answers, put_saliency: Callable[..., None]
) -> None:
    students = {"naive": [answers(70)]}
    assert rows_of(make_run("one", weak=[answers(60)], students=students, ceiling=[answers(80)])) == []
    right = make_run("two", weak=[answers(100)], students=students, ceiling=[answers(80)])
    put_saliency(right, [told(0)])
    assert rows_of(right) == []
