"""Which methods help: differences to the baseline, intervals that hold together, in words, a table and a figure."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from w2s_rm.data.predictions import read_predictions
from w2s_rm.metrics.intervals import difference_interval
from w2s_rm.metrics.pairing import paired_correctness
from w2s_rm.render.elements import Paragraph, Table
from w2s_rm.report import compare, write_report
from w2s_rm.report.comparison.content import comparison_blocks
from w2s_rm.report.comparison.plot import _figure
from w2s_rm.report.comparison.ranking import rank_methods
from w2s_rm.report.comparison.rows import ComparisonRow
from w2s_rm.runs.plan import read_run
from w2s_rm.types import Predictions

MakeRun = Callable[..., Path]
Answers = Callable[..., list[float]]


@pytest.fixture(scope="module")
def runs(write_run: MakeRun, answers: Answers, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """`better` is so in both runs, `mixed` in the first alone and worse in the second, `alike` nowhere."""
    root = tmp_path_factory.mktemp("runs")

    def run(name: str, mixed: int, **plan: str) -> Path:
        students = {"naive": [answers(600, 1000)] * 2, "better": [answers(700, 1000)] * 2}
        students |= {"mixed": [answers(mixed, 1000)] * 2, "alike": [answers(600, 1000, start=300)] * 2}
        both = {"weak": [answers(500, 1000)] * 2, "ceiling": [answers(800, 1000)] * 2}
        return write_run(name, root=root, students=students, **both, **plan)

    return [run("first", 680), run("second", 520)]


@pytest.fixture(scope="module")
def written(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of their report by name."""
    return {path.name: path for path in write_report(runs, tmp_path_factory.mktemp("report"))}


def test_p_values_are_adjusted_within_the_setting(runs: list[Path]) -> None:
    rows = compare(runs)
    for row in rows:
        assert (row.p < 0.05) == (row.alone_low > 0 or row.alone_high < 0)
        assert 0 <= row.p <= row.p_holm <= 1
    # The smallest of six is multiplied by six; a difference of nothing has 1.
    least = min(rows, key=lambda row: row.p)
    assert least.p_holm == pytest.approx(6 * least.p)
    assert [row.p_holm for row in rows if row.method == "alike"] == [1, 1]


def test_the_recipe_says_what_others_are_compared_with(make_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    students = {"naive": [answers(60)], "own": [answers(70)], "other": [answers(65, start=3)]}
    named = make_run("named", weak=[answers(50)], students=students, ceiling=[answers(80)], compare_to="own")
    rows = compare([named])
    assert [(row.method, row.difference_to) for row in rows] == [("naive", "own"), ("other", "own")]
    assert [row.difference for row in rows] == pytest.approx([-0.1, -0.05])
    text = (write_report([named], tmp_path / "named")[0]).read_text()
    assert "## Methods beside own" in text and "worse: other, naive." in text
    first = make_run("first", weak=[answers(50)], students=students, ceiling=[answers(80)])
    both = compare([named, first])
    assert [row.difference_to for row in both] == ["own", "own", "naive", "naive"]
    paragraphs = [block.text for block in comparison_blocks(both) if type(block).__name__ == "Paragraph"]
    assert len(paragraphs) == 2 and "better than own" not in paragraphs[0] and "better than naive" in paragraphs[1]


def test_what_is_the_same_in_every_example_widens_nothing(make_run: MakeRun, answers: Answers) -> None:
    students = {"naive": [answers(60)] * 2, "better": [answers(70, start=5)] * 2}
    alone = compare([make_run("alone", weak=None, students=students, ceiling=None)])
    (better, same) = compare([make_run(weak=None, students={**students, "same": [answers(60)] * 2}, ceiling=None)])
    assert (better.low, better.high) == (alone[0].low, alone[0].high)
    # A bound from the number of examples: with t of 99 degrees of freedom 1.984² / (100 + 1.984²).
    assert (same.low, same.high, same.p) == (pytest.approx(-0.03788, abs=1e-5), pytest.approx(0.03788, abs=1e-5), 1)


def test_two_runs_of_one_name_are_two(write_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    """Runs of one recipe in two folders, as from two machines."""
    folders = [
        write_run(
            "same",
            root=tmp_path / place,
            weak=[answers(500, 1000)],
            students={"naive": [answers(700, 1000)], "other": [answers(other, 1000)]},
            ceiling=[answers(800, 1000)],
        )
        for place, other in (("here", 760), ("there", 600))
    ]
    blocks = comparison_blocks(compare(folders))
    (words,) = (block for block in blocks if isinstance(block, Paragraph))
    assert words.text.endswith("2 runs, 2 comparisons: better than naive: other (1 of 2); worse: other (1 of 2).")
    table, p_values = (block for block in blocks if isinstance(block, Table))
    assert table.header == ("Method", "Mean", "same", "same (2)")
    ((_, _, first, second),) = table.lines
    assert str(first).endswith("+") and str(second).endswith("−")
    assert [line[:2] for line in p_values.lines] == [("other", "same"), ("other", "same (2)")]


def test_differences_and_what_they_hold(runs: list[Path]) -> None:
    rows = compare(runs)
    assert [(row.recipe, row.method) for row in rows] == [
        (recipe, method) for recipe in ("first", "second") for method in ("better", "mixed", "alike")
    ]
    assert [row.difference for row in rows] == pytest.approx([0.1, 0.08, 0.0, 0.1, -0.08, 0.0])
    assert [row.better for row in rows] == [True, True, False, True, False, False]
    assert [row.worse for row in rows] == [False, False, False, False, True, False]
    assert all(row.n_test == 1000 and row.n_seeds == 2 for row in rows)
    for row in rows:
        assert row.low < row.alone_low < row.difference < row.alone_high < row.high


def test_an_interval_alone_is_that_of_one_difference(make_run: MakeRun, answers: Answers) -> None:
    students = {"naive": [answers(60), answers(62)], "other": [answers(70, start=5), answers(66)]}
    run = make_run(weak=None, students=students, ceiling=None)
    (row,) = compare([run])
    credits = paired_correctness({name: predictions(run, name) for name in students})
    expected = difference_interval(credits["other"], credits["naive"])
    assert (row.difference, row.alone_low, row.alone_high) == pytest.approx(
        (expected.value, expected.low, expected.high), abs=1e-12
    )


def predictions(run: Path, method: str) -> list[Predictions]:
    stages = read_run(run).find_all("evaluate", "student", method)
    return [read_predictions(stage.folder / "predictions.parquet") for stage in stages]


def test_runs_are_independent_of_each_other(make_run: MakeRun, answers: Answers) -> None:
    students = {"naive": [answers(600, 1000)], "better": [answers(640, 1000, start=30)]}
    twins = [make_run(name, weak=None, students=students, ceiling=None) for name in ("one", "other")]
    (alone,), (first, second) = compare(twins[:1]), compare(twins)
    # Two that are right or wrong together would cost nothing; of two independent ones the factor is 2.24, not 1.96.
    widths = [(row.high - row.low) / (alone.high - alone.low) for row in (first, second)]
    assert widths == pytest.approx([2.236 / 1.960] * 2, rel=0.02)


def test_each_setting_has_a_family_of_its_own(runs: list[Path], make_run: MakeRun, answers: Answers) -> None:
    students = {"naive": [answers(60)], "better": [answers(70)]}
    other = make_run("third", weak=[answers(50)], students=students, ceiling=[answers(80)], setting="chess")
    alone, together = compare([other]), compare([*runs, other])
    assert [row.setting for row in together] == ["reward_modeling"] * 6 + ["chess"]
    # Its resamples come in another order; its factor is the same.
    assert together[-1] == alone[0]
    assert compare(runs) == together[:6]


def test_the_report_says_what_held_where(written: dict[str, Path]) -> None:
    assert {f"comparison.{end}" for end in ("csv", "json", "png", "svg")} <= set(written)
    text = written["report.md"].read_text()
    assert "## Methods beside naive" in text
    assert (
        "2 runs, 6 comparisons: better than naive: better (in all), mixed (1 of 2); worse: mixed (1 of 2); "
        "not told apart from it: alike." in text
    )
    lines = [line for line in text.splitlines() if line.startswith(("| better", "| mixed", "| alike"))]
    assert lines[0].startswith("| better | 10.0 | 10.0 [") and lines[0].count(" +") == 2
    with written["comparison.csv"].open() as file:
        first, *_ = csv.DictReader(file)
    assert (first["recipe"], first["method"], first["difference"]) == ("first", "better", "0.1")
    assert len(json.loads(written["comparison.json"].read_text())) == 6


def test_one_run_needs_no_counts_and_few_comparisons_no_figure(make_run: MakeRun, answers: Answers) -> None:
    students = {"naive": [answers(60)], "other": [answers(62)]}
    rows = compare([make_run(weak=None, students=students, ceiling=None)])
    content = comparison_blocks(rows)
    assert content[1].text == "reward_modeling, 1 run, 1 comparison: not told apart from it: other."
    assert not any(type(block).__name__ == "Figure" for block in content)


def test_without_another_method_there_is_no_section(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(weak=None, students={"naive": [answers(60)]}, ceiling=None)
    assert compare([run]) == []


def test_without_ground_truth_there_is_none(make_run: MakeRun, answers: Answers) -> None:
    students = {"naive": [answers(60)], "other": [answers(62)]}
    assert compare([make_run(weak=None, students=students, ceiling=None, gold=[None] * 100)]) == []


def test_the_figure_fills_what_is_told_apart(runs: list[Path]) -> None:
    (axes,) = _figure(compare(runs)).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["better", "mixed", "alike"]
    marks = [line for line in axes.lines if line.get_marker() == "o"]
    assert sorted(line.get_xdata()[0] for line in marks) == pytest.approx([-8, 0, 0, 8, 10, 10])
    assert sum(line.get_markerfacecolor() == "white" for line in marks) == 2
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["first", "second"]


def test_methods_are_ranked_over_runs(
    runs: list[Path], written: dict[str, Path], make_run: MakeRun, answers: Answers
) -> None:
    records = {record["method"]: record for record in json.loads(written["ranking.json"].read_text())}
    # Places in the two runs: better 1 1, mixed 2 4, naive and alike share 3.5 and 2.5.
    assert {name: record["mean_rank"] for name, record in records.items()} == {
        "better": 1,
        "mixed": 3,
        "naive": 3,
        "alike": 3,
    }
    assert records["better"]["wins"] == 2 and records["mixed"]["wins"] == 0
    assert records["mixed"]["mean_rank_low"] < 3 < records["mixed"]["mean_rank_high"]
    assert records["better"]["runs"] == ["first", "second"] and records["better"]["n_methods"] == 4
    text = written["report.md"].read_text()
    assert ", 4 methods that all 2 runs have." in text and "| better | 1.00 [1.00, " in text
    # A third run that lacks a method takes it out; one run of a setting, or one shared method, is no ranking.
    third = make_run("third", weak=None, students={"better": [answers(60)], "naive": [answers(50)]}, ceiling=None)
    chess = make_run(
        "fourth", weak=None, students={"a": [answers(6)], "b": [answers(5)]}, ceiling=None, setting="chess"
    )
    assert [row.method for row in rank_methods([*runs, third, chess])] == ["better", "naive"]
    alone = make_run("fifth", weak=None, students={"naive": [answers(50)]}, ceiling=None)
    assert rank_methods([*runs, alone]) == rank_methods([third]) == []


def row_of(method: str, low: float, high: float) -> ComparisonRow:
    middle = (low + high) / 2
    return ComparisonRow("run", "chess", "t", method, "naive", 100, 3, middle, low, high, low, high, 0.5, 1.0)


def test_a_control_that_is_far_off_does_not_press_the_others_into_a_line() -> None:
    rows = [row_of(f"m{number}", -0.02, 0.01 * number / 10) for number in range(12)]
    (near,) = _figure(rows).axes
    (far,) = _figure([*rows, row_of("shuffle", -0.5, -0.3)]).axes
    assert far.get_xlim() == near.get_xlim() == pytest.approx((-2.5, 2.5))
    (wider,) = _figure([row_of(f"m{number}", -0.04, 0.0) for number in range(12)]).axes
    assert wider.get_xlim() == pytest.approx((-5.0, 5.0))
    # An arrow at the edge instead, and no mark where it would not be seen.
    assert not [line for line in near.lines if line.get_marker() in "<>"]
    (arrow,) = [line for line in far.lines if line.get_marker() == "<"]
    assert list(arrow.get_xdata()) == [far.get_xlim()[0]]
    assert min(line.get_xdata()[0] for line in far.lines if line.get_marker() == "o") >= -2.5
