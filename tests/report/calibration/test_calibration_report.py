"""Calibration in a report: numbers by hand, before and after a temperature, in words, files and a figure."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from sealing import reseal

from w2s_rm.data.predictions import write_predictions
from w2s_rm.metrics.calibration import brier_score, expected_calibration_error, negative_log_likelihood
from w2s_rm.metrics.temperature import cross_fitted
from w2s_rm.report import write_report
from w2s_rm.report.calibration import CalibrationRow, collect_calibration
from w2s_rm.report.calibration.plot import _figure
from w2s_rm.report.scored import read_scored
from w2s_rm.runs.plan import read_run
from w2s_rm.types import Predictions

MakeRun = Callable[..., Path]
Answers = Callable[..., list[float]]
Put = Callable[..., Path]
N = 300
Scores = list[list[float]]


def rows_of(run: Path) -> list[CalibrationRow]:
    return collect_calibration(run, read_scored(read_run(run)))


def said(sharpness: float, seed: int, k: Sequence[int] = (2,)) -> tuple[Scores, list[int]]:
    """Scores, and right candidates from a model that says the same less sharply; `k` candidates in turn."""
    rng = np.random.default_rng(seed)
    rows = [1.5 * rng.normal(size=k[place % len(k)]) for place in range(N)]
    gold = [int((row + rng.gumbel(size=len(row))).argmax()) for row in rows]
    return [(sharpness * row).tolist() for row in rows], gold


def put_scores(run: Path, of: str, seed: int, scores: Scores, gold: Sequence[int | None]) -> None:
    (folder,) = (run.parent / "stages").glob(f"evaluate-{run.name}-{of}-*-{seed}")
    ids = tuple(f"e{i:04d}" for i in range(len(scores)))
    write_predictions(folder / "predictions.parquet", [Predictions(ids, tuple(map(tuple, scores)), tuple(gold))])
    reseal(run)


def make(
    make_run: MakeRun, name: str = "quickstart", k: Sequence[int] = (2,)
) -> tuple[Path, dict[str, Scores], list[int]]:
    """A run with one seed whose supervisor is three times as sure as it is right, and whose ceiling is calibrated."""
    blank = [[0.0] * N]
    run = make_run(name, weak=blank, students={"naive": blank}, ceiling=blank)
    sharp, gold = said(3.0, 3, k)
    models = {"weak": sharp, "student": [[s / 6 for s in row] for row in sharp]}
    models["ceiling"] = [[s / 3 for s in row] for row in sharp]
    for of, scores in models.items():
        put_scores(run, of, 0, scores, gold)
    return run, models, gold


@pytest.mark.parametrize("k", [(2,), (2, 3, 5)])
def test_rows_have_the_metrics_of_the_scores(make_run: MakeRun, k: Sequence[int]) -> None:
    run, models, gold = make(make_run, k=k)
    rows = {row.role: row for row in rows_of(run)}
    assert list(rows) == ["weak", "student", "ceiling"]
    for role, row in rows.items():
        assert row.nll == pytest.approx(negative_log_likelihood(models[role], gold))
        assert row.brier == pytest.approx(brier_score(models[role], gold))
        assert row.ece_plain == pytest.approx(expected_calibration_error(models[role], gold))
        assert row.nll_low < row.nll < row.nll_high and row.brier_low < row.brier < row.brier_high
        assert row.ece_low <= row.ece <= row.ece_high
        assert row.overconfidence == pytest.approx(row.confidence - row.accuracy)
    # Too sure, not sure enough, as sure as right.
    assert rows["weak"].overconfidence_low > 0 > rows["student"].overconfidence_high
    assert rows["ceiling"].ece_low == 0 and rows["weak"].ece_low > 0
    # A temperature makes the same of all three, for they differ in nothing else.
    assert rows["weak"].temperature == pytest.approx(3 * rows["ceiling"].temperature)
    assert rows["student"].temperature == pytest.approx(rows["ceiling"].temperature / 2)
    for name in ("tempered_nll", "tempered_brier", "tempered_ece_plain"):
        assert getattr(rows["weak"], name) == pytest.approx(getattr(rows["student"], name))
    assert rows["weak"].tempered_nll < rows["weak"].nll and rows["weak"].accuracy == rows["ceiling"].accuracy


def test_a_temperature_is_never_judged_by_its_own_fit(make_run: MakeRun) -> None:
    run, _, _ = make(make_run)
    scored = read_scored(read_run(run))[0]
    tempered = cross_fitted(scored.said_S[0], scored.samples_S[0].second_N)
    row = rows_of(run)[0]
    assert tempered is not None and row.tempered_nll == pytest.approx(tempered.said.loss_B.mean())
    assert row.temperature == pytest.approx(math.sqrt(math.prod(tempered.temperatures)))


def test_neither_the_order_of_examples_nor_of_candidates_matters(make_run: MakeRun) -> None:
    run, models, gold = make(make_run, "one", k=(2, 3))
    turned, _, _ = make(make_run, "two", k=(2, 3))
    for of, scores in models.items():
        back, right = [row[::-1] for row in scores], [len(r) - 1 - g for r, g in zip(scores, gold, strict=True)]
        order = np.random.default_rng(0).permutation(N)
        (folder,) = (turned.parent / "stages").glob(f"evaluate-two-{of}-*-0")
        parts = Predictions(
            tuple(f"e{i:04d}" for i in order), tuple(tuple(back[i]) for i in order), tuple(right[i] for i in order)
        )
        write_predictions(folder / "predictions.parquet", [parts])
    reseal(turned)
    numbers = ("nll", "nll_low", "nll_high", "brier_high", "ece", "ece_low", "ece_high", "temperature", "tempered_nll")
    for row, other in zip(rows_of(run), rows_of(turned), strict=True):
        assert [getattr(row, n) for n in numbers] == pytest.approx([getattr(other, n) for n in numbers])


def test_groups_that_are_alike_widen_the_interval(make_run: MakeRun, put_examples: Put) -> None:
    run, models, gold = make(make_run, "alone")
    grouped, _, _ = make(make_run, "grouped")
    # Ten examples of each group are the same.
    for each, groups in ((run, [str(i) for i in range(N)]), (grouped, [str(i // 10) for i in range(N)])):
        put_examples(each, groups, gold)
        for of, scores in models.items():
            put_scores(each, of, 0, [scores[i // 10] for i in range(N)], [gold[i // 10] for i in range(N)])
    alone, together = rows_of(run)[0], rows_of(grouped)[0]
    assert (alone.nll, alone.n_groups, together.n_groups) == (together.nll, 300, 30)
    assert (together.nll_high - together.nll_low) / (alone.nll_high - alone.nll_low) == pytest.approx(10**0.5, rel=0.2)


def test_seeds_widen_the_interval(make_run: MakeRun, answers: Answers) -> None:
    def row(second: int) -> CalibrationRow:
        students = {"naive": [answers(60), answers(second), answers(60)]}
        return rows_of(make_run(str(second), weak=None, students=students, ceiling=None))[0]

    alike, apart = row(60), row(90)
    assert (alike.n_seeds, alike.accuracy, apart.accuracy) == pytest.approx((3, 0.6, 0.7))
    widths = [one.overconfidence_high - one.overconfidence_low for one in (alike, apart)]
    assert widths[1] > 2 * widths[0]


def test_impossible_truths_have_no_likelihood(make_run: MakeRun) -> None:
    run, models, gold = make(make_run)
    excluded = [[-math.inf if k == gold[0] else s for k, s in enumerate(models["weak"][0])], *models["weak"][1:]]
    put_scores(run, "weak", 0, excluded, gold)
    row = rows_of(run)[0]
    assert (row.n_excluded, row.nll, row.nll_low, row.temperature, row.tempered_bins) == (1, None, None, None, ())
    files = {path.name: path for path in write_report([run], run)}
    line = next(x for x in files["report.md"].read_text().splitlines() if "| weak |" in x and "∞" in x)
    assert line.count("| –") == 3
    assert json.loads(files["calibration.json"].read_text())[0]["nll"] is None


@pytest.mark.parametrize("scores", [[5.0, 0.0], [1.0, 1.0]])
def test_one_class_and_nothing_but_ties(make_run: MakeRun, scores: list[float]) -> None:
    run, _, _ = make(make_run)
    for of in ("weak", "student", "ceiling"):
        put_scores(run, of, 0, [scores] * N, [0] * N)
    for row in rows_of(run):
        assert row.temperature is None and len(row.bins) == 1
        assert (row.nll_low, row.nll_high, row.brier_low) == pytest.approx((row.nll, row.nll, row.brier))
    assert write_report([run], run)


def test_the_report_and_its_files(make_run: MakeRun, tmp_path: Path) -> None:
    run, _, _ = make(make_run)
    files = {path.name: path for path in write_report([run], tmp_path / "out")}
    assert {f"calibration.{end}" for end in ("csv", "json", "png", "svg")} <= set(files)
    text = files["report.md"].read_text()
    section = text[text.index("## Calibration") :].split("\n## ")[0]
    assert len([line for line in section.splitlines() if line.startswith("|")]) == 2 + 3
    (weak, _, _) = rows_of(run)
    assert f"| quickstart | weak | {100 * weak.overconfidence:.1f} [" in section
    assert f" | {weak.temperature:.2f} | {weak.tempered_nll:.3f} | " in section
    records = json.loads(files["calibration.json"].read_text())
    assert len(records[0]["bins"]) == 15 and records[0]["bins"][0].keys() == {"confidence", "accuracy", "error"}
    with files["calibration.csv"].open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["role"] for line in lines] == ["weak", "student", "ceiling"]
    assert "bins" not in lines[0] and float(lines[0]["ece"]) == records[0]["ece"]


def test_without_ground_truth_there_is_no_section(make_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    run = make_run(weak=None, students={"naive": [answers(75)]}, ceiling=None, gold=[None] * 100)
    assert rows_of(run) == []
    assert not [path for path in write_report([run], tmp_path) if path.stem == "calibration"]
    assert "Calibration" not in (tmp_path / "report.md").read_text()


def test_the_figure_has_a_panel_for_each_row(make_run: MakeRun) -> None:
    run, _, _ = make(make_run)
    rows = rows_of(run)
    figure = _figure(rows)
    assert [axes.get_title() for axes in figure.axes] == ["weak", "student naive", "ceiling"]
    for axes, row in zip(figure.axes, rows, strict=True):
        assert axes.get_xlim() == axes.get_ylim() and axes.get_xlim()[0] < min(one.accuracy for one in row.bins)
        diagonal, tempered, plain = axes.lines
        assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())
        assert list(plain.get_xdata()) == [one.confidence for one in row.bins]
        assert list(tempered.get_ydata()) == [one.accuracy for one in row.tempered_bins]
    several = _figure([*rows, *rows_of(make(make_run, "second")[0])])
    assert several.axes[3].get_title() == "second\nweak" and len(several.axes) == 6
