"""The warnings, and the terminal table that carries them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from w2s_rm.render.numbers import ratio, ratio_interval
from w2s_rm.report.formats import by_run, task_names
from w2s_rm.report.notes import notes
from w2s_rm.report.summary import summary_text
from w2s_rm.report.table import collect
from w2s_rm.runs.folder import StageFolder

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


def test_student_against_itself_untrained(make_run: MakeRun, answers: Answers) -> None:
    students = {"worse": [answers(75)] * 2, "noise": [answers(82)] * 2, "better": [answers(88)] * 2}
    run = make_run(weak=[answers(65)] * 2, students=students, ceiling=[answers(90)] * 2, zero_shot=answers(80))
    assert notes(collect(run)) == [
        "The untrained student (80.0 %) is better than the supervisor (65.0 %): PGR above 0 needs no weak labels.",
        "worse: the student (75.0 %) is not better than the same model untrained (80.0 %): weak supervision did not "
        "help it.",
        # Two more right in 100: the chance to draw neither of them is exp(-2), far above 2.5 %.
        "noise: the student (82.0 %) cannot be told from the same model untrained (80.0 %): weak supervision may not "
        "have helped it.",
    ]


def test_a_student_equal_to_itself_untrained_was_not_helped(make_run: MakeRun, answers: Answers) -> None:
    students = {"naive": [answers(75)] * 2}
    run = make_run(weak=[answers(80)] * 2, students=students, ceiling=[answers(90)] * 2, zero_shot=answers(75))
    assert [text for text in notes(collect(run)) if "untrained" in text] == [
        "naive: the student (75.0 %) is not better than the same model untrained (75.0 %): weak supervision did not "
        "help it."
    ]


def test_shortcuts_near_the_supervisor(make_run: MakeRun, answers: Answers) -> None:
    def found(name: str, **measured: float) -> list[str]:
        students = {"naive": [answers(75)] * 2}
        run = make_run(
            name, weak=[answers(65)] * 2, students=students, ceiling=[answers(90)] * 2, prepared=dict(measured)
        )
        return notes(collect(run))

    # The supervisor's interval is 65 -+ 1.96 * sqrt(65 * 35 / 100) = 9.3
    assert found("a", length_only=0.52, bag_of_words=0.54) == []
    assert found("b", length_only=0.60, bag_of_words=0.65) == [
        "A rule that sees only lengths (60.0 %) comes within the noise of the supervisor (65.0 %): it may have learned "
        "that shortcut.",
        "A linear model on word counts (bag of words) (65.0 %) is as good as or better than the supervisor (65.0 %): "
        "it may have learned that shortcut.",
    ]


def test_a_rule_at_chance_is_no_shortcut(make_run: MakeRun, answers: Answers) -> None:
    students = {"naive": [answers(75)] * 2}
    run = make_run(weak=[answers(52)] * 2, students=students, ceiling=[answers(90)] * 2, prepared={"length_only": 0.5})
    assert notes(collect(run)) == ["The supervisor (52.0 %) cannot be told from chance (50.0 %)."]


def test_summary_is_aligned(make_run: MakeRun, answers: Answers) -> None:
    students = {"naive": [answers(75)] * 2, "log_confidence": [answers(80)] * 2}
    run = make_run(weak=[answers(65)] * 2, students=students, ceiling=[answers(90)] * 2)
    lines = summary_text(collect(run)).splitlines()
    assert lines[0] == "quickstart: reward_modeling / world_preference, embedded 2x32 → embedded 3x128"
    assert lines[1] == "  baselines %: chance 50.0"
    assert lines[2] == "  method          weak %  student %  ceiling %  PGR [95 % interval]"
    assert lines[3].startswith("  naive             65.0       75.0       90.0  0.40 [0.1")
    assert lines[4].startswith("  log_confidence    65.0       80.0       90.0  0.60 [0.3")
    assert len(lines) == 5


def test_summary_of_several_runs_is_one_table_in_the_given_order(make_run: MakeRun, answers: Answers) -> None:
    def run(name: str, n_right: int, **more: Any) -> Path:
        students = {"naive": [answers(n_right)] * 2}
        return make_run(name, weak=[answers(65)] * 2, students=students, ceiling=[answers(90)] * 2, **more)

    moves = run(
        "moves", 80, setting="chess", task="mates", k=20, zero_shot=answers(20),
        prepared={"length_only": 0.07, "bag_of_words": 0.081},
    )  # fmt: skip
    lines = summary_text([row for one in (moves, run("pairs", 75)) for row in collect(one)]).splitlines()
    assert lines[0] == "moves: chess / mates, embedded 2x32 → embedded 3x128"
    assert lines[1].startswith(
        "  baselines %: chance 5.0, length only 7.0, bag of words 8.1, untrained student (zero-shot) 20.0 [1"
    )
    assert lines[3] == "  baselines %: chance 50.0"
    assert lines[5] == "  setting / task                      method  weak %  student %  ceiling %  PGR [95 % interval]"
    assert lines[6].startswith("  chess / mates                       naive     65.0       80.0       90.0  0.60 [0.")
    assert lines[7].startswith("  reward_modeling / world_preference  naive     65.0       75.0       90.0  0.40 [0.")
    assert len(lines) == 8


def test_two_runs_of_one_task_are_told_apart_by_their_recipes(make_run: MakeRun, answers: Answers) -> None:
    students = {"naive": [answers(75)] * 2}
    runs = [make_run(name, weak=[answers(65)] * 2, students=students, ceiling=None) for name in ("small", "large")]
    groups = by_run([row for run in runs for row in collect(run)])
    assert task_names(groups) == [f"{name}: reward_modeling / world_preference" for name in ("small", "large")]


def test_ratios_as_text() -> None:
    assert [ratio(value) for value in (None, 0.5, -0.25, -0.001)] == ["–", "0.50", "−0.25", "0.00"]
    assert ratio_interval(None, 1.0) == "[−∞, 1.00]"


def test_candidates_of_the_same_tokens_are_said(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(weak=[answers(65)] * 2, students={"naive": [answers(75)] * 2}, ceiling=[answers(90)] * 2)
    stages = run.parent / "stages"
    for folder, alike in (("evaluate-quickstart-student-naive-0", 8), ("relabel-quickstart-labels-None-0", 1200)):
        place = StageFolder(stages / folder)
        counts = place.manifest()["counts"]
        place.seal({"counts": {**counts, "candidates_alike": alike}})
    (row,) = collect(run)
    assert row.counts["candidates_alike (test)"] == 8
    assert notes([row]) == [
        "Candidates that are the same tokens, from the start or where max_length cuts them, count as ties: "
        "1,200 examples of relabel for the supervisor; 8 examples of test."
    ]
