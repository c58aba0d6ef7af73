"""What reports say about layers and penalties: the path of each method, what was chosen, and the figure."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from w2s_rm.errors import ArtifactError
from w2s_rm.report import collect, collect_features, write_report
from w2s_rm.report.features.plot import _figure
from w2s_rm.runs.folder import StageFolder

MakeRun = Callable[..., Path]
# Of layer 1 and layer 2, each with a small and a large penalty; 2 seeds.
PLACES = [(1, 0.1), (1, 1.0), (2, 0.1), (2, 1.0)]


def put_path(run: Path, of: str, method: str | None, seed: int, accuracies: list[float | None], chosen: int) -> None:
    """Say in the manifest of an evaluation what it tried."""
    (stage,) = (
        Path(stage["folder"])
        for stage in json.loads((run / "plan.json").read_text())["stages"]
        if (stage["stage"], stage["of"], stage["method"], stage["seed"]) == ("evaluate", of, method, seed)
    )
    path = [
        {"layer": layer, "l2": l2, "accuracy": accuracy}
        for (layer, l2), accuracy in zip(PLACES, accuracies, strict=True)
    ]
    counts: dict[str, Any] = {"path": path, "layer": PLACES[chosen][0], "l2": PLACES[chosen][1]}
    StageFolder(stage).seal({"counts": counts})


@pytest.fixture
def run(make_run: MakeRun, answers: Callable[..., list[float]]) -> Path:
    """Weak 60 %, the chosen ceiling 80 %, the student 65 % and 67 %; `plain` is no linear model."""
    students = {"naive": [answers(65), answers(67)], "plain": [answers(70)] * 2}
    run = make_run(weak=[answers(60)] * 2, students=students, ceiling=[answers(80)] * 2)
    put_path(run, "student", "naive", 0, [0.61, 0.65, 0.70, 0.76], 1)
    put_path(run, "student", "naive", 1, [0.63, 0.65, 0.66, 0.78], 2)
    for seed in (0, 1):
        put_path(run, "ceiling", None, seed, [0.75, 0.74, 0.82, 0.80], 3)
    return run


def test_every_place_has_its_row(run: Path) -> None:
    rows = collect_features(run, collect(run))
    assert [(row.method, row.layer, row.l2) for row in rows] == [("naive", *place) for place in PLACES]
    assert [row.student_accuracy for row in rows] == pytest.approx([0.62, 0.65, 0.68, 0.77])
    assert [row.like_ceiling_accuracy for row in rows] == pytest.approx([0.75, 0.74, 0.82, 0.80])
    # Between the supervisor and the ceiling that was chosen, wherever the student stands.
    assert [row.pgr for row in rows] == pytest.approx([0.1, 0.25, 0.4, 0.85])
    assert [row.chosen for row in rows] == [0, 1, 1, 0] and [row.ceiling_chosen for row in rows] == [0, 0, 0, 2]


def test_the_report_has_a_section_files_and_a_figure(run: Path, tmp_path: Path) -> None:
    written = {path.name: path for path in write_report([run], tmp_path / "out")}
    assert {f"features.{end}" for end in ("csv", "json", "png", "svg")} <= set(written)
    text = written["report.md"].read_text()
    assert "## Layers and penalties" in text
    assert "| quickstart | naive | 1, 1 (1×); 2, 0.1 (1×) | 2, 1 | 0.25; 0.40 | 0.10 (1, 0.1) | 0.85 (2, 1) |" in text
    assert "features.png" in text and "<svg" in written["report.html"].read_text()
    with written["features.csv"].open() as file:
        (first, *_) = csv.DictReader(file)
    assert (first["layer"], first["l2"], first["seeds"], first["pgr"]) == ("1", "0.1", "0 1", "0.1")
    before = {name: path.read_bytes() for name, path in written.items()}
    write_report([run], tmp_path / "out")
    assert before == {name: path.read_bytes() for name, path in written.items()}


def test_the_figure_draws_the_paths_and_rings_what_was_chosen(run: Path) -> None:
    upper, _, lower, _ = _figure(collect_features(run, collect(run))).axes
    assert upper.get_title() == "layer 1"
    drawn = [
        line.get_ydata().tolist() for line in upper.lines if len(line.get_xdata()) == 2 and line.get_marker() == "."
    ]
    assert drawn == [pytest.approx([0.62, 0.65]), pytest.approx([0.75, 0.74])]
    (ring,) = [line for line in lower.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert ring.get_xdata().tolist() == [1.0] and ring.get_ydata().tolist() == pytest.approx([0.25])
    assert lower.get_xscale() == "log"


def test_nothing_is_said_where_nothing_was_chosen_or_is_known(
    make_run: MakeRun, answers: Callable[..., list[float]], tmp_path: Path
) -> None:
    run = make_run(weak=[answers(60)], students={"naive": [answers(65)]}, ceiling=[answers(80)])
    assert collect_features(run, collect(run)) == []
    put_path(run, "student", "naive", 0, [None] * 4, 1)
    assert collect_features(run, collect(run)) == []
    assert not any(path.name.startswith("features") for path in write_report([run], tmp_path / "out"))


def test_without_a_ceiling_there_is_no_pgr(make_run: MakeRun, answers: Callable[..., list[float]]) -> None:
    run = make_run(weak=[answers(60)], students={"naive": [answers(65)]}, ceiling=None)
    put_path(run, "student", "naive", 0, [0.61, 0.65, 0.70, 0.76], 1)
    rows = collect_features(run, collect(run))
    assert all(row.pgr is None and row.like_ceiling_accuracy is None for row in rows) and len(rows) == 4


def test_seeds_that_chose_from_different_places_are_an_error(run: Path) -> None:
    put_path(run, "student", "naive", 1, [0.63, None, 0.67, 0.78], 2)
    with pytest.raises(ArtifactError, match="its seeds chose from different layers"):
        collect_features(run, collect(run))
