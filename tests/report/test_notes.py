"""The warnings, and the terminal table that carries them."""

from collections.abc import Callable
from pathlib import Path

from w2s_rm.report.formats import ratio, ratio_interval
from w2s_rm.report.notes import notes
from w2s_rm.report.summary import summary_text
from w2s_rm.report.table import collect

MakeRun = Callable[..., Path]
Answers = Callable[..., list[float]]


def test_a_sound_run_has_no_warnings(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(weak=[answers(65)] * 2, students={"naive": [answers(75)] * 2}, ceiling=[answers(90)] * 2)
    assert notes(collect(run)) == []


def test_single_seed_and_student_outside_the_gap(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(weak=[answers(65)], students={"low": [answers(64)], "high": [answers(91)]}, ceiling=[answers(90)])
    assert notes(collect(run)) == [
        "One seed only: the intervals do not cover how another seed would come out.",
        "low: the student (64.0 %) is worse than its supervisor (65.0 %).",
        "high: the student (91.0 %) is better than the ceiling (90.0 %).",
    ]


def test_unreliable_gap_is_said_once_for_all_methods(make_run: MakeRun, answers: Answers) -> None:
    students = {"naive": [answers(70)] * 2, "logconf": [answers(71)] * 2}
    run = make_run(weak=[answers(70)] * 2, students=students, ceiling=[answers(72, start=10)] * 2)
    rows = collect(run)
    assert [row.reliable for row in rows] == [False, False]
    (sentence,) = [text for text in notes(rows) if "not reliable" in text]
    assert sentence.startswith("The PGR of naive, logconf is not reliable")
    assert "2.0 points with a 95 % interval from −" in sentence


def test_weak_at_chance(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(weak=[answers(52)] * 2, students={"naive": [answers(75)] * 2}, ceiling=[answers(90)] * 2)
    assert notes(collect(run)) == ["The supervisor (52.0 %) cannot be told from chance (50.0 %)."]


def test_why_there_is_no_pgr(make_run: MakeRun, answers: Answers) -> None:
    student = {"naive": [answers(75)] * 2}
    no_ceiling = make_run("a", weak=[answers(65)] * 2, students=student, ceiling=None)
    neither = make_run("b", weak=None, students=student, ceiling=None)
    no_truth = make_run("c", weak=None, students=student, ceiling=None, gold=[None] * 100)
    assert notes([row for run in (no_ceiling, neither, no_truth) for row in collect(run)]) == [
        "a: There is no PGR, because no strong ceiling was trained.",
        "b: There is no PGR, because the supervisor was not evaluated on the test examples (its labels do not cover "
        "them) and no strong ceiling was trained.",
        "c: The test examples have no ground truth, so there are no accuracies, no ceiling and no PGR.",
    ]


def test_partial_ground_truth(make_run: MakeRun, answers: Answers) -> None:
    gold = [1] * 90 + [None] * 10
    students = {"naive": [answers(75)] * 2}
    run = make_run(weak=[answers(65)] * 2, students=students, ceiling=[answers(90)] * 2, gold=gold)
    (sentence,) = notes(collect(run))
    assert sentence.startswith("10 of 100 test examples have no ground truth")


def test_summary_is_aligned(make_run: MakeRun, answers: Answers) -> None:
    students = {"naive": [answers(75)] * 2, "log_confidence": [answers(80)] * 2}
    run = make_run(weak=[answers(65)] * 2, students=students, ceiling=[answers(90)] * 2)
    lines = summary_text(collect(run)).splitlines()
    assert lines[0] == "quickstart: reward_modeling / world_preference, embedded 2x32 → embedded 3x128"
    assert lines[1] == "  method          weak %  student %  ceiling %  PGR [95 % interval]"
    assert lines[2].startswith("  naive             65.0       75.0       90.0  0.40 [0.2")
    assert lines[3].startswith("  log_confidence    65.0       80.0       90.0  0.60 [0.4")
    assert len(lines) == 4


def test_ratios_as_text() -> None:
    assert [ratio(value) for value in (None, 0.5, -0.25, -0.001)] == ["–", "0.50", "−0.25", "0.00"]
    assert ratio_interval(None, 1.0) == "[−∞, 1.00]"
