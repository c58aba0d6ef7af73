"""The written files, the terminal table and the figure of policies."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from w2s_rm.commands._common import print_summary
from w2s_rm.report import PolicyRow, collect, collect_policies, summary_text, write_report
from w2s_rm.report.drawing import CEILING, STUDENT, WEAK
from w2s_rm.report.policy.plot import _figure
from w2s_rm.report.policy.rows import policy_record

MakeRun = Callable[..., Path]
Rates = Callable[..., list[float]]
FILES = [
    *("report.md", "report.csv", "report.json", "report.html", "policy.csv", "policy.json"),
    *(f"{section}.{end}" for section in ("comparison", "calibration", "breakdown") for end in ("csv", "json")),
    *(f"{figure}.{end}" for figure in ("plot", "policy", "calibration", "breakdown") for end in ("png", "svg")),
]


def rows_of(*runs: Path) -> list[PolicyRow]:
    return [row for run in runs for row in collect_policies(run, collect(run))]


@pytest.fixture
def fallen(make_policy_run: MakeRun, rates: Rates) -> Path:
    """The policies of the student rise and fall while their proxy reward rises."""
    curves = [
        [(0, 0.0, 0.0, 0.6), (5, 1.0, 1.0, 0.8), (10, 4.0, 2.0, 0.7)],
        [(0, -0.01, 0.0, 0.6), (5, 1.4, 1.2, 0.9), (10, 4.4, 2.2, 0.7)],
    ]
    written = {("dpo", "naive"): [{"curve": curve, "before": 0.6} for curve in curves]}
    models = {"weak": [rates(0.65)] * 2, "naive": [rates(0.7)] * 2, "ceiling": [rates(0.95)] * 2}
    return make_policy_run({"dpo": models}, written=written)


@pytest.fixture(scope="module")
def reported(write_two_trainers: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that no test changes."""
    return write_two_trainers(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def report(reported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its report."""
    folder = tmp_path_factory.mktemp("report") / "out"
    assert sorted(path.name for path in write_report([reported], folder)) == sorted(FILES)
    return folder


def test_all_files_and_nothing_else(report: Path) -> None:
    assert sorted(path.name for path in report.iterdir()) == sorted(FILES)


def test_json_and_csv_have_the_rows(reported: Path, report: Path) -> None:
    rows = rows_of(reported)
    records = json.loads((report / "policy.json").read_text())
    assert records == [policy_record(row) for row in rows]
    assert records[0]["policy_pgr"] == 0.333333 and records[0]["reward_model_pgr"] == 0.4
    assert records[0]["optimised"][1]["curve"][1]["step"] == 10
    with (report / "policy.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [(line["trainer"], line["method"], line["policy_pgr"]) for line in lines[:2]] == [
        ("dpo", "naive", "0.333333"),
        ("dpo", "other", "0.5"),
    ]
    names = {f"{of}_{what}" for of in ("weak", "student", "ceiling")
             for what in ("kl", "reward", "peak_success", "peak_step", "peak_kl", "lost")}  # fmt: skip
    assert names <= lines[0].keys() and "optimised" not in lines[0]
    first = rows[0].optimised[0]
    assert float(lines[0]["weak_kl"]) == pytest.approx(first.kl) and lines[0]["weak_peak_step"] == "10"
    assert (lines[0]["policy_reliable"], lines[0]["seeds"]) == ("true", "0 1")


def test_csv_of_runs_with_and_without_weak_has_the_same_columns(
    make_policy_run: MakeRun, rates: Rates, two_trainers: Path, tmp_path: Path
) -> None:
    bare = make_policy_run({"dpo": {"naive": [rates(0.7)]}}, name="bare", weak=None, ceiling=None)
    write_report([bare, two_trainers], tmp_path)
    with (tmp_path / "policy.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert (lines[0]["weak_kl"], lines[0]["policy_pgr"], lines[0]["student_success"]) == ("", "", "0.7")
    assert all(line["weak_kl"] and None not in line for line in lines[1:])


def test_same_results_elsewhere_give_the_same_bytes(make_policy_run: MakeRun, rates: Rates, tmp_path: Path) -> None:
    def report(folder: Path) -> list[bytes]:
        models = {"weak": [rates(0.5)], "naive": [rates(0.7)], "ceiling": [rates(0.9)]}
        run = make_policy_run({"dpo": models}, root=folder / "runs")
        return [path.read_bytes() for path in write_report([run], run)]

    first = report(tmp_path / "first")
    assert first == report(tmp_path / "a second place")
    assert not any(str(tmp_path).encode() in data for data in first)


def test_markdown_has_a_section(fallen: Path, tmp_path: Path) -> None:
    write_report([fallen], tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    lines = text.splitlines()
    start = lines.index("## Policies")
    assert lines[start + 2].startswith("| Run | Policy | Trainer | Method | Reward-model PGR | Start success % |")
    row = lines[start + 4]
    assert row.startswith("| quickstart | embedded 3x128 | dpo | naive | 0.40 [")
    # Of six policies two say that they began at 60 %.
    assert "] | 53.3 | 65.0 [" in row and "] | 95.0 [" in row and "] | 0.17 [" in row
    assert any(re.match(r"!\[True success.*policy PGR 0.17 .*\]\(policy.png\)", line) for line in lines)
    assert "| quickstart | dpo | student (naive) | 1.50 | 2.00 | 70.0 | 85.0 | 5 | 1.20 | 15.0 |" in lines
    assert "| quickstart | dpo | naive | 1 | 65.0 | 70.0 | 95.0 | 0.17 |" in lines
    assert any("no reward model" not in line and line.startswith("- Policy PGR is the same formula") for line in lines)
    assert (
        "- Policies of dpo: over-optimised, the true success rate fell while the proxy reward rose: from 85.0 %" in text
    )
    assert (
        "Optimised with dpo, a policy that is right in 53.3 % at the start reaches 65.0 % against the weak reward "
        "model, 95.0 % against the ceiling's and 70.0 % against that of the student (naive): the policy recovers 0.17 "
        "of the gap, its reward model 0.40."
    ) in lines


def test_the_finding_names_the_best_method_of_each_trainer(report: Path) -> None:
    found = [line for line in (report / "report.md").read_text().splitlines() if line.startswith("Optimised with")]
    assert ["best student of 2 methods, other: the policy recovers 0." in line for line in found] == [True, True]
    assert "recovers 0.50" in found[0] and "recovers 0.67" in found[1]


def test_without_a_policy_pgr_the_finding_says_why(make_policy_run: MakeRun, rates: Rates, tmp_path: Path) -> None:
    same = make_policy_run({"dpo": {"weak": [rates(0.7)], "naive": [rates(0.8)], "ceiling": [rates(0.7)]}}, name="same")
    bare = make_policy_run({"dpo": {"weak": [rates(0.5)], "naive": [rates(0.7)]}}, name="bare", ceiling=None)
    write_report([same, bare], tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert (
        "same: Optimised with dpo, a policy that is right in 50.0 % at the start reaches 80.0 % against the student of "
        "naive. The gap is too small for a reliable policy PGR (see the warnings)."
    ) in text
    assert "bare: Optimised with dpo" in text and "none optimised against a strong ceiling's." in text
    assert "undefined [−∞, ∞] (not reliable)" in text


def test_html_holds_the_figures(report: Path) -> None:
    text = (report / "report.html").read_text(encoding="utf-8")
    assert text.count("<svg") == 4 and "<?xml" not in text and "<!DOCTYPE" not in text
    labels = re.findall(r'<div class="scroll" tabindex="0" role="img" aria-label="([A-Z][a-z ]+)', text)
    assert [label.split()[0] for label in labels][::3] == ["Accuracy", "True"]
    for name in ("plot", "calibration", "breakdown", "policy"):
        svg = (report / f"{name}.svg").read_text(encoding="utf-8")
        assert svg[svg.index("<svg") :].strip() in text


def test_the_terminal_shows_both_pgrs_side_by_side(two_trainers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_summary([two_trainers], [])
    lines = capsys.readouterr().out.splitlines()
    start = lines.index(
        "policies optimised against the reward models: embedded 3x128, success on 40 test prompts, 4 samples each"
    )
    assert start > 3 and lines[start - 1] == ""
    assert re.sub(" +", " ", lines[start + 1]) == (
        " trainer method reward-model PGR [95 %] start % weak % student % ceiling % policy PGR [95 % interval]"
    )
    assert re.fullmatch(
        r"  dpo      naive   +0\.40 \[0\.\d\d, 0\.\d\d\]     50\.0    57\.5       67\.5       87\.5  0\.33 \[.*\]",
        lines[start + 2],
    )
    assert [line.split()[:2] for line in lines[start + 2 : start + 6]] == [
        [trainer, method] for trainer in ("dpo", "rloo") for method in ("naive", "other")
    ]


def test_several_runs_share_the_terminal_table(make_policy_run: MakeRun, rates: Rates) -> None:
    models = {"weak": [rates(0.5)], "naive": [rates(0.7)], "ceiling": [rates(0.9)]}
    runs = [make_policy_run({"dpo": models}, name="a"), make_policy_run({"rloo": models}, name="b", samples=8)]
    text = summary_text([row for run in runs for row in collect(run)], rows_of(*runs))
    assert "40 test prompts, 4 samples each; embedded 3x128, success on 40 test prompts, 8 samples each" in text
    assert re.search(r"\n  recipe  trainer  method .*\n  a       dpo      naive .*\n  b       rloo     naive ", text)


def panels(*runs: Path) -> tuple[Figure, list[Axes]]:
    figure = _figure(rows_of(*runs))
    return figure, [axes for axes in figure.axes if axes.get_visible()]


def bold(axes: Axes, color: str) -> list[tuple[float, float]]:
    (line,) = [line for line in axes.lines if line.get_color() == color and line.get_linewidth() == 2.4]
    return list(zip(line.get_xdata(), line.get_ydata(), strict=True))


def test_curves_stand_at_their_values(fallen: Path) -> None:
    _, (upper, lower) = panels(fallen)
    assert bold(upper, STUDENT) == [pytest.approx(point) for point in ((0, 0.6), (1.2, 0.85), (4.2, 0.7))]
    assert bold(lower, STUDENT) == [pytest.approx(point) for point in ((0, 0.0), (1.2, 1.1), (4.2, 2.1))]
    assert bold(upper, WEAK)[-1] == pytest.approx((1.5, 0.65)) and bold(upper, CEILING)[-1][1] == pytest.approx(0.95)
    thin = [line for line in upper.lines if line.get_linewidth() == 0.9 and line.get_color() == STUDENT]
    # An estimated KL below zero is drawn at zero, where a square root begins.
    assert [list(line.get_xdata()) for line in thin] == [[0, 1, 4], [0, 1.4, 4.4]]
    (start,) = [line for line in upper.lines if line.get_linestyle() == "--"]
    assert start.get_ydata()[0] == pytest.approx(3.2 / 6)
    (ring,) = [line for line in upper.lines if line.get_markerfacecolor() == "none"]
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == pytest.approx((1.2, 0.85))


def test_ends_are_marked(fallen: Path) -> None:
    _, (upper, lower) = panels(fallen)
    for axes, ends in ((upper, (0.65, 0.7, 0.95)), (lower, (2.0, 2.1, 2.0))):
        marks = [line for line in axes.lines if line.get_marker() in "soD" and line.get_markerfacecolor() != "none"]
        assert [(line.get_marker(), line.get_ydata()[0]) for line in marks] == [
            (marker, pytest.approx(end)) for marker, end in zip("soD", ends, strict=True)
        ]


def test_axes_say_their_units(fallen: Path) -> None:
    _, (upper, lower) = panels(fallen)
    assert upper.get_title() == "dpo" and "true success rate" in upper.get_ylabel()
    assert re.sub(r"\s+", " ", lower.get_ylabel()) == "proxy reward (standard deviations above the start)"
    assert "nats per completion, square-root scale" in lower.get_xlabel()
    upper.figure.canvas.draw()
    assert all(label.get_text().endswith(" %") for label in upper.get_yticklabels())
    low, middle, high = (upper.transData.transform((kl, 0.5))[0] for kl in (0, 1, 4))
    assert middle - low == pytest.approx(high - middle)


def test_each_student_has_its_color_and_each_trainer_its_column(two_trainers: Path) -> None:
    figure, axes = panels(two_trainers)
    assert [one.get_title() for one in axes] == ["dpo", "rloo", "", ""]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        *("weak", "student (naive)", "student (other)", "ceiling", "peak", "starting policy")
    ]
    colors = [line.get_color() for line in legend.get_lines()[:4]]
    assert colors[:2] == [WEAK, STUDENT] and colors[3] == CEILING and len(set(colors)) == 4
    assert [bold(axes[0], color)[-1][1] for color in colors] == pytest.approx([0.575, 0.675, 0.725, 0.875])
    assert [bold(axes[1], color)[-1][1] for color in colors] == pytest.approx([0.625, 0.775, 0.825, 0.925])


def test_runs_are_named_and_fill_their_row_from_the_left(
    make_policy_run: MakeRun, rates: Rates, two_trainers: Path
) -> None:
    models = {"naive": [rates(0.7)], "ceiling": [rates(0.9)]}
    bare = make_policy_run({"grpo": models}, name="bare", weak=None)
    figure, axes = panels(two_trainers, bare)
    assert len(figure.axes) == 8 and len(axes) == 6
    assert [one.get_title() for one in axes] == ["quickstart: dpo", "quickstart: rloo", "", "", "bare: grpo", ""]
    assert not [line for line in axes[4].lines if line.get_color() == WEAK]
    assert "true success" in axes[4].get_ylabel() and axes[4].get_yticklabels()


def drawn(place: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= place <= limits[1]


def test_no_text_lies_on_another(make_policy_run: MakeRun, rates: Rates, two_trainers: Path) -> None:
    long = {"weak": [rates(0.5)], "a_method_with_quite_a_long_name": [rates(0.7)], "ceiling": [rates(0.9)]}
    lone = make_policy_run({"grpo": long}, name="lone")
    for runs in ((two_trainers,), (lone,), (two_trainers, lone)):
        figure, axes = panels(*runs)
        figure.canvas.draw()
        (legend,) = figure.legends
        texts = [*legend.get_texts(), legend.get_title()]
        for one in axes:
            texts += [one.title, one.xaxis.label, one.yaxis.label]
            # Ticks outside the limits have labels that are never drawn.
            texts += [tick.label1 for tick in one.yaxis.get_major_ticks() if drawn(tick.get_loc(), one.get_ylim())]
            ticks = one.xaxis.get_major_ticks() if one.get_xlabel() else []
            texts += [tick.label1 for tick in ticks if drawn(tick.get_loc(), one.get_xlim())]
        texts = [text for text in texts if text.get_visible()]
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text()]
        assert len(boxes) > 15
        over = [
            (one, other)
            for index, (one, box) in enumerate(boxes)
            for other, beside in boxes[:index]
            if box.padded(-2).overlaps(beside.padded(-2))
        ]
        assert not over
        width, height = figure.canvas.get_width_height()
        assert not [text for text, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height]
