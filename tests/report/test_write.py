"""The written files: complete, reproducible to the byte, valid, and free of anything private."""

import csv
import dataclasses
import json
import math
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import w2s_rm
from w2s_rm.errors import ArtifactError, ConfigError
from w2s_rm.render.elements import Heading, Paragraph, Table
from w2s_rm.render.markdown import markdown
from w2s_rm.render.page import page
from w2s_rm.report import collect, write_report
from w2s_rm.report.content import blocks
from w2s_rm.report.rows import row_record
from w2s_rm.settings import SETTINGS

MakeRun = Callable[..., Path]
Answers = Callable[..., list[float]]
FILES = [
    *("report.md", "report.csv", "report.json", "report.html", "comparison.csv", "comparison.json"),
    *("calibration.csv", "calibration.json", "breakdown.csv", "breakdown.json", "plot.png", "plot.svg"),
    *("calibration.png", "calibration.svg", "breakdown.png", "breakdown.svg"),
]
DESIGN_KEYS = {
    *("setting", "task", "weak_model", "strong_model", "method", "seeds", "n_test", "chance", "weak_accuracy"),
    *("student_accuracy", "ceiling_accuracy", "pgr", "pgr_low", "pgr_high", "reliable"),
}


@pytest.fixture(scope="module")
def run(write_run: MakeRun, answers: Answers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that no test changes."""
    students = {"naive": [answers(75)] * 2, "logconf": [answers(80), answers(81)]}
    models = {"weak": [answers(65)] * 2, "students": students, "ceiling": [answers(90)] * 2}
    return write_run(root=tmp_path_factory.mktemp("runs"), **models)


@pytest.fixture(scope="module")
def written(run: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The files of its report."""
    return write_report([run], tmp_path_factory.mktemp("report") / "out" / "deep")


def read(written: list[Path], name: str) -> str:
    (path,) = (path for path in written if path.name == name)
    return path.read_text(encoding="utf-8")


def test_all_files_and_nothing_else(written: list[Path]) -> None:
    assert sorted(path.name for path in written) == sorted(FILES)
    assert sorted(path.name for path in written[0].parent.iterdir()) == sorted(FILES)


def test_the_finding_is_a_reliable_number_or_none(make_run: MakeRun, answers: Answers) -> None:
    """A method with a gap of its own, too small for a PGR, is not called the best, however large its PGR."""
    run = make_run(
        weak=[answers(65)] * 2,
        students={"naive": [answers(75)] * 2, "own": [answers(95)] * 2},
        ceiling=[answers(90)] * 2,
    )
    rows = collect(run)
    sound, unsound = rows[0], dataclasses.replace(rows[1], method="own", pgr=14.0, reliable=False)
    (sentence,) = [one.text for one in blocks([sound, unsound]) if isinstance(one, Paragraph)][:1]
    assert "naive, reaches 75.0 % and recovers 0.40 of the gap" in sentence and "own" not in sentence
    (sentence,) = [one.text for one in blocks([unsound]) if isinstance(one, Paragraph)][:1]
    assert "too small for a reliable PGR" in sentence and "14" not in sentence


def test_same_results_elsewhere_give_the_same_bytes(make_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    def report(folder: Path) -> list[bytes]:
        students = {"naive": [answers(75)] * 2, "other": [answers(66)] * 2}
        run = make_run(
            root=folder / "runs",
            weak=[answers(65)] * 2,
            students=students,
            ceiling=[answers(66, start=5)] * 2,
            zero_shot=answers(60),
            greedy={"student": [1, -1] * 50},
            prepared={"length_only": 0.51},
            weak_model=f"{folder}/models/small",
        )
        return [path.read_bytes() for path in write_report([run], run)]

    first = report(tmp_path / "first")
    assert first == report(tmp_path / "a second place")
    assert not any(str(tmp_path).encode() in data for data in first)


def test_no_dates_in_text_files(written: list[Path]) -> None:
    for path in written:
        if path.suffix != ".png":
            assert not re.search(r"20\d\d-\d\d-\d\d|\d\d:\d\d:\d\d", path.read_text(encoding="utf-8")), path.name


def test_json_has_the_rows(run: Path, written: list[Path]) -> None:
    records = json.loads(read(written, "report.json"))
    assert records == [row_record(row) for row in collect(run)]
    assert all(record.keys() >= DESIGN_KEYS for record in records)
    assert records[0]["pgr"] == 0.4  # (75 - 65) / (90 - 65)
    assert records[1]["pgr"] == 0.62  # (80.5 - 65) / 25


def test_json_holds_null_never_nan(make_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    same = [answers(70)]
    undefined = make_run("a", weak=same, students={"naive": [answers(75)]}, ceiling=same)
    no_truth = make_run("b", weak=None, students={"naive": [answers(75)]}, ceiling=None, gold=[None] * 100)
    write_report([undefined, no_truth], tmp_path / "out")

    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} in report.json")

    first, second = json.loads((tmp_path / "out" / "report.json").read_text(), parse_constant=refuse)
    assert (first["pgr"], first["pgr_low"], first["pgr_high"], first["reliable"]) == (None, None, None, False)
    assert (second["student_accuracy"], second["pgr"], second["reliable"]) == (None, None, None)
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "nan" not in text and "inf" not in text.replace("information", "")
    assert "undefined [−∞, ∞] (not reliable)" in text
    assert "no ground truth, so there are no accuracies, no ceiling and no PGR" in text


def test_csv_reloads(written: list[Path]) -> None:
    with (written[0].parent / "report.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    records = json.loads(read(written, "report.json"))
    assert len(lines) == len(records) == 2
    for line, record in zip(lines, records, strict=True):
        assert line["seeds"] == "0 1" and line["reliable"] == "true" and line["method"] == record["method"]
        for name, value in record.items():
            if isinstance(value, float):
                assert math.isclose(float(line[name]), value)


def test_baselines_and_greedy_answers_are_tables(make_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    run = make_run(
        weak=[answers(65)] * 2,
        students={"naive": [answers(75)] * 2},
        ceiling=[answers(90)] * 2,
        zero_shot=answers(0),
        greedy={"student": [1] * 100, "ceiling": [-1, 0] * 50},
        prepared={"length_only": 0.512, "bag_of_words": 0.55},
    )
    write_report([run], tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("## ")][:6] == [
        "## Results",
        "## Baselines",
        "## Greedy answers",
        "## Calibration",
        "## Accuracy more closely",
        "## How to read this",
    ]
    for line in (
        "| quickstart | chance | 50.0 |",
        "| quickstart | length only | 51.2 |",
        "| quickstart | bag of words | 55.0 |",
        "| quickstart | untrained student (zero-shot) | 0.0 [0.0, 3.8] |",
        "| quickstart | naive | – | 100.0 [96.2, 100.0] | 0.0 [0.0, 3.8] | – | – |",
        "| quickstart | naive | – | 0.0 | 50.0 | – |",
    ):
        assert line in text.splitlines()
    (record,) = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (record["zero_shot_accuracy"], record["length_only"], record["bag_of_words"]) == (0.0, 0.512, 0.55)
    assert (record["student_exact_match"], record["ceiling_no_candidate"]) == (1.0, 0.5)
    with (tmp_path / "out" / "report.csv").open(newline="") as stream:
        (line_of_csv,) = csv.DictReader(stream)
    assert (line_of_csv["student_exact_match"], line_of_csv["weak_exact_match"]) == ("1.0", "")


def test_nothing_is_said_about_what_was_not_measured(written: list[Path]) -> None:
    text = read(written, "report.md")
    assert "| quickstart | chance | 50.0 |" in text.splitlines()
    assert "| untrained" not in text and "## Greedy answers" not in text and "## Side by side" not in text


def test_csv_leaves_missing_values_empty(make_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    write_report([make_run(weak=None, students={"naive": [answers(75)]}, ceiling=None)], tmp_path / "out")
    with (tmp_path / "out" / "report.csv").open(newline="") as stream:
        (line,) = csv.DictReader(stream)
    assert (line["pgr"], line["weak_accuracy"], line["reliable"], line["student_accuracy"]) == ("", "", "", "0.75")


def test_html_is_self_contained(written: list[Path]) -> None:
    text = read(written, "report.html")
    assert "<svg" in text and "<?xml" not in text and text.count("<!doctype") == 1 and "<!DOCTYPE" not in text
    # Only places in the page, and the numbers of its figures, which it holds itself.
    assert not re.search(r'(src|href)="(?!#|data:text/csv)', text.replace("xlink:href", "href"))


def test_several_runs_in_the_given_order(run: Path, make_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    students = {"naive": [answers(60)] * 2}
    chess = make_run(
        "mates", weak=[answers(20)] * 2, students=students, ceiling=[answers(90)] * 2, setting="chess", k=20
    )
    write_report([chess, run], tmp_path / "out")
    records = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [(record["setting"], record["method"]) for record in records] == [
        ("chess", "naive"),
        ("reward_modeling", "naive"),
        ("reward_modeling", "logconf"),
    ]
    assert records[0]["chance"] == 0.05
    lines = (tmp_path / "out" / "report.md").read_text(encoding="utf-8").splitlines()
    first = lines.index("## Side by side") + 4
    assert lines[first].startswith("| chess / world\\_preference | naive | 5.0 | 20.0 | 60.0 | 90.0 | 0.57 [0.")
    assert lines[first + 1].startswith(
        "| reward\\_modeling / world\\_preference | naive | 50.0 | 65.0 | 75.0 | 90.0 | "
    )


def test_nothing_is_written_when_a_run_is_broken(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        write_report([run, tmp_path / "absent"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="at least one run"):
        write_report([], tmp_path / "out")


def test_an_interrupted_write_leaves_the_old_file(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in write_report([run], tmp_path / "out")}

    def fail(*_: object) -> None:
        raise OSError("disk gone")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk gone"):
        write_report([run], tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_names_cannot_become_markup() -> None:
    content = [Heading("a_b_c", 2), Paragraph("<b>"), Table(("x|y",), (("*1*",),))]
    assert markdown(content) == "## a\\_b\\_c\n\n\\<b>\n\n| x\\|y |\n| :-- |\n| \\*1\\* |\n"
    assert "<p>&lt;b&gt;</p>" in page(content, {})


def test_long_lists_and_names_still_make_a_figure(make_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    students = {f"{'a_very_long_method_name ' * 6}{i}": [answers(66 + i)] for i in range(12)}
    run = make_run(weak=[answers(65)], students=students, ceiling=[answers(90)], strong_model="x/" + "long" * 40)
    write_report([run], tmp_path / "out")
    png = (tmp_path / "out" / "plot.png").read_bytes()
    width, height = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
    assert width == 12 * 150 and 800 < height < 2200


def test_neither_report_nor_metrics_name_a_setting() -> None:
    package = Path(w2s_rm.__file__).parent
    wrong = [
        f"{path.name}: {name}"
        for part in ("report", "metrics")
        for path in (package / part).glob("*.py")
        for name in SETTINGS
        if re.search(rf"(?<![\w-]){name}\b", path.read_text(encoding="utf-8"))
    ]
    assert not wrong


def test_three_runs_of_usual_size(make_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    def run(name: str, k: int) -> Path:
        rng = random.Random(k)

        def drawn(accuracy: float) -> list[list[float]]:
            return [[float(rng.random() < accuracy) for _ in range(2000)] for _ in range(3)]

        students = {"naive": drawn(0.75), "log_confidence": drawn(0.8)}
        return make_run(
            name, weak=drawn(0.65), students=students, ceiling=drawn(0.9), zero_shot=drawn(0.5)[0], k=k, setting=name
        )

    runs = [run("pairs", 2), run("answers", 4), run("moves", 30)]
    write_report(runs, tmp_path / "out")
    rows = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert [row["setting"] for row in rows] == [name for name in ("pairs", "answers", "moves") for _ in range(2)]
    assert {row["n_test"] for row in rows} == {2000}
