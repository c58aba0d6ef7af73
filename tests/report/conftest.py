"""Synthetic finished runs: folders as `w2s-rm run` leaves them, with chosen right and wrong answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from w2s_rm.data.examples import write_examples
from w2s_rm.data.predictions import write_predictions as write_scores
from w2s_rm.files import read_signed, write_signed
from w2s_rm.runs.folder import StageFolder
from w2s_rm.types import Example, Predictions

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
    StageFolder(folder).seal({"counts": counts, "inputs": {}})


@pytest.fixture(scope="session")
def write_run() -> MakeRun:
    """Return a function that writes a run and gives its folder.

    `students` maps a method to answers for each seed; `weak` and `ceiling` hold answers for each seed, or are `None`;
    `zero_shot` holds answers for all seeds. `greedy` maps a model to what it writes, `prepared` holds further counts,
    `examples` the test split; `root` is the folder of the runs. `further` maps the label of a further task to what
    `weak`, `ceiling` and each method answer there for each seed.
    """

    def make(
        name: str = "quickstart",
        *,
        root: Path,
        weak: Sequence[Answers] | None,
        students: dict[str, Sequence[Answers]],
        ceiling: Sequence[Answers] | None,
        zero_shot: Answers | None = None,
        greedy: dict[str, Sequence[int]] | None = None,
        prepared: dict[str, float] | None = None,
        examples: Sequence[Example] | None = None,
        gold: Sequence[int | None] | None = None,
        k: int = 2,
        label_accuracies: Sequence[float | None] | None = None,
        further: dict[str, dict[str, Sequence[Answers]]] | None = None,
        **plan: Any,
    ) -> Path:
        seeds = list(range(len(next(iter(students.values())))))
        stages: list[dict[str, Any]] = []

        def add(stage: str, of: str | None, method: str | None, seed: int | None, label: str | None = None) -> Path:
            folder = root / "stages" / "-".join(map(str, [stage, name, of, method, seed, *filter(None, [label])]))
            planned = {"stage": stage, "of": of, "method": method, "seed": seed, "folder": str(folder)}
            stages.append(planned if label is None else {**planned, "further": label})
            return folder

        def scored(of: str, method: str | None, seed: int | None, given: Answers) -> None:
            write_predictions(add("evaluate", of, method, seed), given, gold=gold, k=k, greedy=(greedy or {}).get(of))

        counts = {"n_test": 100, "truncated": {"prompts": 3}, "note": "text", **(prepared or {})}
        prepare = add("prepare", None, None, None)
        write_manifest(prepare, counts)
        if examples is not None:
            write_examples(prepare / "examples" / "test.parquet", examples)
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
        for label, models in (further or {}).items():
            write_manifest(add("prepare", None, None, None, label), {"n_test": 100})
            for model, answers in models.items():
                of, method = (model, None) if model in ("weak", "ceiling") else ("student", model)
                for seed in seeds:
                    write_predictions(add("evaluate", of, method, seed, label), answers[seed])
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
        if further is not None:
            labels = (content["task"], *further)
            content["tested"] = [
                {"label": label, "name": "preference", "source": f"rows of {label}"} for label in labels
            ]
        (root / name).mkdir(parents=True, exist_ok=True)
        write_signed(root / name / "plan.json", content)
        return root / name

    return make


@pytest.fixture
def make_run(write_run: MakeRun, tmp_path: Path) -> MakeRun:
    """The same, in the test's own folder."""
    return partial(write_run, root=tmp_path / "runs")


@pytest.fixture(scope="session")
def answers() -> Callable[..., list[float]]:
    """The function `right`, for tests (modules cannot import a conftest)."""
    return right


@pytest.fixture
def put_saliency() -> Callable[[Path, Sequence[Answers]], None]:
    """Return a function that says how probable mistakes of a made run's supervisor are, for each seed."""

    def put(run: Path, wrong: Sequence[Answers]) -> None:
        plan = read_signed(run / "plan.json")
        for seed, scores in enumerate(wrong):
            folder = run.parent / "stages" / f"saliency-{run.name}-{seed}"
            ids, said = (f"e{n:04d}" for n in range(len(scores))), [(0.0, float(score)) for score in scores]
            folder.mkdir(parents=True)
            write_scores(folder / "predictions.parquet", [Predictions(tuple(ids), tuple(said), (None,) * len(said))])
            write_manifest(folder, {})
            planned = {"stage": "saliency", "of": "weak", "method": None, "seed": seed, "folder": str(folder)}
            plan["stages"].append(planned)
        write_signed(run / "plan.json", plan)

    return put


@pytest.fixture
def put_examples() -> Callable[..., Path]:
    """Return a function that puts the examples of a made run on file: `e0000` and so on, in the groups given.

    `gold` holds the right candidates, of which there are two unless `k` says otherwise. Stages are told where they are.
    """

    def put(run: Path, groups: Sequence[str], gold: Sequence[int | None], *, split: str = "test", k: int = 2) -> Path:
        stages = json.loads((run / "plan.json").read_text())["stages"]
        (prepared,) = (Path(stage["folder"]) for stage in stages if stage["stage"] == "prepare")
        examples = [
            Example(f"e{i:04d}", group, "p", tuple(f"c{place}" for place in range(k)), index)
            for i, (group, index) in enumerate(zip(groups, gold, strict=True))
        ]
        path = prepared / "examples" / f"{split}.parquet"
        write_examples(path, examples)
        for stage in stages:
            if stage["stage"] == {"test": "evaluate", "relabel": "relabel"}[split]:
                config = yaml.safe_dump({"stage": stage["stage"], "examples": str(path)})
                (Path(stage["folder"]) / "config.yaml").write_text(config)
        return path

    return put
