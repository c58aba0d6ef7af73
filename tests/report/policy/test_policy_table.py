"""Rows about policies: their numbers against arithmetic, what belongs together, and what broken folders say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sealing import reseal

from w2s_rm.data.curves import CURVE_FILE, CurvePart, write_curve
from w2s_rm.errors import ArtifactError, DataError
from w2s_rm.files import read_signed, write_signed
from w2s_rm.metrics.pgr import pgr
from w2s_rm.report import PolicyRow, collect, collect_policies
from w2s_rm.report.policy.notes import no_policy_pgr_reason, policy_notes
from w2s_rm.report.policy.rows import CurvePoint, policies_by_run
from w2s_rm.report.policy.table import mean_curve
from w2s_rm.runs.folder import StageFolder
from w2s_rm.types import Predictions

MakeRun = Callable[..., Path]
Rates = Callable[..., list[float]]


def rows_of(run: Path) -> list[PolicyRow]:
    return collect_policies(run, collect(run))


def folder_of(run: Path, trainer: str, model: str, seed: int = 0) -> Path:
    return run.parent / "stages" / f"policy-{run.name}-{trainer}-{model}-{seed}"


def test_reward_models_are_those_that_were_saved(make_policy_run: MakeRun, rates: Rates) -> None:
    """Against which policies were optimised: the results are of the end of training, where `keep` saved another one."""
    run = make_policy_run({"dpo": {"weak": [rates(0.5)], "naive": [rates(0.6)], "ceiling": [rates(0.7)]}})
    (folder,) = run.parent.glob("stages/evaluate-*-student-naive-0")
    training = run.parent / "stages" / "student-1"
    training.mkdir()
    (training / "config.yaml").write_text("stage: train\nkeep: weak_validation\n")
    # At the end right on 80 of 100, and on 75 as it was saved.
    ids, scores = (f"e{n:04d}" for n in range(100)), [(0.0, 1.0) if n < 80 else (1.0, 0.0) for n in range(100)]
    end = Predictions(tuple(ids), tuple(scores), (1,) * 100)
    write_curve(training / CURVE_FILE, [CurvePart(7, "test", end)])
    (folder / "config.yaml").write_text(f"model_name_or_path: {training}/model\n")
    reseal(run)
    (result,) = collect(run)
    (row,) = collect_policies(run, [result])
    assert (result.student_accuracy, row.student_accuracy) == pytest.approx((0.80, 0.75))
    assert row.reward_model_pgr == pytest.approx(0.4)  # (75 - 65) / (90 - 65)


def test_policy_pgr_beside_reward_model_pgr(two_trainers: Path) -> None:
    rows = rows_of(two_trainers)
    assert [(row.trainer, row.method) for row in rows] == [
        ("dpo", "naive"),
        ("dpo", "other"),
        ("rloo", "naive"),
        ("rloo", "other"),
    ]
    assert [row.reward_model_pgr for row in rows] == pytest.approx([0.4] * 4)  # (75 - 65) / (90 - 65)
    assert [(row.weak_accuracy, row.student_accuracy, row.ceiling_accuracy) for row in rows[:1]] == [(0.65, 0.75, 0.9)]
    first = rows[0]
    # Means over seeds: weak .575, student .675, ceiling .875.
    assert (first.weak_success, first.student_success, first.ceiling_success) == pytest.approx((0.575, 0.675, 0.875))
    assert first.policy_gap == pytest.approx(0.3) and first.policy_pgr == pytest.approx(1 / 3)
    assert [row.policy_pgr for row in rows] == pytest.approx([1 / 3, 0.15 / 0.3, 0.15 / 0.3, 0.2 / 0.3])
    assert all(row.policy_reliable for row in rows)
    assert (first.policy_model, first.n_test, first.n_samples, first.seeds) == ("embedded 3x128", 40, 4, (0, 1))
    assert (first.recipe, first.setting, first.task) == ("quickstart", "reward_modeling", "world_preference")


def test_the_interval_is_that_of_the_success_rates(two_trainers: Path, rates: Rates) -> None:
    row = rows_of(two_trainers)[3]
    weak, student, ceiling = (np.array([rates(a), rates(b)]) for a, b in ((0.6, 0.65), (0.8, 0.85), (0.9, 0.95)))
    expected = pgr(weak, student, ceiling)
    assert (row.policy_pgr, row.policy_pgr_low, row.policy_pgr_high) == (expected.value, expected.low, expected.high)
    assert (row.policy_gap_low, row.policy_gap_high) == (expected.gap_low, expected.gap_high)
    assert row.student_success_low is not None and row.student_success_low < 0.825 < row.student_success_high


def test_each_seed_has_its_own_result(two_trainers: Path) -> None:
    one, two = rows_of(two_trainers)[0].per_seed
    assert (one.seed, two.seed) == (0, 1)
    assert (one.weak, one.student, one.ceiling) == pytest.approx((0.55, 0.65, 0.85))
    assert one.pgr == pytest.approx(0.1 / 0.3) and two.weak == pytest.approx(0.6)


def test_prompts_in_another_order_are_the_same_prompts(make_policy_run: MakeRun, rates: Rates) -> None:
    policies = {"dpo": {"weak": [rates(0.5)], "naive": [rates(0.7)], "ceiling": [rates(0.9)]}}
    plain = rows_of(make_policy_run(policies, name="a"))[0]
    turned = {("dpo", "weak"): [{"backwards": True}], ("dpo", "ceiling"): [{"backwards": True}]}
    other = rows_of(make_policy_run(policies, name="b", written=turned))[0]
    assert (plain.policy_pgr_low, plain.policy_pgr_high) == (other.policy_pgr_low, other.policy_pgr_high)
    assert plain.policy_gap_low == other.policy_gap_low


def test_start_is_the_mean_over_all_policies(make_policy_run: MakeRun, rates: Rates) -> None:
    models = {"weak": [rates(0.5)], "naive": [rates(0.7)], "ceiling": [rates(0.9)]}
    written = {("dpo", "weak"): [{"before": 0.2}], ("rloo", "naive"): [{"before": 0.6}]}
    rows = rows_of(make_policy_run({"dpo": models, "rloo": models}, written=written))
    assert [row.start_success for row in rows] == pytest.approx([(0.2 + 0.6 + 4 * 0.5) / 6] * 2)


def test_training_is_summed_up(make_policy_run: MakeRun, rates: Rates) -> None:
    curves: list[list[tuple[int, float, float, float]]] = [
        [(0, 0.0, 0.0, 0.5), (5, 0.4, 1.0, 0.8), (10, 1.0, 2.0, 0.8), (20, 2.0, 3.0, 0.6)],
        [(0, 0.0, 0.0, 0.5), (5, 0.6, 1.2, 0.7), (10, 1.4, 2.2, 0.7), (20, 3.0, 3.4, 0.7)],
    ]
    written = {
        ("dpo", "naive"): [
            {"curve": curves[0], "kl": 2.0, "reward": 3.0},
            {"curve": curves[1], "kl": 3.0, "reward": 3.4},
        ]
    }
    policies = {
        "dpo": {"weak": [rates(0.5)] * 2, "naive": [rates(0.6), rates(0.7)], "ceiling": [rates(0.9)] * 2},
    }
    (row,) = rows_of(make_policy_run(policies, written=written))
    weak, student, ceiling = row.optimised
    assert (weak.of, student.of, ceiling.of) == ("weak", "student", "ceiling")
    assert (student.kl, student.reward) == pytest.approx((2.5, 3.2))
    # Of the equal means at steps 5 and 10 the earlier one.
    assert (student.peak.step, student.peak.kl, student.peak.success) == (5, pytest.approx(0.5), pytest.approx(0.75))
    assert student.lost == pytest.approx(0.1)
    assert [point.step for point in student.curve] == [0, 5, 10, 20]
    assert student.seed_curves[1][3] == CurvePoint(20, 3.0, 3.4, 0.7)
    assert ceiling.lost == 0 and ceiling.peak.step == 10


def test_a_mean_curve_takes_the_shared_steps_and_the_ends() -> None:
    def curve(*steps: int) -> list[CurvePoint]:
        return [CurvePoint(step, step / 10, step / 5, 0.5) for step in steps]

    found = mean_curve([curve(0, 10, 20, 30, 34), curve(0, 10, 15, 20, 30)])
    # 30 is an end of the second curve: it belongs to the ends, not to the shared steps.
    assert [point.step for point in found] == [0, 10, 20, 32]
    assert found[-1].kl == pytest.approx(3.2) and found[-1].reward == pytest.approx(6.4)


def test_without_weak_or_ceiling_there_is_a_reason(make_policy_run: MakeRun, rates: Rates) -> None:
    no_weak = make_policy_run(
        {"dpo": {"naive": [rates(0.7)], "ceiling": [rates(0.9)]}}, name="a", weak=None, supervisor="labels"
    )
    no_ceiling = make_policy_run({"dpo": {"weak": [rates(0.5)], "naive": [rates(0.7)]}}, name="b", ceiling=None)
    (first,), (second,) = rows_of(no_weak), rows_of(no_ceiling)
    assert (first.weak_success, first.weak_success_low, first.policy_pgr, first.policy_reliable) == (None,) * 4
    assert first.student_success == pytest.approx(0.7) and first.ceiling_success == pytest.approx(0.9)
    assert [one.of for one in first.optimised] == ["student", "ceiling"] and first.per_seed[0].pgr is None
    assert no_policy_pgr_reason(first) == (
        "There is no policy PGR, because there is no policy optimised against the supervisor's reward model "
        "(its labels came from a file)."
    )
    assert no_policy_pgr_reason(second) == (
        "There is no policy PGR, because there is none optimised against a strong ceiling's."
    )
    assert (second.ceiling_success, second.policy_gap) == (None, None)
    assert policy_notes([first]) == [
        "Policies of dpo: there is no policy PGR, because there is no policy optimised against the supervisor's reward "
        "model (its labels came from a file)."
    ]


def test_a_run_without_policies_has_no_rows(make_run: MakeRun) -> None:
    answers = [[1.0] * 10]
    run = make_run(weak=answers, students={"naive": answers}, ceiling=answers)
    assert rows_of(run) == []
    plan = read_signed(run / "plan.json")
    write_signed(run / "plan.json", {**plan, "policies": None})
    assert rows_of(run) == []


def test_policies_and_evaluations_are_not_confused(two_trainers: Path) -> None:
    """The accuracies stay those of the evaluations, whatever policies stand before them in the plan."""
    before = collect(two_trainers)
    plan = read_signed(two_trainers / "plan.json")
    plan["stages"].reverse()
    write_signed(two_trainers / "plan.json", plan)
    assert collect(two_trainers) == before
    assert [row.policy_pgr for row in rows_of(two_trainers)] == pytest.approx([1 / 3, 0.5, 0.5, 2 / 3])


def change_plan(run: Path, keep: Callable[[dict[str, Any]], bool]) -> None:
    plan = read_signed(run / "plan.json")
    plan["stages"] = [stage for stage in plan["stages"] if keep(stage)]
    write_signed(run / "plan.json", plan)


def test_a_missing_seed_is_named(two_trainers: Path) -> None:
    change_plan(two_trainers, lambda one: (one["policy"], one["of"], one["seed"]) != ("rloo", "weak", 1))
    with pytest.raises(ArtifactError, match=r"optimises no policy with rloo against weak for seeds \[1\]"):
        rows_of(two_trainers)


def test_a_plan_with_policies_but_no_stages_is_refused(two_trainers: Path) -> None:
    change_plan(two_trainers, lambda one: one["stage"] != "policy")
    with pytest.raises(ArtifactError, match=r"no policy with dpo against student for seeds \[0, 1\]"):
        rows_of(two_trainers)


def test_unfinished_policies_are_named(two_trainers: Path) -> None:
    (folder_of(two_trainers, "rloo", "other", 1) / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match="1 stages are not finished(.|\n)*policy rloo student other, seed 1"):
        collect(two_trainers)


@pytest.mark.parametrize("absent", ["model", "methods", "samples"])
def test_a_broken_plan_names_what_is_missing(two_trainers: Path, absent: str) -> None:
    plan = read_signed(two_trainers / "plan.json")
    del plan["policies"][absent]
    write_signed(two_trainers / "plan.json", plan)
    with pytest.raises(ArtifactError, match=f"policies: '{absent}' is missing"):
        collect(two_trainers)


def change_table(folder: Path, **columns: Sequence[Any]) -> None:
    table = pq.read_table(folder / "policy.parquet")
    content = {**table.to_pydict(), **columns}
    pq.write_table(
        pa.table({name: values for name, values in content.items() if len(values)}), folder / "policy.parquet"
    )


def test_other_prompts_are_refused(two_trainers: Path) -> None:
    folder = folder_of(two_trainers, "rloo", "ceiling", 1)
    change_table(folder, id=["q", *(f"p{i:03d}" for i in range(1, 40))])
    with pytest.raises(DataError, match="policy-quickstart-rloo-ceiling-1(.|\n)*'p000'(.|\n)*'q'"):
        rows_of(two_trainers)
    change_table(folder, id=["p001", *(f"p{i:03d}" for i in range(1, 40))])
    with pytest.raises(DataError, match="1 ids occur more than once: 'p001'"):
        rows_of(two_trainers)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"success": [1.5, *[0.5] * 39]}, "row 'p000': success is 1.5"),
        ({"success": [0.5] * 39 + [None]}, "row 'p039': success is nan"),
        ({"kl": [float("inf"), *[0.5] * 39]}, "row 'p000': kl is inf"),
        ({"reward": [float("nan"), *[0.5] * 39]}, "row 'p000': reward is nan"),
        ({"reward": []}, "cannot be read"),
    ],
)
def test_broken_results_name_file_and_row(two_trainers: Path, columns: dict[str, list[Any]], words: str) -> None:
    folder = folder_of(two_trainers, "dpo", "weak")
    change_table(folder, **columns)
    with pytest.raises(ArtifactError, match=words) as caught:
        rows_of(two_trainers)
    assert str(folder / "policy.parquet") in str(caught.value) and "run the recipe again" in str(caught.value)


def test_results_without_prompts_are_refused(two_trainers: Path) -> None:
    folder = folder_of(two_trainers, "dpo", "weak")
    pq.write_table(pq.read_table(folder / "policy.parquet").slice(0, 0), folder / "policy.parquet")
    with pytest.raises(ArtifactError, match="no test prompts"):
        rows_of(two_trainers)


GOOD = '{"step": 0, "kl": 0.0, "reward": 0.0, "success": 0.5}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        (f"{GOOD}\nstep", "line 2: 'step'"),
        (f"{GOOD}\n[1]", r"line 2: '\[1\]'"),
        (f"{GOOD}\n" + GOOD.replace("0.5", "1.5").replace(" 0,", " 1,"), "line 2"),
        (f"{GOOD}\n" + GOOD.replace('"kl": 0.0', '"kl": NaN').replace(" 0,", " 1,"), "line 2"),
        (f"{GOOD}\n" + GOOD.replace('"reward": 0.0, ', "").replace(" 0,", " 1,"), "line 2"),
        (f"{GOOD}\n" + GOOD.replace(" 0,", " 1.5,"), "line 2"),
        (f"{GOOD}\n{GOOD}", "line 2: step 0, but steps begin with 0 and grow"),
        (GOOD.replace(" 0,", " 5,"), "line 1: step 5, but"),
    ],
)
def test_a_broken_curve_names_file_and_line(two_trainers: Path, text: str, words: str) -> None:
    place = folder_of(two_trainers, "dpo", "other", 1) / "curve.jsonl"
    place.write_text(text)
    with pytest.raises(ArtifactError, match=words) as caught:
        rows_of(two_trainers)
    assert str(place) in str(caught.value)


def test_absent_files_are_named(two_trainers: Path) -> None:
    folder = folder_of(two_trainers, "dpo", "other", 1)
    (folder / "curve.jsonl").unlink()
    with pytest.raises(ArtifactError, match="curve.jsonl: cannot be read"):
        rows_of(two_trainers)
    (folder / "policy.parquet").unlink()
    with pytest.raises(ArtifactError, match="policy.parquet: cannot be read"):
        rows_of(two_trainers)


@pytest.mark.parametrize("value", [None, True, 1.2, "0.5"])
def test_the_start_must_be_a_share(two_trainers: Path, value: Any) -> None:
    StageFolder(folder_of(two_trainers, "dpo", "weak")).seal({"counts": {"success_before": value}})
    with pytest.raises(ArtifactError, match="'success_before' of the counts is"):
        rows_of(two_trainers)


def test_warnings_say_what_methods_share_once(make_policy_run: MakeRun, rates: Rates) -> None:
    models = {
        "weak": [rates(0.4)] * 2,
        "naive": [rates(0.7)] * 2,
        "other": [rates(0.7)] * 2,
        "ceiling": [rates(0.4)] * 2,
    }
    fallen = [(0, 0.0, 0.0, 0.5), (5, 0.5, 1.0, 0.9), (10, 1.0, 2.0, 0.4)]
    rewards_fell = [(0, 0.0, 0.0, 0.5), (5, 0.5, 3.0, 0.9), (10, 1.0, 2.0, 0.7)]
    noise = [(0, 0.0, 0.0, 0.5), (5, 0.5, 1.0, 0.74), (10, 1.0, 2.0, 0.7)]
    written = {
        ("dpo", "weak"): [{"curve": fallen}] * 2,
        ("dpo", "naive"): [{"curve": rewards_fell}] * 2,
        ("dpo", "other"): [{"curve": noise}] * 2,
    }
    rows = rows_of(make_policy_run({"dpo": models}, written=written))
    unreliable, over = policy_notes(rows)
    assert unreliable == (
        "Policies of dpo: their PGR is not reliable and is no result: it divides by the gap between the policies of "
        "ceiling and supervisor, 0.0 points with a 95 % interval from −9.3 to 9.3, which is not clearly above zero."
    )
    assert over == (
        "Policies of dpo: over-optimised, the true success rate fell while the proxy reward rose: from 90.0 % (step 5) "
        "to 40.0 % against weak."
    )
    assert [row.policy_pgr for row in rows] == [None, None]


def test_policies_worse_than_their_start_are_named(make_policy_run: MakeRun, rates: Rates) -> None:
    # With 160 prompts at 20 % the interval ends below 50 %; at 48 % it does not.
    models = {"weak": [rates(0.2, 160)] * 2, "naive": [rates(0.475, 160)] * 2, "ceiling": [rates(0.9, 160)] * 2}
    run = make_policy_run({"rloo": models}, name="one")
    assert policy_notes(rows_of(run)) == [
        "Policies of rloo: worse after training than the starting policy (50.0 %): 20.0 % against weak."
    ]


def test_runs_stay_apart(make_policy_run: MakeRun, rates: Rates) -> None:
    models = {"weak": [rates(0.5)], "naive": [rates(0.7)], "ceiling": [rates(0.9)]}
    runs = [make_policy_run({"dpo": models, "rloo": models}, name=name) for name in ("a", "b")]
    rows = [row for run in [*runs, runs[1]] for row in rows_of(run)]
    assert [[row.recipe for row in group] for group in policies_by_run(rows)] == [["a"] * 2, ["b"] * 2, ["b"] * 2]
