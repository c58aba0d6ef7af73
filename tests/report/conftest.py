"""Synthetic finished runs: folders as `w2s-rm run` leaves them, with chosen right and wrong answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from w2s_rm.files import write_signed
from w2s_rm.runs.folder import StageFolder

Answers = Sequence[float]
MakeRun = Callable[..., Path]


def right(n_right: int, n: int = 100, *, start: int = 0) -> list[float]:
    """Answers of which `n_right` are right, beginning at `start`."""
    return [1.0 if start <= i < start + n_right else 0.0 for i in range(n)]


def write_predictions(
    folder: Path,
    answers: Answers,
    *,
    gold: Sequence[int | None] | None = None,
    k: int = 2,
    greedy: Sequence[int] | None = None,
) -> None:
    """Gold is candidate 1 of `k`; the best score is there when the answer is right, at candidate 0 when wrong."""
    golds = list(gold) if gold is not None else [1] * len(answers)
    scores = [[1.0 - answer, answer, *[-1.0] * (k - 2)] for answer in answers]
    columns = {
        "id": pa.array([f"e{i:04d}" for i in range(len(answers))]),
        "scores": pa.array(scores, pa.list_(pa.float64())),
        "gold": pa.array(golds, pa.int64()),
    }
    if greedy is not None:
        columns["greedy"] = pa.array(greedy, pa.int64())
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / "predictions.parquet")
    write_manifest(folder, {"n_test": len(answers)})


def write_manifest(folder: Path, counts: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    StageFolder(folder).seal({"counts": counts})


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that writes a run and gives its folder.

    `students` maps a method to answers for each seed; `weak` and `ceiling` hold answers for each seed, or are `None`;
    `zero_shot` holds answers for all seeds. `greedy` maps a model to what it writes, `prepared` holds further counts.
    """

    def make(
        name: str = "quickstart",
        *,
        weak: Sequence[Answers] | None,
        students: dict[str, Sequence[Answers]],
        ceiling: Sequence[Answers] | None,
        zero_shot: Answers | None = None,
        greedy: dict[str, Sequence[int]] | None = None,
        prepared: dict[str, float] | None = None,
        root: Path = tmp_path / "runs",
        gold: Sequence[int | None] | None = None,
        k: int = 2,
        label_accuracies: Sequence[float | None] | None = None,
        **plan: Any,
    ) -> Path:
        seeds = list(range(len(next(iter(students.values())))))
        stages: list[dict[str, Any]] = []

        def add(stage: str, of: str | None, method: str | None, seed: int | None) -> Path:
            folder = root / "stages" / f"{stage}-{name}-{of}-{method}-{seed}"
            stages.append({"stage": stage, "of": of, "method": method, "seed": seed, "folder": str(folder)})
            return folder

        def scored(of: str, method: str | None, seed: int | None, given: Answers) -> None:
            write_predictions(add("evaluate", of, method, seed), given, gold=gold, k=k, greedy=(greedy or {}).get(of))

        counts = {"n_test": 100, "truncated": {"prompts": 3}, "note": "text", **(prepared or {})}
        write_manifest(add("prepare", None, None, None), counts)
        if zero_shot is not None:
            scored("zero_shot", None, None, zero_shot)
        for seed in seeds:
            label_accuracy = label_accuracies[seed] if label_accuracies else 0.75
            write_manifest(add("relabel", "labels", None, seed), {"n_labelled": 3000, "label_accuracy": label_accuracy})
            if weak is not None:
                scored("weak", None, seed, weak[seed])
            if ceiling is not None:
                scored("ceiling", None, seed, ceiling[seed])
            for method, answers in students.items():
                scored("student", method, seed, answers[seed])
        content = {
            "recipe": name,
            "setting": "reward_modeling",
            "task": "world_preference",
            "head": "reward",
            "weak_model": "embedded 2x32",
            "strong_model": "embedded 3x128",
            "supervisor": "model",
            "seeds": seeds,
            "methods": list(students),
            "stages": stages,
            **plan,
        }
        (root / name).mkdir(parents=True, exist_ok=True)
        write_signed(root / name / "plan.json", content)
        return root / name

    return make


@pytest.fixture
def answers() -> Callable[..., list[float]]:
    """The function `right`, for tests (modules cannot import a conftest)."""
    return right
