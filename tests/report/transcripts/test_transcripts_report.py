"""What a report shows of debates."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sealing import reseal

from w2s_rm.errors import ArtifactError
from w2s_rm.report import write_report
from w2s_rm.report.transcripts import collect_transcripts
from w2s_rm.runs.folder import StageFolder

MakeRun = Callable[..., Path]


@pytest.fixture
def run(make_run: MakeRun, answers: Callable[..., list[float]]) -> Path:
    """A run with transcripts of five examples, of a debate in two stages and of a consultancy."""
    run = make_run("argued", weak=[answers(60)], students={"naive": [answers(70)]}, ceiling=[answers(90)])
    plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    for number, form in enumerate(("debate", "debate", "consultancy")):
        folder = run.parent / "stages" / f"transcripts-{number}"
        folder.mkdir(parents=True)
        debates = [
            {
                "id": f"e{n}",
                "prompt": f"question {n} | of {number}",
                "candidates": ["yes", "no"],
                "gold": None if n == 2 else 0,
                "arguments": [{"turn": 0, "candidate": k, "text": f"because {k} " * 50} for k in (0, 1)],
            }
            for n in range(5)
        ]
        (folder / "transcripts.jsonl").write_text("".join(json.dumps(one) + "\n" for one in debates), encoding="utf-8")
        StageFolder(folder).seal({"counts": {"form": form, "arguments": 10, "empty": number // 2}})
        plan["stages"].append({"stage": "transcripts", "of": None, "method": None, "seed": 0, "folder": str(folder)})
    for number, (read, counts) in enumerate({"0": (40, 3), "1": (60, 0), "x": (9, 9)}.items()):
        folder = run.parent / "stages" / f"relabel-{number}"
        folder.mkdir(parents=True)
        record = {"counts": {"n_labelled": counts[0], "cut_prompts": counts[1]}}
        StageFolder(folder).seal({**record, "inputs": {"examples": f"{read}/examples.parquet"}})
        entry = {"stage": "relabel", "of": None, "method": None, "seed": 0, "folder": str(folder)}
        plan["stages"] += [entry, entry]
    (run / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    reseal(run)
    return run


def test_the_first_examples_of_each_form_are_shown(run: Path, tmp_path: Path) -> None:
    rows = collect_transcripts(run)
    assert [(row.form, row.id, row.right) for row in rows] == [
        (form, f"e{n}", None if n == 2 else k == 0)
        for form in ("consultancy", "debate")
        for n in range(3)
        for k in (0, 1)
    ]
    # What the first and the second stage have, and none of those that no judge has read.
    assert (rows[-1].n_read, rows[-1].n_cut, rows[0].n_read) == (100, 3, 0)
    assert rows[-1].prompt == "question 2 | of 0"
    written = {path.name: path for path in write_report([run], tmp_path / "out")}
    text = written["report.md"].read_text()
    assert "## Transcripts" in text and "in the consultancy 1 of 10 arguments say nothing" in text
    assert "3 of 100 examples are longer than max\\_length with their debate" in text
    assert "because 1 because 1" in text and "…" in text
    assert {"transcripts.csv", "transcripts.json"} <= set(written)


def test_broken_transcripts_are_refused(run: Path) -> None:
    (run.parent / "stages" / "transcripts-0" / "transcripts.jsonl").write_text("{", encoding="utf-8")
    with pytest.raises(ArtifactError, match="not transcripts"):
        collect_transcripts(run)
