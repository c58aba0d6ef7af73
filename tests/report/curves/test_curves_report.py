"""What reports say about trainings: when a student peaked, where each rule stops it, and the figure."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from sealing import reseal

from w2s_rm.data.curves import CURVE_FILE, CurvePart, write_curve
from w2s_rm.errors import ArtifactError
from w2s_rm.report import collect, write_report
from w2s_rm.report.curves import collect_curves
from w2s_rm.report.curves.plot import _figure
from w2s_rm.report.examples import collect_examples
from w2s_rm.report.rows import ReportRow
from w2s_rm.report.transfer import collect_transfer
from w2s_rm.runs.folder import StageFolder
from w2s_rm.types import Predictions

MakeRun = Callable[..., Path]
Answers = Callable[..., list[float]]
STEPS = (0, 2, 10)
# Of 20 validation examples with gold 1, the supervisor says that it is the first candidate for the last five.
LABELS = tuple((0.9, 0.1) if n >= 15 else (0.2, 0.8) for n in range(20))


def said(answers: Sequence[float], gold: int | None = 1) -> Predictions:
    ids = tuple(f"e{n:04d}" for n in range(len(answers)))
    return Predictions(ids, tuple((1.0 - one, one) for one in answers), (gold,) * len(answers))


def put_curve(
    run: Path,
    of: str,
    method: str | None,
    seed: int,
    test: Sequence[Sequence[float]],
    validation: Sequence[Sequence[float]] = (),
    **config: Any,
) -> Path:
    """Leave the training of what was evaluated, with what it scored after each of [`STEPS`]."""
    (folder,) = (
        Path(stage["folder"])
        for stage in json.loads((run / "plan.json").read_text())["stages"]
        if (stage["stage"], stage["of"], stage["method"], stage["seed"]) == ("evaluate", of, method, seed)
        and "further" not in stage
    )
    training = folder.parent / f"training-of-{folder.name}"
    training.mkdir()
    # As planned elsewhere: the run was moved since.
    (folder / "config.yaml").write_text(yaml.safe_dump({"model_name_or_path": f"/elsewhere/{training.name}/model"}))
    (training / "config.yaml").write_text(yaml.safe_dump({"stage": "train", **config}))
    labels = LABELS if of == "student" else None
    parts = []
    for place, step in enumerate(STEPS):
        parts += [CurvePart(step, "validation", said(validation[place]), labels)] if validation else []
        parts.append(CurvePart(step, "test", said(test[place])))
    write_curve(training / CURVE_FILE, parts)
    return training


@pytest.fixture
def run(make_run: MakeRun, answers: Answers) -> Path:
    """Weak 60 %, ceiling 80 %, the student 50, 75 and 70 % of the test examples after the three evaluations."""
    run = make_run(weak=[answers(60)] * 2, students={"naive": [answers(70)] * 2}, ceiling=[answers(80)] * 2)
    for seed in (0, 1):
        # With the labels it agrees on: 15 where it has 15 right; on 17 of 20 with the first 12, and 0 of the last 5.
        tried = [answers(12, 20), answers(15, 20), answers(20, 20)]
        tests = [answers(50), answers(75 + seed), answers(70)]
        put_curve(run, "student", "naive", seed, tests, tried)
        put_curve(
            run, "ceiling", None, seed, [answers(50), answers(70), answers(80)], [answers(n, 20) for n in (9, 9, 9)]
        )
    return run


def test_each_rule_stops_where_it_says(run: Path) -> None:
    (row,) = collect(run)
    # Agreement is 12 + 5 of 20, all 20, and 15: the second model is stopped, which is also the best by truth.
    assert row.student_accuracy == pytest.approx(0.70)
    assert row.student_accuracy_weak_validation == row.student_accuracy_best == pytest.approx((0.75 + 0.76) / 2)
    assert (
        row.student_accuracy_weak_validation_low is not None and row.student_accuracy_weak_validation_high is not None
    )
    assert row.student_accuracy_weak_validation_low < 0.755 < row.student_accuracy_weak_validation_high
    assert row.pgr == pytest.approx((0.70 - 0.60) / 0.20)
    assert row.pgr_weak_validation == pytest.approx((0.755 - 0.60) / 0.20)
    assert [seed.student_weak_validation for seed in row.per_seed] == pytest.approx([0.75, 0.76])


def test_the_supervisors_mistakes_may_stop_a_student_in_the_wrong_place(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(weak=[answers(60)], students={"naive": [answers(55)]}, ceiling=[answers(80)])
    # Agreement 17, 20 and 20 of 20: the second and the third are equal, and the earlier one is stopped, at 52 %. The
    # truth of the validation split, 12, 15 and 15, is not asked; that of the test split is best at the start.
    tried = [answers(12, 20), answers(15, 20), answers(15, 20)]
    put_curve(run, "student", "naive", 0, [answers(58), answers(52), answers(55)], tried)
    (row,) = collect(run)
    found = (row.student_accuracy, row.student_accuracy_weak_validation, row.student_accuracy_best)
    assert found == pytest.approx((0.55, 0.52, 0.58))


def test_without_evaluations_or_validation_there_is_nothing_to_say(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(weak=[answers(60)], students={"naive": [answers(70)], "other": [answers(66)]}, ceiling=None)
    put_curve(run, "student", "other", 0, [answers(50), answers(68), answers(66)])
    naive, other = collect(run)
    assert naive.student_accuracy_weak_validation is naive.student_accuracy_best is naive.pgr_best is None
    assert other.student_accuracy_weak_validation is None and other.student_accuracy_best == pytest.approx(0.68)
    assert other.pgr_best is None
    rows = collect_curves(run, [naive, other])
    assert {row.method for row in rows} == {"other"} and {row.validation_agreement for row in rows} == {None}


def test_the_end_of_training_is_reported_also_where_another_model_was_saved(
    make_run: MakeRun, answers: Answers
) -> None:
    # What was saved, and evaluated, is right on 75.
    students = {"naive": [answers(75)], "other": [answers(70)]}
    run = make_run(weak=[answers(60)], students=students, ceiling=[answers(80)])
    tried = [answers(12, 20), answers(15, 20), answers(20, 20)]
    tests = [answers(50), answers(75), answers(72)]
    put_curve(run, "student", "naive", 0, tests, tried, keep="weak_validation")
    row, _ = collect(run)
    assert row.student_accuracy == pytest.approx(0.72) and row.student_accuracy_weak_validation == pytest.approx(0.75)
    assert row.per_seed[0].student == pytest.approx(0.72)
    # All that compares methods compares the same models.
    write_report([run], run / "out")
    (comparison,) = json.loads((run / "out" / "comparison.json").read_text())
    assert comparison["difference"] == pytest.approx(0.70 - 0.72)
    # And every part has the same model under its name.
    for name in ("breakdown", "calibration"):
        parts = json.loads((run / "out" / f"{name}.json").read_text())
        accuracies = {(part["role"], part["method"]): part["accuracy"] for part in parts}
        assert accuracies["student", "naive"] == pytest.approx(0.72)


def test_examples_are_judged_by_the_models_of_the_results(
    make_run: MakeRun, answers: Answers, put_examples: Callable[..., Path]
) -> None:
    run = make_run(weak=[answers(60)], students={"naive": [answers(75)]}, ceiling=[answers(80)])
    path = put_examples(run, [f"g{n}" for n in range(100)], [1] * 100)
    tests, tried = [answers(50), answers(75), answers(72)], [answers(12, 20), answers(15, 20), answers(20, 20)]
    put_curve(run, "student", "naive", 0, tests, tried, keep="weak_validation")
    (config,) = run.parent.glob("stages/evaluate-*student-naive-0/config.yaml")
    config.write_text(config.read_text() + f"examples: {path}\n")
    reseal(run)
    found = collect_examples(run)
    (pair,) = found.pairs
    assert sum(example.right(pair.student) for example in found.examples) == 72


def test_every_evaluation_has_its_row(run: Path) -> None:
    rows = collect_curves(run, collect(run))
    # The weak model was not evaluated on its way.
    assert [(row.of, row.method, row.evaluation) for row in rows] == [
        *(("student", "naive", place) for place in range(3)),
        *(("ceiling", None, place) for place in range(3)),
    ]
    student, ceiling = rows[:3], rows[3:]
    assert [row.steps for row in student] == [(step, step) for step in STEPS]
    assert [row.share for row in student] == pytest.approx([0.0, 0.2, 1.0])
    assert [row.test_accuracy for row in student] == pytest.approx([0.50, 0.755, 0.70])
    assert [row.validation_accuracy for row in student] == pytest.approx([12 / 20, 15 / 20, 1.0])
    assert [row.validation_agreement for row in student] == pytest.approx([17 / 20, 1.0, 15 / 20])
    # The supervisor is right on the first 60: on those the student chooses alike where it is right, on the others where
    # it is wrong.
    assert [row.agreement_when_right for row in student] == pytest.approx([50 / 60, 1.0, 1.0])
    assert [row.agreement_when_wrong for row in student] == pytest.approx([1.0, (25 + 24) / 80, 30 / 40])
    assert [(row.stopped, row.best) for row in student] == [(0, 0), (2, 2), (0, 0)]
    # Three times the same on validation: the earliest. A ceiling has no supervisor.
    assert [(row.stopped, row.best) for row in ceiling] == [(2, 0), (0, 0), (0, 2)]
    assert {row.agreement for row in ceiling} == {row.validation_agreement for row in ceiling} == {None}


def test_the_report_has_a_section_files_and_a_figure(run: Path, tmp_path: Path) -> None:
    written = {path.name: path for path in write_report([run], tmp_path / "out")}
    assert {"curves.csv", "curves.json", "curves.png", "curves.svg"} <= written.keys()
    text = written["report.md"].read_text()
    assert "## Early stopping" in text and "Best by test truth (cheating) %" in text
    assert "## Curves" in text and "curves.png" in text
    records = json.loads(written["curves.json"].read_text())
    assert len(records) == len(list(csv.DictReader(written["curves.csv"].open()))) == 6
    (row,) = json.loads(written["report.json"].read_text())
    assert row["student_accuracy_best"] == 0.755
    # Same results, same bytes; and none of it where nothing was evaluated.
    again = {path.name: path.read_bytes() for path in write_report([run], tmp_path / "again")}
    assert again == {name: path.read_bytes() for name, path in written.items()}


def test_plain_runs_have_neither(make_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    run = make_run(weak=[answers(60)], students={"naive": [answers(70)]}, ceiling=[answers(80)])
    written = {path.name: path for path in write_report([run], tmp_path / "out")}
    assert not any(name.startswith("curves") for name in written)
    assert "Early stopping" not in written["report.md"].read_text()


def test_the_figure_marks_where_rules_stop(run: Path) -> None:
    rows = collect_curves(run, collect(run))
    upper, lower = _figure(rows).axes
    rings = [line for line in upper.get_lines() if line.get_marker() == "o"]
    crosses = [line for line in upper.get_lines() if line.get_marker() == "x"]
    assert [float(line.get_xdata()[0]) for line in rings] == pytest.approx([0.2, 0.0])
    assert [float(line.get_ydata()[0]) for line in crosses] == pytest.approx([0.755, 0.80])
    assert len(lower.get_lines()) == 2 and len(upper.collections) == 2


def test_a_curve_of_half_the_evaluations_is_refused(run: Path) -> None:
    path = next(run.parent.glob(f"stages/training-of-*student*/{CURVE_FILE}"))
    write_curve(path, [CurvePart(0, "validation", said([1.0]), LABELS[:1])])
    with pytest.raises(ArtifactError, match="is not whole"):
        collect(run)


def test_a_broken_curve_is_named(run: Path) -> None:
    path = next(run.parent.glob(f"stages/training-of-*student*/{CURVE_FILE}"))
    path.write_bytes(b"PAR1")
    with pytest.raises(ArtifactError, match=f"{path.name}: cannot be read"):
        collect(run)


def test_a_supervisor_of_some_test_examples_is_not_compared_with(run: Path) -> None:
    rows: list[ReportRow] = collect(run)
    for stage in json.loads((run / "plan.json").read_text())["stages"]:
        if (stage["stage"], stage["of"]) == ("evaluate", "weak"):
            counts = {"n_labelled": 3, "examples": 100, "label_accuracy": 0.6}
            (Path(stage["folder"]) / "manifest.json").write_text(json.dumps({"counts": counts}))
    reseal(run)
    rows = collect(run)
    assert {row.agreement for row in collect_curves(run, rows)} == {None}


def test_a_training_that_was_chosen_among_several_has_its_curve(run: Path) -> None:
    """The model lies in the folder of the choice; what it scored on its way, in that of its training."""
    before = collect(run)
    for stage in json.loads((run / "plan.json").read_text())["stages"]:
        if (stage["stage"], stage["of"]) == ("evaluate", "student"):
            folder = Path(stage["folder"])
            training, choice = f"training-of-{folder.name}", folder.parent / f"choice-{folder.name}"
            choice.mkdir()
            trials = [f"/elsewhere/{name}/model" for name in ("training-of-nothing", training)]
            (choice / "config.yaml").write_text(yaml.safe_dump({"stage": "choice", "trials": trials}))
            StageFolder(choice).seal({"counts": {"chosen": 1}})
            (folder / "config.yaml").write_text(
                yaml.safe_dump({"model_name_or_path": f"/elsewhere/{choice.name}/model"})
            )
    reseal(run)
    assert collect(run) == before and before[0].student_accuracy_best is not None


def test_a_further_task_is_scored_by_the_model_that_was_kept(make_run: MakeRun, answers: Answers) -> None:
    """Elsewhere there is no end of training to report: the saved model is that of all cells, and not of the results."""
    models = {"weak": [answers(40)], "naive": [answers(55)], "ceiling": [answers(90)]}
    run = make_run(
        weak=[answers(60)], students={"naive": [answers(75)]}, ceiling=[answers(80)], further={"far": models}
    )
    tests, tried = [answers(50), answers(75), answers(70)], [answers(12, 20), answers(15, 20), answers(20, 20)]
    put_curve(run, "student", "naive", 0, tests, tried, keep="weak_validation")
    for stage in json.loads((run / "plan.json").read_text())["stages"]:
        if stage.get("further") == "far" and stage["of"] == "student":
            own = next(run.parent.glob("stages/evaluate-*student-naive-0/config.yaml"))
            (Path(stage["folder"]) / "config.yaml").write_text(own.read_text())
    reseal(run)
    (row,) = collect(run)
    assert row.student_accuracy == pytest.approx(0.70), "the end of the curve, not what was kept"
    home, far = collect_transfer([run])
    assert (home.student_accuracy, far.student_accuracy) == pytest.approx((0.75, 0.55))
    assert home.gain == pytest.approx(0.75 - 0.60)


def test_intervals_of_a_curve_are_over_groups(
    make_run: MakeRun, answers: Answers, put_examples: Callable[..., Path]
) -> None:
    """Also where no supervisor was scored, whose examples would be known."""
    tests, widths = [answers(50), answers(75), answers(70)], []
    for name, size in (("alone", 1), ("grouped", 10)):
        run = make_run(name, weak=None, students={"naive": [answers(70)]}, ceiling=None)
        path = put_examples(run, [f"g{n // size}" for n in range(100)], [1] * 100)
        put_curve(run, "student", "naive", 0, tests)
        (config,) = run.parent.glob(f"stages/evaluate-{name}-student-naive-0/config.yaml")
        config.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "examples": str(path)}))
        reseal(run)
        (row,) = collect(run)
        end = collect_curves(run, [row])[-1]
        best_low, best_high = row.student_accuracy_best_low, row.student_accuracy_best_high
        assert best_low is not None and best_high is not None
        assert end.test_low is not None and end.test_high is not None
        widths.append((best_high - best_low, end.test_high - end.test_low))
    assert all(other > 1.5 * one for one, other in zip(*widths, strict=True))
