"""What a report says of trials: which was chosen, how the others did, and what to beware of."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sealing import reseal

from w2s_rm.errors import ArtifactError
from w2s_rm.render.elements import Bullets, Table
from w2s_rm.report import write_report
from w2s_rm.report.sections.tuning import Tuning
from w2s_rm.report.tuning import TrialRow, collect_trials
from w2s_rm.report.tuning.content import tuning_blocks, tuning_warnings

MakeRun = Callable[..., Path]
Answers = Callable[..., list[float]]
RATES = (1e-7, 3e-5, 1e-4)


def counts_of(losses: Sequence[float], *, by: str = "labels", n: int = 500, cut: int = 4) -> dict[str, Any]:
    """What a choice among trials with these losses counts; a difference below 0.02 is within the noise."""
    trials = [
        {
            "values": {"learning_rate": rate},
            "validation_loss": loss,
            "behind": loss - min(losses),
            "behind_half_width": 0.0 if loss == min(losses) else 0.02,
            "validation_agreement": 1.2 - loss,
            "validation_accuracy": 1.1 - loss,
        }
        for rate, loss in zip(RATES, losses, strict=False)
    ]
    chosen = losses.index(min(losses))
    return {"chosen": chosen, "chosen_by": by, "n_validation": n, "trials": trials, "cut_prompts": cut}


@pytest.fixture
def add_choices(make_run: MakeRun, answers: Answers) -> Callable[..., Path]:
    """A run with two seeds and the choices that are given, each as role, method, seed and counts."""

    def make(choices: Sequence[tuple[str, str | None, int, dict[str, Any]]], name: str = "tuned") -> Path:
        two = {"weak": [answers(60)] * 2, "ceiling": [answers(90)] * 2}
        run = make_run(name, students={"naive": [answers(70)] * 2}, **two)
        plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
        for number, (of, method, seed, counts) in enumerate(choices):
            folder = run.parent / "stages" / f"choice-{name}-{number}"
            folder.mkdir(parents=True)
            (folder / "manifest.json").write_text(json.dumps({"counts": counts}), encoding="utf-8")
            entry = {"stage": "choice", "of": of, "method": method, "seed": seed, "folder": str(folder)}
            plan["stages"].append(entry)
        (run / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        reseal(run)
        return run

    return make


@pytest.fixture
def run(add_choices: Callable[..., Path]) -> Path:
    return add_choices(
        [
            ("weak", None, 0, counts_of([0.6, 0.5, 0.51], by="truth")),
            ("weak", None, 1, counts_of([0.6, 0.5, 0.51], by="truth", cut=9)),
            ("student", "naive", 0, counts_of([0.4, 0.5, 0.6])),
            ("student", "naive", 1, counts_of([0.6, 0.5, 0.4])),
        ]
    )


def table(rows: Sequence[TrialRow]) -> list[dict[str, str]]:
    (found,) = [block for block in tuning_blocks(rows) if isinstance(block, Table)]
    return [dict(zip(found.header, line, strict=True)) for line in found.lines]


def test_a_row_for_each_trial(run: Path) -> None:
    rows = collect_trials(run)
    assert len(rows) == 4 * 3
    first = rows[0]
    assert (first.recipe, first.of, first.method, first.seed) == ("tuned", "weak", None, 0)
    assert (first.model, first.trials, first.trial, first.chosen) == ("choice-tuned-0", 3, 1, False)
    assert [row.chosen for row in rows] == [n == best for best in (1, 1, 0, 2) for n in range(3)]
    # A small rate is no 0 in the files.
    record = Tuning().record(first)
    assert record["values"] == {"learning_rate": 1e-7} and record["validation_accuracy"] == 0.5
    assert Tuning().flat_record(first)["values"] == "learning_rate 1e-07"


def test_what_the_table_says(run: Path) -> None:
    weak, student = table(collect_trials(run))
    assert weak == {
        "Run": "tuned",
        "Model": "weak",
        "Chosen by": "truth",
        "Chosen": "learning_rate 3e-05",
        "Trials": "3",
        "Loss": "0.5000 [0.5000, 0.6000]",
        "Agreement %": "70.0 [60.0, 70.0]",
        "Accuracy %": "60.0 [50.0, 60.0]",
        # One of two in each of two seeds is 0.01 behind, with half an interval of 0.02.
        "Within the noise": "2 of 4",
    }
    assert (student["Model"], student["Chosen by"]) == ("student naive", "labels")
    assert student["Chosen"] == "learning_rate 1e-07 (1×); learning_rate 0.0001 (1×)"
    assert student["Within the noise"] == "0 of 4"


def test_without_truth_there_is_no_accuracy(add_choices: Callable[..., Path]) -> None:
    counts = counts_of([0.5, 0.6])
    for trial in counts["trials"]:
        trial["validation_accuracy"] = None
    (line,) = table(collect_trials(add_choices([("student", "naive", 0, counts)])))
    assert line["Accuracy %"] == "–"


def test_several_models_of_one_role_are_told_apart(add_choices: Callable[..., Path]) -> None:
    members = [("intermediate", "ensemble", seed, counts_of([0.5, 0.6])) for seed in (0, 0, 1, 1)]
    lines = table(collect_trials(add_choices(members)))
    assert [line["Model"] for line in lines] == ["intermediate ensemble", "intermediate ensemble 2"]
    assert all(line["Within the noise"] == "0 of 2" for line in lines)


def test_what_to_beware_of(run: Path, add_choices: Callable[..., Path]) -> None:
    assert tuning_warnings(collect_trials(run)) == []
    unequal = [
        ("weak", None, 0, counts_of([0.6, 0.5], by="truth", n=100)),
        ("ceiling", None, 0, counts_of([0.6, 0.5], by="truth", n=100)),
        ("student", "naive", 0, counts_of([0.6, 0.5, 0.4], n=100)),
        ("intermediate", "chain", 0, counts_of([0.6], n=100)),
    ]
    assert tuning_warnings(collect_trials(add_choices(unequal, "other"))) == [
        "other: not all models were chosen from as many trials: 2 for weak and ceiling; 3 for student naive.",
        "other: 100 validation examples chose among the trials: a difference below 6.2 points is noise where trials "
        "choose differently on 10 % of them.",
    ]


def test_a_model_that_was_not_tuned_had_one_trial(run: Path) -> None:
    plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    plan["stages"].append(
        {"stage": "train", "of": "ceiling", "method": None, "seed": 0, "folder": str(run.parent / "stages" / "truth-1")}
    )
    for stage in plan["stages"]:
        if (stage["stage"], stage["of"]) == ("evaluate", "ceiling"):
            stage["needs"] = ["prepare-1", "truth-1"]
    (run / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    reseal(run)
    rows = collect_trials(run)
    assert tuning_warnings(rows) == [
        "tuned: not all models were chosen from as many trials: 1 for ceiling; 3 for weak and student naive."
    ]
    assert "untuned" not in Tuning().record(rows[0])


def test_what_is_read_of_trials_on_the_test_split_is_said_as_it_is(run: Path) -> None:
    (said,) = [block for block in tuning_blocks(collect_trials(run)) if isinstance(block, Bullets)]
    # With evaluations every trial scores the test split on its way, before anyone knows which is chosen.
    assert "Nothing is read here of what a trial that was not chosen says of test examples" in said.items[0]
    assert "has seen" not in said.items[0]


def test_two_runs_of_one_name_are_two(run: Path) -> None:
    rows = collect_trials(run)
    few = [dataclasses.replace(row, n_validation=100) for row in rows]
    assert [line["Trials"] for line in table([*rows, *few])] == ["3"] * 4
    # Of the second alone.
    (said,) = tuning_warnings([*rows, *few])
    assert said.startswith("tuned: 100 validation examples chose among the trials")


def test_the_files_of_a_report(run: Path, tmp_path: Path) -> None:
    write_report([run], tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert text.index("## Results") < text.index("## Tuning") < text.index("## How to read this")
    with (tmp_path / "out" / "tuning.csv").open(newline="", encoding="utf-8") as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == len(json.loads((tmp_path / "out" / "tuning.json").read_text(encoding="utf-8"))) == 12
    assert [line["chosen"] for line in lines[:3]] == ["false", "true", "false"]
    # What tokenizers cut is asked of trainings, and of what was chosen among several.
    (row,) = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert row["counts"]["cut_prompts (weak)"] == row["counts"]["cut_prompts (relabel)"] == 4


def test_an_unfinished_choice_is_named(run: Path) -> None:
    (run.parent / "stages" / "choice-tuned-2" / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match="choice student naive, seed 0: no manifest"):
        collect_trials(run)
