"""The section on ensembles: which methods have one, and what its members said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from w2s_rm.files import write_signed
from w2s_rm.report.sections._base import ReportedRun
from w2s_rm.report.sections.ensembles import EnsembleRow, Ensembles
from w2s_rm.runs.folder import StageFolder

MakeRun = Callable[..., Path]
Answers = Callable[..., list[float]]


@pytest.fixture
def run(make_run: MakeRun, answers: Answers) -> Path:
    students = {name: [answers(80)] * 2 for name in ("naive", "team", "kept", "other")}
    return make_run(weak=[answers(60)] * 2, students=students, ceiling=[answers(90)] * 2)


def add(run: Path, counts: dict[str, list[dict[str, Any]]], through: dict[str, str]) -> None:
    """Give methods the labels of ensembles, one for each seed, directly or after another stage of some kind."""
    plan = json.loads((run / "plan.json").read_text())
    for method, kind in through.items():
        for seed in (0, 1):
            folders = {name: run.parent / "stages" / f"{name}-{method}-{seed}" for name in ("combine", kind)}
            # A method without counts of its own has the ensemble of `team`.
            folders["combine"] = run.parent / "stages" / f"combine-{method if method in counts else 'team'}-{seed}"
            for name, folder in folders.items():
                if not folder.exists():
                    folder.mkdir()
                    content = counts[method][seed] if name == "combine" else {}
                    config = {"labels": str(folders["combine"] / "weak_labels.parquet"), "other": "elsewhere/x.parquet"}
                    (folder / "config.yaml").write_text(yaml.safe_dump({} if name == "combine" else config))
                    StageFolder(folder).seal({"counts": content, "inputs": {}})
                last = name == kind
                plan["stages"].append(
                    {"stage": name, "of": "labels" if last else None, "method": method if last else None, "seed": seed,
                     "folder": str(folder), "needs": [folders["combine"].name] if last and name != "combine" else []}
                )  # fmt: skip
    write_signed(run / "plan.json", {name: value for name, value in plan.items() if name != "checksum"})


def said(accuracies: list[float | None], together: float | None, disagreement: float) -> dict[str, Any]:
    return {
        "members": len(accuracies),
        "member_accuracies": accuracies,
        "label_accuracy": together,
        "disagreement": disagreement,
    }


def test_a_run_without_ensembles_has_none(run: Path) -> None:
    assert Ensembles().rows([ReportedRun(run, ())]) == []


def test_what_members_said_is_read_behind_what_else_was_done_to_labels(run: Path) -> None:
    counts = {
        "team": [said([0.6, 0.7], 0.75, 0.2), said([0.8, 0.7], 0.85, 0.3)],
        "other": [said([None, None, None], None, 0.5)] * 2,
    }
    add(run, counts, {"team": "combine", "kept": "transform", "other": "transform"})
    team, other = rows = Ensembles().rows([ReportedRun(run, ())])
    assert team == EnsembleRow("quickstart", "team", 2, 2, (pytest.approx(0.7), pytest.approx(0.7)), 0.8, 0.25)
    assert (other.method, other.n_members, other.member_accuracies, other.accuracy) == ("other", 3, (), None)
    # An ensemble that only selects among another supervisor's labels is not what supervises.
    path = run.parent / "stages" / "transform-kept-0" / "config.yaml"
    path.write_text(yaml.safe_dump({"labels": "stages/relabel-x/weak_labels.parquet", "other": "combine-team-0/x"}))
    assert [row.method for row in Ensembles().rows([ReportedRun(run, ())])] == ["team", "other"]
    text = str(Ensembles().blocks(rows))
    assert "70.0, 70.0" in text and "80.0" in text and "25.0" in text and "50.0" in text
