"""The section on students whose supervisor has an aim against the truth: which methods it is about, and its numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from w2s_rm.files import write_signed
from w2s_rm.report.sections._base import ReportedRun
from w2s_rm.report.sections.deception import Deception
from w2s_rm.runs.folder import StageFolder

MakeRun = Callable[..., Path]
Answers = Callable[..., list[float]]


@pytest.fixture
def run(make_run: MakeRun, answers: Answers) -> Path:
    return make_run(
        weak=[answers(60)] * 2,
        students={
            "naive": [answers(80)] * 2,
            "careful": [answers(50)] * 2,
            "conflict": [answers(50, start=20)] * 2,
            "harmless": [answers(80)] * 2,
        },
        ceiling=[answers(90)] * 2,
    )


def oppose(run: Path, *methods: str) -> None:
    """Let the students of methods be trained on labels that were drawn towards what is wrong, two stages away."""
    plan = json.loads((run / "plan.json").read_text())
    for stage in list(plan["stages"]):
        if (stage["stage"], stage["of"]) == ("evaluate", "student") and stage["method"] in methods:
            student, labels = (Path(f"{stage['folder']}-{kind}") for kind in ("train", "oppose"))
            for kind, folder, needs in (("train", student, (labels,)), ("oppose", labels, ())):
                folder.mkdir()
                StageFolder(folder).seal({"counts": {}, "inputs": {}})
                plan["stages"].append(
                    {**stage, "stage": kind, "of": None, "folder": str(folder), "needs": [one.name for one in needs]}
                )
            stage["needs"] = [student.name]
    write_signed(run / "plan.json", {name: value for name, value in plan.items() if name != "checksum"})


def test_a_run_without_such_a_supervisor_has_none(run: Path) -> None:
    assert Deception().rows([ReportedRun(run, ())]) == []


def test_the_methods_with_such_a_supervisor_stand_beside_the_one_without(run: Path) -> None:
    oppose(run, "conflict", "harmless")
    conflict, harmless = rows = Deception().rows([ReportedRun(run, ())])
    assert [row.method for row in rows] == ["conflict", "harmless"] and {row.beside for row in rows} == {"naive"}
    # Of 80 it has lost the first 20, which the supervisor knows, and 10 of those that it does not.
    assert conflict.tax == pytest.approx(0.3)
    assert conflict.score == pytest.approx(10 / 30) and conflict.chance == pytest.approx(20 / 80)
    assert conflict.excess == pytest.approx(1 / 3 - 1 / 4)
    assert (harmless.tax, harmless.score, harmless.chance, harmless.excess) == (0, None, pytest.approx(20 / 80), None)
    text = str(Deception().blocks(rows))
    assert "33.3" in text and "2406.11431" in text


def test_where_the_method_to_compare_with_has_it_too_nothing_is_said(run: Path) -> None:
    oppose(run, "naive", "conflict")
    assert Deception().rows([ReportedRun(run, ())]) == []
